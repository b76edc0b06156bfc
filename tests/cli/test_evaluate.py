"""Evaluating from the command line: a model or a table of predictions, against labels."""

import json
import shutil

import pytest
from tiny import rows_of, to_fasta, to_table

ONE_THREAD = ("--threads", "1", "--device", "cpu")


@pytest.fixture
def evaluate(genomix):
    """Evaluate and return the metrics that `--json` prints."""

    def evaluate(*arguments, **ways):
        done = genomix("evaluate", *arguments, "--json", **ways)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)["metrics"]

    return evaluate


@pytest.fixture(scope="module")
def held_out(run, data, tmp_path_factory):
    """The records that the run did not train on: their sequences and labels as files."""
    directory = tmp_path_factory.mktemp("held-out")
    ids = [row["id"] for row in rows_of((run / "splits.tsv").read_text()) if row["split"] == "test"]
    (directory / "test.fa").write_text(to_fasta({name: data.sequences[name] for name in ids}))
    (directory / "test.tsv").write_text(to_table({name: data.labels[name] for name in ids}))
    return directory / "test.fa", directory / "test.tsv"


def test_the_held_out_records_give_the_metrics_of_the_run(evaluate, run, held_out):
    stated = json.loads((run / "metrics.json").read_text())["metrics"]
    found = evaluate(run, *held_out, *ONE_THREAD)
    assert found["num_records"] == stated["num_records"]
    assert found["values"] == pytest.approx(stated["values"], abs=1e-5)
    assert found["confusion"] == stated["confusion"]


def test_the_splits_of_the_run_choose_the_same(evaluate, run, data, held_out):
    chosen = evaluate(run, data.fasta, run / "splits.tsv", "--split", "test", *ONE_THREAD)
    assert chosen["values"] == pytest.approx(evaluate(run, *held_out, *ONE_THREAD)["values"], abs=1e-5)


def test_records_trained_on_are_warned_of(genomix, run, data, held_out):
    trained_on = genomix("evaluate", run, data.fasta, data.table, *ONE_THREAD)
    assert trained_on.code == 0
    assert "of 30 records were used in training" in trained_on.stderr
    assert "trained on" not in genomix("evaluate", run, *held_out, *ONE_THREAD).stderr


def test_predictions_are_worth_what_their_model_is(genomix, evaluate, run, data, tmp_path):
    table = tmp_path / "pred.parquet"
    assert genomix("predict", run, data.fasta, "-o", table, *ONE_THREAD).code == 0
    by_table = evaluate("--predictions", table, data.table)
    by_model = evaluate(run, data.fasta, data.table, *ONE_THREAD)
    assert by_table["values"] == pytest.approx(by_model["values"], abs=1e-6)
    assert by_table["confusion"] == by_model["confusion"]


def test_the_predictions_of_the_run_give_its_metrics(evaluate, run, held_out):
    stated = json.loads((run / "metrics.json").read_text())["metrics"]
    found = evaluate("--predictions", run / "predictions.tsv", "--labels", held_out[1])
    assert found["values"] == pytest.approx(stated["values"], abs=1e-4)


def test_predictions_without_a_label_are_left_out_and_counted(genomix, run, data, held_out, tmp_path):
    assert genomix("predict", run, data.fasta, "-o", tmp_path / "pred.tsv", *ONE_THREAD).code == 0
    done = genomix("evaluate", "--predictions", tmp_path / "pred.tsv", held_out[1])
    assert done.code == 0
    assert "predictions are of records that are not evaluated" in done.stderr


def test_skipped_predictions_are_left_out_and_counted(genomix, run, data, tmp_path):
    (tmp_path / "data.fa").write_text(to_fasta(data.sequences | {"r0": "ACXT"}))
    assert (
        genomix(
            "predict", run, tmp_path / "data.fa", "--on-invalid", "skip", "-o", tmp_path / "pred.tsv", *ONE_THREAD
        ).code
        == 0
    )
    done = genomix("evaluate", "--predictions", tmp_path / "pred.tsv", data.table, "--json")
    assert json.loads(done.stdout)["metrics"]["num_records"] == 29
    assert "1 records were skipped when predicting and are not evaluated, such as 'r0'" in done.stderr


def test_labels_may_come_from_the_headers(evaluate, kmer_run, data):
    assert evaluate(kmer_run, data.fasta, "--label-regex", r"class=(\w+)", *ONE_THREAD)["num_records"] == 30


def test_labels_may_come_from_the_files(evaluate, kmer_run, data, tmp_path):
    for label in ("phage", "plasmid"):
        own = {name: sequence for name, sequence in data.sequences.items() if data.labels[name] == label}
        (tmp_path / f"{label}.fa").write_text(to_fasta(own))
    files = [word for label in ("phage", "plasmid") for word in ("--class", f"{label}={tmp_path / label}.fa")]
    assert evaluate(kmer_run, *files, *ONE_THREAD)["num_records"] == 30


def test_one_class_is_enough_to_evaluate(evaluate, kmer_run, data, tmp_path):
    (tmp_path / "one.fa").write_text(to_fasta({"r0": data.sequences["r0"]}))
    (tmp_path / "one.tsv").write_text(to_table({"r0": data.labels["r0"]}))
    assert evaluate(kmer_run, tmp_path / "one.fa", tmp_path / "one.tsv", *ONE_THREAD)["num_records"] == 1


