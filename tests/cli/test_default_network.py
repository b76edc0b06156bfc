"""The network as it is by default, beside the k-mers that were searched for: all commands use both."""

import json

import numpy as np
import pytest
import safetensors.numpy
import yaml
from tiny import REAL, rows_of, to_fasta

ONE_THREAD = ("--threads", "1", "--device", "cpu")
QUICK = (*REAL, "--max-epochs", 1, "--no-checks")


@pytest.fixture(scope="module")
def whole(genomix, data):
    path = data.directory / "default-run"
    done = genomix("train", data.fasta, data.table, "-o", path, *QUICK)
    assert done.code == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def held_out(whole, data):
    """The records that were held out, as a file."""
    ids = [row["id"] for row in rows_of((whole / "splits.tsv").read_text()) if row["split"] == "test"]
    path = data.directory / "default-held-out.fa"
    path.write_text(to_fasta({name: data.sequences[name] for name in ids}))
    return path


def kmers_of(run):
    """What the configuration says of the k-mers beside a network, and the weights of both."""
    stated = yaml.safe_load((run / "config.yaml").read_text())["model"]["composition"]
    tensors = safetensors.numpy.load_file(run / "model.safetensors")
    return stated, tensors["composition.weights"]


def assert_predicts_what_was_measured(genomix, run, path):
    done = genomix("predict", run, path, *ONE_THREAD)
    assert done.code == 0, done.stderr
    found, expected = rows_of(done.stdout), rows_of((run / "predictions.tsv").read_text())
    names = [name for name in expected[0] if name.startswith("probability_")]
    assert len(names) == 2
    assert {row["id"]: [row[name] for name in names] for row in found} == {
        row["id"]: [row[name] for name in names] for row in expected
    }


def test_the_search_is_written_and_its_best_is_the_composition(whole):
    rows = rows_of((whole / "baseline.tsv").read_text())
    (chosen,) = (row for row in rows if row["chosen"] == "yes")
    stated, weights = kmers_of(whole)
    names = ("k", "strands", "classifier", "features")
    assert [str(stated[name]) for name in names] == [chosen[name] for name in names]
    assert (weights > 0).all()
    log = (whole / "train.log").read_text()
    assert log.count(f"chosen among {len(rows)} on the validation records by f1_macro") == 1
    assert f"composition: the network weighs {weights[0]:.3f}" in log


def test_the_network_alone_stands_beside_the_baselines(whole):
    stated = json.loads((whole / "metrics.json").read_text())
    assert list(stated["baselines"]) == ["network", "kmer", "majority"]
    assert stated["baselines"]["network"]["values"]["log_loss"] != stated["metrics"]["values"]["log_loss"]
    assert "network alone" in (whole / "report.html").read_text()


def test_predictions_are_those_that_were_measured(genomix, whole, held_out):
    assert_predicts_what_was_measured(genomix, whole, held_out)


def test_an_evaluation_finds_the_metrics_of_the_run(genomix, whole, data):
    done = genomix("evaluate", whole, data.fasta, whole / "splits.tsv", "--split", "test", "--json", *ONE_THREAD)
    assert done.code == 0, done.stderr
    stated = json.loads((whole / "metrics.json").read_text())["metrics"]["values"]
    assert json.loads(done.stdout)["metrics"]["values"] == pytest.approx(stated, abs=1e-5)


def test_mutagenesis_explains_what_is_predicted_and_a_gradient_the_network(genomix, whole, held_out, tmp_path):
    name = held_out.read_text().split(maxsplit=1)[0][1:]
    values = {}
    for method in ("mutagenesis", "gradient"):
        out = tmp_path / method
        options = ("--method", method, "--region", f"{name}:0-40", "--long", "whole", "--class", "phage", "--plots", 0)
        done = genomix("explain", whole, held_out, "-o", out, *options, *ONE_THREAD)
        assert done.code == 0, done.stderr
        assert ("explains the network alone" in done.stderr) is (method == "gradient")
        values[method] = json.loads((out / "explain.json").read_text())["records"][0]["score"]
    assert values["mutagenesis"] != pytest.approx(values["gradient"], rel=1e-3)


def test_what_is_complete_is_measured_again_alike(genomix, whole, data):
    names = ("model.safetensors", "config.yaml", "calibration.json", "predictions.tsv", "baseline.tsv", "metrics.json")
    before = {name: (whole / name).read_bytes() for name in names}
    done = genomix("train", "--resume", whole, *ONE_THREAD)
    assert done.code == 0, done.stderr
    assert {name: (whole / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(("several", "parts"), [("--ensemble", "member"), ("--folds", "fold")])
def test_several_have_kmers_each(genomix, data, tmp_path, several, parts):
    run = tmp_path / "run"
    done = genomix("train", data.fasta, data.table, "-o", run, several, 2, *QUICK, "--no-baselines")
    assert done.code == 0, done.stderr
    for number in (1, 2):
        stated, weights = kmers_of(run / f"{parts}-{number}")
        assert stated["k"] is not None
        assert (weights > 0).all()
    if parts == "member":
        ids = [row["id"] for row in rows_of((run / "predictions.tsv").read_text())]
        (tmp_path / "held-out.fa").write_text(to_fasta({name: data.sequences[name] for name in ids}))
        assert_predicts_what_was_measured(genomix, run, tmp_path / "held-out.fa")


def test_labels_each_for_itself(genomix, data, tmp_path):
    table = "id\tlabel\n" + "".join(
        f"{name}\t{label}{',long' if len(data.sequences[name]) > 140 else ''}\n" for name, label in data.labels.items()
    )
    (tmp_path / "several.tsv").write_text(table.replace(",", ";"))
    run = tmp_path / "run"
    done = genomix("train", data.fasta, tmp_path / "several.tsv", "-o", run, "--multi-label", *QUICK)
    assert done.code == 0, done.stderr
    _, weights = kmers_of(run)
    assert (weights >= 0).all()
    ids = [row["id"] for row in rows_of((run / "predictions.tsv").read_text())]
    (tmp_path / "held-out.fa").write_text(to_fasta({name: data.sequences[name] for name in ids}))
    predicted = genomix("predict", run, tmp_path / "held-out.fa", *ONE_THREAD)
    assert predicted.code == 0, predicted.stderr
    columns = [f"probability_{name}" for name in ("long", "phage", "plasmid")]
    found, expected = (
        [[float(row[name]) for name in columns] for row in rows_of(text)]
        for text in (predicted.stdout, (run / "predictions.tsv").read_text())
    )
    np.testing.assert_array_equal(found, expected)


def test_two_processes_choose_the_same_kmers(genomix, whole, held_out, data, tmp_path):
    run = tmp_path / "run"
    done = genomix("train", data.fasta, data.table, "-o", run, "--devices", 2, *QUICK, "--no-baselines")
    assert done.code == 0, done.stderr
    assert kmers_of(run)[0] == kmers_of(whole)[0]
    assert_predicts_what_was_measured(genomix, run, held_out)
