"""Folds and ensembles from the command line: what they leave, and what predict and evaluate make of it."""

import json
import shutil

import numpy as np
import pytest
from tiny import KMER, rows_of

QUICK = (*KMER, "--no-checks")


@pytest.fixture(scope="module")
def folds(genomix, data):
    out = data.directory / "folds"
    done = genomix("train", data.fasta, data.table, "-o", out, "--folds", 3, *QUICK)
    assert done.code == 0, done.stderr
    return out, done


@pytest.fixture(scope="module")
def ensemble(genomix, data):
    out = data.directory / "ensemble"
    options = ("--max-length", 64, "--max-epochs", 1, "--threads", 1, "--device", "cpu")
    done = genomix("train", data.fasta, data.table, "-o", out, "--ensemble", 2, "--model", "cnn", *options)
    assert done.code == 0, done.stderr
    return out, done


def probabilities(row):
    return [float(value) for name, value in row.items() if name.startswith("probability_")]


class TestFolds:
    def test_every_record_is_predicted_by_the_model_that_has_not_seen_it(self, folds, data):
        out, _ = folds
        pooled = {row["id"]: row for row in rows_of((out / "predictions.tsv").read_text())}
        assert list(pooled) == list(data.labels)
        fold_of = {row["id"]: row["fold"] for row in rows_of((out / "splits.tsv").read_text())}
        for fold in "123":
            run = out / f"fold-{fold}"
            split_of = {row["id"]: row["split"] for row in rows_of((run / "splits.tsv").read_text())}
            assert {name for name, split in split_of.items() if split == "test"} == {
                name for name, found in fold_of.items() if found == fold
            }
            for row in rows_of((run / "predictions.tsv").read_text()):
                assert pooled[row["id"]] == row

    def test_the_metrics_are_of_the_pooled_records_and_their_spread_over_the_folds(self, folds):
        out, done = folds
        metrics = json.loads((out / "metrics.json").read_text())
        right = [
            row["label"] == label["label"]
            for row, label in zip(
                rows_of((out / "predictions.tsv").read_text()), rows_of((out / "splits.tsv").read_text()), strict=True
            )
        ]
        assert metrics["split"] == "folds"
        assert metrics["metrics"]["values"]["accuracy"] == pytest.approx(np.mean(right))
        each = [json.loads((out / f"fold-{fold}" / "metrics.json").read_text()) for fold in (1, 2, 3)]
        values = [one["metrics"]["values"]["log_loss"] for one in each]
        spread = metrics["folds"]["log_loss"]
        assert spread["values"] == values
        assert spread["mean"] == pytest.approx(np.mean(values))
        assert spread["deviation"] == pytest.approx(np.std(values, ddof=1))
        assert "3 folds, each by itself" in done.stdout
        assert set(metrics["baselines"]) == {"majority"}

    def test_they_predict_together(self, folds, data, genomix):
        out, _ = folds
        done = genomix("predict", out, data.fasta)
        assert done.code == 0, done.stderr
        single = [rows_of(genomix("predict", out / f"fold-{fold}", data.fasta).stdout) for fold in (1, 2, 3)]
        for row, *members in zip(rows_of(done.stdout), *single, strict=True):
            each = np.array([probabilities(member) for member in members])
            np.testing.assert_allclose(probabilities(row), each.mean(axis=0), atol=2e-6)
            deviation = [float(value) for name, value in row.items() if name.startswith("deviation_")]
            np.testing.assert_allclose(deviation, each.std(axis=0), atol=2e-6)

    def test_the_given_test_records_stay_out_of_all_folds(self, data, genomix, tmp_path):
        names = list(data.labels)
        table = tmp_path / "labels.tsv"
        rows = [f"{name}\t{data.labels[name]}\t{'test' if name in names[:6] else 'train'}\n" for name in names]
        table.write_text("id\tlabel\tsplit\n" + "".join(rows))
        done = genomix("train", data.fasta, table, "-o", tmp_path / "run", "--folds", 2, *QUICK)
        assert done.code == 0, done.stderr
        assert [row["id"] for row in rows_of((tmp_path / "run/predictions.tsv").read_text())] == names[6:]
        evaluated = genomix("evaluate", tmp_path / "run", data.fasta, table, "--split", "test", "--json")
        assert evaluated.code == 0, evaluated.stderr
        assert "used in training" not in evaluated.stderr
        assert json.loads(evaluated.stdout)["metrics"]["num_records"] == 6

    def test_its_folds_can_be_used_again(self, folds, data, genomix, tmp_path):
        out, _ = folds
        again = tmp_path / "again"
        done = genomix(
            "train", data.fasta, data.table, "--splits", out / "splits.tsv", "-o", again, "--folds", 3, *QUICK
        )
        assert done.code == 0, done.stderr
        assert rows_of((again / "predictions.tsv").read_text()) == rows_of((out / "predictions.tsv").read_text())

    def test_with_force_no_fold_of_before_is_left(self, data, genomix, tmp_path):
        for count in (3, 2):
            done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", "--folds", count, "--force", *QUICK)
            assert done.code == 0, done.stderr
        assert sorted(path.name for path in (tmp_path / "run").glob("fold-*")) == ["fold-1", "fold-2"]

    def test_the_majority_baseline_ranks_nothing(self, folds):
        metrics = json.loads((folds[0] / "metrics.json").read_text())
        assert metrics["baselines"]["majority"]["values"]["roc_auc"] == 0.5

    def test_what_is_not_of_a_run_stays(self, data, genomix, tmp_path):
        out = tmp_path / "run"
        command = ("train", data.fasta, data.table, "-o", out, *QUICK)
        assert genomix(*command, "--folds", 3).code == 0
        (out / "fold-3" / "notes.txt").write_text("mine")
        (out / "fold-9").mkdir()
        assert genomix(*command, "--force").code == 0  # a single model, beside which folds would be stale
        assert not list(out.glob("fold-[12]"))
        assert [path.name for path in (out / "fold-3").iterdir()] == ["notes.txt"]
        assert genomix(*command, "--folds", 2, "--force").code == 0
        assert (out / "fold-3" / "notes.txt").read_text() == "mine"
        assert json.loads((out / "meta.json").read_text())["members"] == ["fold-1", "fold-2"]
        done = genomix("predict", out, data.fasta)
        assert done.code == 0, done.stderr
        assert "mean of 2 models" in done.stderr

    def test_nothing_is_removed_before_it_is_known_to_work(self, folds, data, genomix, tmp_path):
        out = tmp_path / "run"
        shutil.copytree(folds[0], out)
        done = genomix(
            "train", data.fasta, data.table, "-o", out, "--folds", 2, "--force", *QUICK, "--set", "model.k=99"
        )
        assert done.code == 2
        assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in folds[0].iterdir())