def test_the_tables_for_people_are_on_stdout(genomix, kmer_run, data):
    done = genomix("evaluate", kmer_run, data.fasta, data.table, *ONE_THREAD)
    for title in ("metric", "balanced accuracy", "classes", "confusion"):
        assert title in done.stdout


def test_results_are_written_where_asked(genomix, evaluate, run, held_out, tmp_path):
    out = tmp_path / "results"
    assert evaluate(run, *held_out, "-o", out, *ONE_THREAD)
    stated = json.loads((out / "metrics.json").read_text())
    assert stated["model"] == str(run)
    assert rows_of((out / "predictions.tsv").read_text()) == rows_of((run / "predictions.tsv").read_text())
    assert genomix("evaluate", run, *held_out, "-o", out, *ONE_THREAD).code == 73
    assert genomix("evaluate", run, *held_out, "-o", out, *ONE_THREAD, "--force").code == 0
    assert evaluate("--predictions", run / "predictions.tsv", held_out[1], "-o", out, "--force")
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "report.html"]


def refused(genomix, *arguments):
    done = genomix("evaluate", *arguments)
    assert (done.code, done.stdout) == (73, ""), done.stderr
    return done.stderr


class TestNothingIsDestroyed:
    def test_a_model_is_no_place_for_results(self, genomix, kmer_run, held_out, tmp_path):
        runs = tmp_path / "runs"
        shutil.copytree(kmer_run, runs / "fold-1")
        for out in (runs, runs / "fold-1"):
            before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
            said = refused(genomix, runs / "fold-1", *held_out, "-o", out, "--force", *ONE_THREAD)
            assert f"{out}: holds a model" in said
            assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def test_what_is_read_stays(self, genomix, run, held_out, tmp_path):
        own = tmp_path / "own"
        own.mkdir()
        shutil.copy(run / "predictions.tsv", own)
        said = refused(genomix, "-p", own / "predictions.tsv", held_out[1], "-o", own, "--force")
        assert f"{own}: holds {own / 'predictions.tsv'}, which is read" in said
        shutil.copy(held_out[1], own / "labels.tsv")
        for arguments in (
            ("-p", run / "predictions.tsv", own / "labels.tsv"),
            ("-p", run / "predictions.tsv", "--labels", own / "labels.tsv"),
            (run, own, held_out[1]),
            (run, "--class", f"phage={own / 'labels.tsv'}"),
        ):
            assert "which is read" in refused(genomix, *arguments, "-o", own, "--force")
        assert (own / "predictions.tsv").read_bytes() == (run / "predictions.tsv").read_bytes()

    @pytest.mark.parametrize("metrics", [None, "{", "[]", '{"split": "test"}'])
    def test_files_of_others_stay(self, genomix, run, held_out, tmp_path, metrics):
        (tmp_path / "splits.tsv").write_text("mine")
        if metrics is not None:
            (tmp_path / "metrics.json").write_text(metrics)
        said = refused(genomix, "-p", run / "predictions.tsv", held_out[1], "-o", tmp_path, "--force")
        assert "splits.tsv, not written by genomix evaluate" in said
        assert (tmp_path / "splits.tsv").read_text() == "mine"

    def test_an_evaluation_of_a_table_is_no_source_of_its_own_next(self, genomix, evaluate, run, held_out, tmp_path):
        out = tmp_path / "out"
        evaluate(run, *held_out, "-o", out, *ONE_THREAD)
        assert "which is read" in refused(genomix, "-p", out / "predictions.tsv", held_out[1], "-o", out, "--force")
        assert (out / "predictions.tsv").is_file()


class TestMends:
    def test_labels_without_splits(self, genomix, kmer_run, data):
        done = genomix("evaluate", kmer_run, data.fasta, data.table, "--split", "test", *ONE_THREAD)
        assert done.code == 2
        assert "(genomix evaluate run/ data.fa run/splits.tsv --split test)" in done.stderr

    def test_labels_none_of_which_is_a_class(self, genomix, kmer_run, data, tmp_path):
        table = tmp_path / "other.tsv"
        table.write_text(to_table({name: f"host{row % 3}" for row, name in enumerate(data.labels)}))
        done = genomix("evaluate", kmer_run, data.fasta, table, *ONE_THREAD)
        assert done.code == 65
        assert "no label ('host0', 'host1', 'host2') is a class of this model (it knows phage, plasmid)" in done.stderr
        assert done.stderr.count("is a class of") == 1

    def test_a_warning_is_said_once(self, genomix, kmer_run, data, held_out):
        done = genomix("evaluate", kmer_run, data.fasta, held_out[1], "--on-missing", "skip", *ONE_THREAD)
        assert done.code == 0
        assert done.stderr.count("have no label and are left out") == 1

    def test_levels_are_for_tables(self, genomix, kmer_run, data):
        done = genomix("evaluate", kmer_run, data.fasta, data.table, "--levels", "a,b", *ONE_THREAD)
        assert done.code == 2
        assert "--levels is for --predictions" in done.stderr
