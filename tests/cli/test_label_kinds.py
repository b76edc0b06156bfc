"""Labels that are not one of several alike: several a record, paths of levels, and a class that is looked for."""

import json
import random

import numpy as np
import pytest
from tiny import KMER, rows_of, to_fasta, to_table

QUICK = (*KMER, "--no-checks")
TREE = {
    "A;x;1": (4, 1, 1, 4),
    "A;x;2": (4, 1, 2, 3),
    "A;y;1": (3, 3, 1, 3),
    "B;z;1": (1, 4, 4, 1),
    "B;z;2": (1, 3, 5, 1),
}
LEVELS = ("--levels", "top,middle,leaf")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory with sequences, their paths as labels, and several labels a record."""
    directory = tmp_path_factory.mktemp("kinds")
    rng = random.Random(0)
    sequences, paths, several = {}, {}, {}
    for number in range(90):
        name, path = f"r{number}", list(TREE)[number % len(TREE)]
        sequences[name] = "".join(rng.choices("ACGT", weights=TREE[path], k=150))
        paths[name] = path
        labels = [label for label, base in (("rich", "C"), ("gly", "G")) if sequences[name].count(base) > 37]
        several[name] = ";".join(labels) or "-"
    (directory / "data.fa").write_text(to_fasta(sequences))
    (directory / "paths.tsv").write_text(to_table(paths))
    (directory / "several.tsv").write_text(to_table(several))
    return directory


@pytest.fixture(scope="module")
def hierarchical(genomix, made):
    out = made / "hierarchical"
    done = genomix("train", made / "data.fa", made / "paths.tsv", "-o", out, *LEVELS, *QUICK)
    assert done.code == 0, done.stderr
    return out, done


@pytest.fixture(scope="module")
def multi(genomix, made):
    out = made / "multi"
    done = genomix("train", made / "data.fa", made / "several.tsv", "-o", out, "--multi-label", *QUICK)
    assert done.code == 0, done.stderr
    return out, done


def label_of(made, table):
    return {row["id"]: row["label"] for row in rows_of((made / table).read_text())}


class TestLevels:
    def test_there_are_metrics_of_each_level(self, hierarchical):
        out, done = hierarchical
        levels = json.loads((out / "metrics.json").read_text())["levels"]
        assert list(levels) == ["top", "middle", "leaf"]
        assert [levels[name]["classes"] for name in ("top", "middle")] == [["A", "B"], ["A;x", "A;y", "B;z"]]
        table = rows_of((out / "predictions.tsv").read_text())
        truth = {row["id"]: row["label"] for row in rows_of((out / "splits.tsv").read_text())}
        top = [sum(float(row[f"probability_{path}"]) for path in TREE if path.startswith("A")) > 0.5 for row in table]
        right = [guess == truth[row["id"]].startswith("A") for guess, row in zip(top, table, strict=True)]
        assert levels["top"]["values"]["accuracy"] == pytest.approx(np.mean(right))
        assert levels["top"]["values"]["accuracy"] >= levels["leaf"]["values"]["accuracy"]
        assert "levels (95 % bootstrap intervals)" in done.stdout

    def test_a_label_is_cut_off_where_it_is_not_sure_enough(self, hierarchical, made, genomix):
        out, _ = hierarchical
        done = genomix("predict", out, made / "data.fa", "--min-confidence", 0.8)
        assert done.code == 0, done.stderr
        rows = rows_of(done.stdout)
        statuses = {status for row in rows for status in row["status"].split(";")}
        assert "truncated" in statuses
        for row in rows:
            below = [path for path in TREE if (path + ";").startswith(row["label"] + ";")]
            assert sum(float(row[f"probability_{path}"]) for path in below) == pytest.approx(
                float(row["confidence"]), abs=1e-5
            )
            if "abstained" not in row["status"]:
                assert float(row["confidence"]) >= 0.8
            assert ("truncated" in row["status"]) == (row["label"] not in TREE)
        table = made / "cut.tsv"
        table.write_text(done.stdout)
        evaluated = genomix("evaluate", "--predictions", table, made / "paths.tsv", "--json")
        assert evaluated.code == 0, evaluated.stderr
        truth = label_of(made, "paths.tsv")
        answered = [row for row in rows if row["label"]]
        right = [(truth[row["id"]] + ";").startswith(row["label"] + ";") for row in answered]
        found = json.loads(evaluated.stdout)["answered"]
        assert found["num_answered"] == len(answered)
        assert found["accuracy"] == pytest.approx(np.mean(right))

    def test_evaluating_gives_the_levels_too(self, hierarchical, made, genomix):
        out, _ = hierarchical
        done = genomix("evaluate", out, made / "data.fa", made / "paths.tsv", "--json")
        assert done.code == 0, done.stderr
        assert list(json.loads(done.stdout)["levels"]) == ["top", "middle", "leaf"]

    def test_a_table_gives_the_levels_whose_names_it_is_told(self, hierarchical, made, genomix, tmp_path):
        out, _ = hierarchical
        table = ("--predictions", out / "predictions.tsv", out / "splits.tsv", "--split", "test")
        done = genomix("evaluate", *table, *LEVELS, "--json")
        assert done.code == 0, done.stderr
        stated = json.loads((out / "metrics.json").read_text())["levels"]
        found = json.loads(done.stdout)["levels"]
        assert list(found) == list(stated)
        for name, metrics in stated.items():
            assert found[name]["values"] == pytest.approx(metrics["values"], abs=1e-4)
        assert "levels (95 % bootstrap intervals)" in genomix("evaluate", *table, *LEVELS).stdout
        short = genomix("evaluate", *table, "--levels", "top,leaf")
        assert short.code == 65
        assert "has 3 names, but there are 2 levels (top, leaf)" in short.stderr
        assert genomix("evaluate", *table, *LEVELS, "--multi-label").code == 2

    def test_blanks_around_names_make_no_difference(self, hierarchical, made, genomix, tmp_path):
        out, _ = hierarchical
        spaced = tmp_path / "spaced.tsv"
        spaced.write_text((made / "paths.tsv").read_text().replace(";", " ; "))
        model, table = (out, made / "data.fa"), ("--predictions", made / "sets.tsv")
        done = genomix("predict", *model, "--coverage", 0.6, "--min-confidence", 0.8, "-o", table[1])
        assert done.code == 0, done.stderr
        for given in ((*model, "--coverage", 0.6, "--min-confidence", 0.8), table):
            found = [genomix("evaluate", *given, labels, "--json") for labels in (made / "paths.tsv", spaced)]
            assert [done.code for done in found] == [0, 0], found[1].stderr
            first, second = (json.loads(done.stdout) for done in found)
            assert first | {"labels": None} == second | {"labels": None}
            assert first["coverage"]["found"] > 0.5

    def test_a_label_of_another_depth_is_an_error(self, made, genomix, tmp_path):
        table = tmp_path / "labels.tsv"
        table.write_text((made / "paths.tsv").read_text().replace("r3\tB;z;1", "r3\tB;z"))
        done = genomix("train", made / "data.fa", table, "-o", tmp_path / "run", *LEVELS, *QUICK)
        assert done.code == 65
        assert f"{table}:5: record \"r3\": the label 'B;z' has 2 names, but there are 3 levels" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_blanks_around_names_do_not_make_other_classes(self, made, genomix, tmp_path):
        table = tmp_path / "labels.tsv"
        table.write_text((made / "paths.tsv").read_text().replace("r3\tB;z;1", "r3\tB; z ;1"))
        done = genomix("train", made / "data.fa", table, "-o", tmp_path / "run", *LEVELS, *QUICK)
        assert done.code == 0, done.stderr
        assert json.loads((tmp_path / "run/meta.json").read_text())["classes"] == sorted(TREE)

    def test_a_semicolon_without_a_word_is_said(self, made, genomix, tmp_path):
        done = genomix("train", made / "data.fa", made / "paths.tsv", "-o", tmp_path / "run", *QUICK)
        assert done.code == 0
        assert "each is read as one class; use --multi-label" in done.stderr


class TestMultiLabel:
    def test_a_row_has_the_labels_that_are_more_likely_than_not(self, multi):
        out, _ = multi
        for row in rows_of((out / "predictions.tsv").read_text()):
            each = {name: float(row[f"probability_{name}"]) for name in ("gly", "rich")}
            assert row["label"] == (";".join(name for name, value in each.items() if value >= 0.5) or "-")
            assert float(row["confidence"]) == pytest.approx(min(max(value, 1 - value) for value in each.values()))

    def test_what_is_learnt_is_better_than_chance(self, multi):
        metrics = json.loads((multi[0] / "metrics.json").read_text())
        assert metrics["metrics"]["values"]["roc_auc"] > 0.8
        assert metrics["metrics"]["values"]["log_loss"] < metrics["baselines"]["majority"]["values"]["log_loss"]

    def test_a_model_and_its_table_are_evaluated_alike(self, multi, made, genomix):
        out, _ = multi
        by_model = genomix("evaluate", out, made / "data.fa", made / "several.tsv", "--json")
        assert by_model.code == 0, by_model.stderr
        table = made / "pred.tsv"
        assert genomix("predict", out, made / "data.fa", "-o", table).code == 0
        by_table = genomix("evaluate", "--predictions", table, made / "several.tsv", "--multi-label", "--json")
        assert by_table.code == 0, by_table.stderr
        values = [json.loads(done.stdout)["metrics"]["values"] for done in (by_model, by_table)]
        assert values[0] == pytest.approx(values[1], abs=1e-4)

    def test_as_many_are_answered_by_the_table(self, multi, made, genomix):
        out, _ = multi
        table = made / "sure.tsv"
        assert genomix("predict", out, made / "data.fa", "-o", table).code == 0
        sure = (
            "--min-confidence",
            np.median([float(row["confidence"]) for row in rows_of(table.read_text())]),
            "--json",
        )
        by_model = genomix("evaluate", out, made / "data.fa", made / "several.tsv", *sure)
        by_table = genomix("evaluate", "--predictions", table, made / "several.tsv", "--multi-label", *sure)
        answered = [json.loads(done.stdout)["answered"] for done in (by_model, by_table)]
        assert 0 < answered[0]["num_answered"] < answered[0]["num_records"]
        assert answered[0] == answered[1]

    def test_a_network_learns_several_labels(self, made, genomix, tmp_path):
        options = ("--max-length", 64, "--max-epochs", 1, "--threads", 1, "--device", "cpu", "--model", "cnn")
        done = genomix(
            "train", made / "data.fa", made / "several.tsv", "-o", tmp_path / "run", "--multi-label", *options
        )
        assert done.code == 0, done.stderr
        sums = {
            round(float(row["probability_gly"]) + float(row["probability_rich"]), 3)
            for row in rows_of((tmp_path / "run/predictions.tsv").read_text())
        }
        assert sums != {1.0}

    def test_sets_of_labels_are_for_one_label_a_record(self, multi, made, genomix):
        done = genomix("predict", multi[0], made / "data.fa", "--coverage", 0.9)
        assert done.code == 2
        assert "--coverage 0.9: sets are made where a record has one label" in done.stderr

    def test_its_table_read_as_one_label_a_record_is_an_error(self, multi, made, genomix):
        out, _ = multi
        done = genomix("evaluate", "--predictions", out / "predictions.tsv", made / "several.tsv")
        assert done.code == 65
        assert "--multi-label" in done.stderr

    def test_an_unknown_label_is_an_error(self, multi, made, genomix, tmp_path):
        table = tmp_path / "labels.tsv"
        table.write_text("id\tlabel\nr0\tgly;odd\n")
        done = genomix("evaluate", multi[0], made / "data.fa", table, "--on-missing", "skip")
        assert done.code == 65
        assert "label 'odd' is not a class of this model (it knows gly, rich)" in done.stderr


class TestPositive:
    def test_it_becomes_the_second_class(self, data, genomix, tmp_path):
        for name in ("phage", "plasmid"):
            out = tmp_path / name
            done = genomix("train", data.fasta, data.table, "-o", out, "--positive", name, *QUICK)
            assert done.code == 0, done.stderr
            assert json.loads((out / "meta.json").read_text())["classes"][1] == name

    def test_it_must_be_one_of_two(self, data, made, genomix, tmp_path):
        done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", "--positive", "host", *QUICK)
        assert done.code == 2
        assert "--positive 'host': must be one of two classes; these records have 'phage', 'plasmid'" in done.stderr

    def test_kinds_exclude_each_other(self, data, genomix, tmp_path):
        done = genomix(
            "train", data.fasta, data.table, "-o", tmp_path / "run", "--positive", "phage", "--multi-label", *QUICK
        )
        assert done.code == 2
        assert "labels are either several a record" in done.stderr