class TestEnsemble:
    def test_k_mer_models_do_not_differ_by_seed(self, data, genomix, tmp_path):
        done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", "--ensemble", 2, *QUICK)
        assert done.code == 2
        assert "k-mer models do not depend on the seed" in done.stderr

    def test_members_differ_by_their_seed_and_share_the_splits(self, ensemble):
        out, _ = ensemble
        splits = [(out / name / "splits.tsv").read_text() for name in (".", "member-1", "member-2")]
        assert splits[0] == splits[1] == splits[2]
        weights = [(out / f"member-{number}" / "model.safetensors").read_bytes() for number in (1, 2)]
        assert weights[0] != weights[1]

    def test_its_predictions_are_the_mean_of_the_members(self, ensemble):
        out, done = ensemble
        tables = [rows_of((out / name / "predictions.tsv").read_text()) for name in (".", "member-1", "member-2")]
        for row, one, other in zip(*tables, strict=True):
            mean = np.mean([probabilities(one), probabilities(other)], axis=0)
            np.testing.assert_allclose(probabilities(row), mean, atol=2e-6)
        assert "2 x cnn" in done.stdout

    def test_sets_of_labels_come_from_the_calibration_of_the_mean(self, ensemble, data, genomix):
        out, _ = ensemble
        done = genomix("predict", out, data.fasta, "--coverage", 0.5)
        assert done.code == 0, done.stderr
        assert all(row["label_set"] for row in rows_of(done.stdout))


class TestBadOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--folds", 1), "--folds 1: train 2 models at least"),
            (("--ensemble", 1), "--ensemble 1: train 2 models at least"),
            (("--folds", 2, "--ensemble", 2), "--folds and --ensemble: choose one"),
            (("--splits", "s.tsv", "--split", "random"), "--split random: --splits s.tsv names the splits already"),
        ],
    )
    def test_options_that_do_not_go_together(self, options, words, data, genomix, tmp_path):
        done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", *options)
        assert done.code == 2
        assert words in done.stderr
        assert not (tmp_path / "run").exists()

    def test_more_folds_than_records(self, data, genomix, tmp_path):
        done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", "--folds", 31, *QUICK)
        assert done.code in (2, 65)
        assert "31" in done.stderr
        assert not (tmp_path / "run").exists()


class TestComparing:
    def test_pooled_folds_are_held_out(self, folds, data, genomix, tmp_path):
        out, _ = folds
        done = genomix(
            "train", data.fasta, data.table, "-o", tmp_path / "other", "--splits", out / "splits.tsv", "--folds", 3,
            *QUICK, "--set", "model.k=2",
        )  # fmt: skip
        assert done.code == 0, done.stderr
        compared = genomix("compare", out, tmp_path / "other")
        assert compared.code == 0, compared.stderr
        assert "not known what was trained on" not in compared.stdout
        assert "used in its training" not in compared.stderr

    def test_what_a_model_learnt_from_is_seen_behind_its_evaluation(self, folds, data, genomix, tmp_path):
        out, _ = folds
        for number in (1, 2):
            done = genomix("evaluate", out / f"fold-{number}", data.fasta, data.table, "-o", tmp_path / str(number))
            assert done.code == 0, done.stderr
            assert (tmp_path / str(number) / "report.html").is_file()
        compared = genomix("compare", tmp_path / "1", tmp_path / "2")
        assert compared.code == 0, compared.stderr
        assert "were used in its training" in compared.stderr
