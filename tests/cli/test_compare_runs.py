"""Comparing runs from the command line: run directories and predictions tables of the same records."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from test_bad_input import CANNOT_WRITE, lay_out
from test_bad_runs import IDS, to_predictions, to_splits
from tiny import rows_of

from genomix.cli.comparison import print_comparison
from genomix.compare import compare_runs

METRICS = "accuracy,balanced_accuracy,f1_macro,f1_weighted,mcc,roc_auc,pr_auc,log_loss,brier,ece"


@pytest.fixture
def runs(tmp_path):
    """A directory with the run directories `good` and `bad`, the table `fair.tsv`, and the labels of its records."""
    for name, wrong in (("good", IDS[:2]), ("bad", IDS[:16])):
        lay_out(tmp_path, {f"{name}/predictions.tsv": to_predictions(IDS, wrong), f"{name}/splits.tsv": to_splits(IDS)})
    lay_out(
        tmp_path,
        {
            "good/config.yaml": "preset: kmer\nmodel: {k: 3}\n",
            "good/meta.json": '{"num_parameters": 66}',
            "fair.tsv": to_predictions(IDS[::-1], IDS[:8], classes=("b", "a")),
            "labels.tsv": to_splits(IDS),
        },
    )
    return tmp_path


@pytest.fixture
def compare(genomix, runs):
    """Compare in that directory and return what `--json` prints."""

    def compare(*arguments):
        done = genomix("compare", *arguments, "--json", directory=runs)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    return compare


def test_runs_are_set_against_the_first(compare):
    found = compare("good", "bad", "fair.tsv")
    assert (found["num_records"], found["baseline"], found["classes"]) == (40, "good", ["a", "b"])
    good, bad, fair = found["runs"]
    assert (good["run"], good["model"], good["num_parameters"]) == ("good", "kmer", 66)
    assert (fair["run"], fair["model"], fair["num_parameters"]) == ("fair.tsv", None, None)
    assert [run["values"]["accuracy"] for run in found["runs"]] == [38 / 40, 24 / 40, 32 / 40]
    assert not good["differences"]
    assert good["mcnemar"] is None
    assert bad["differences"]["accuracy"]["difference"] == pytest.approx(-14 / 40)
    assert bad["differences"]["accuracy"]["p"] < 0.01
    assert bad["mcnemar"] == {
        "both_right": 24, "only_run_right": 0, "only_baseline_right": 14, "both_wrong": 2, "p": 2 / 2**14
    }  # fmt: skip
    assert (fair["mcnemar"]["both_right"], fair["mcnemar"]["only_baseline_right"]) == (32, 6)


def test_real_runs_have_the_metrics_that_their_training_printed(genomix, run, kmer_run):
    done = genomix("compare", run, kmer_run, "--metric", "log_loss,brier", "--resamples", 100, "--json")
    assert done.code == 0, done.stderr
    network, kmer = json.loads(done.stdout)["runs"]
    for found, path in ((network, run), (kmer, kmer_run)):
        stated = json.loads((path / "metrics.json").read_text())
        assert found["model"] == stated["model"]
        assert found["num_parameters"] == json.loads((path / "meta.json").read_text())["num_parameters"]
        assert list(found["values"]) == ["log_loss", "brier"]
        for name, value in found["values"].items():
            assert value == pytest.approx(stated["metrics"]["values"][name], abs=1e-5)


def test_a_run_that_uses_another_encoder_than_its_preset_is_called_so(compare, runs):
    lay_out(runs, {"bad/config.yaml": "preset: paramixer\nmodel: {encoder: {name: transformer}}\n"})
    assert [run["model"] for run in compare("good", "bad")["runs"]] == ["kmer", "paramixer with transformer"]


@pytest.mark.parametrize("arguments", [["good", "bad", "--baseline", "bad/"], ["good", "--baseline", "bad"]])
def test_the_baseline_is_one_of_the_runs_or_a_further_one(compare, arguments):
    found = compare(*arguments)
    assert found["baseline"] == "bad"
    (good,) = (run for run in found["runs"] if run["run"] == "good")
    assert good["differences"]["accuracy"]["difference"] == pytest.approx(14 / 40)


def test_tables_are_compared_on_the_records_of_the_labels(genomix, runs):
    lay_out(runs, {"half.tsv": to_splits(IDS[:20], split="val") + to_splits(IDS[20:]).partition("\n")[2]})
    words = ["compare", "good/predictions.tsv", "fair.tsv", "--labels", "half.tsv", "--split", "val", "--json"]
    done = genomix(*words, directory=runs)
    found = json.loads(done.stdout)
    assert found["num_records"] == 20
    assert [run["values"]["accuracy"] for run in found["runs"]] == [18 / 20, 12 / 20]
    left_out = "predictions of records that are not compared: 20 of 40 of good/predictions.tsv, 20 of 40 of fair.tsv"
    assert left_out in found["notes"]
    assert "not compared" not in done.stderr


def test_skipped_and_unpredicted_records_are_left_out_and_counted(genomix, runs):
    lay_out(
        runs,
        {
            "one.tsv": to_predictions(IDS[:30], [], skipped=["r3", "r4"]),
            "two.tsv": to_predictions(IDS[:30], [], skipped=["r4", "r5"]),
        },
    )
    done = genomix("compare", "one.tsv", "two.tsv", "-l", "labels.tsv", "--json", directory=runs)
    assert json.loads(done.stdout)["num_records"] == 27
    assert "3 records were skipped when predicting and are not compared, such as 'r3'" in done.stderr
    assert "10 of 40 records with a label have no prediction and are not compared" in done.stderr


def test_records_that_a_run_was_trained_on_are_warned_of(genomix, runs):
    lay_out(runs, {"bad/splits.tsv": to_splits(IDS[:7], split="train") + to_splits(IDS[7:]).partition("\n")[2]})
    done = genomix("compare", "good", "bad", directory=runs)
    assert "bad: 7 of its 40 records were used in its training" in done.stderr
    assert "good:" not in done.stderr


def test_options_of_the_bootstrap_change_the_intervals(compare):
    usual, again, *others = (
        compare("good", "bad", *words) for words in ([], [], ["--seed", 1], ["--resamples", 500], ["--confidence", 0.5])
    )
    assert usual == again
    assert (usual["num_resamples"], usual["seed"], usual["confidence_level"]) == (2000, 0, 0.95)
    spread = [other["runs"][1]["differences"]["log_loss"]["interval"] for other in (usual, *others)]
    assert len({json.dumps(one) for one in spread}) == 4
    assert spread[3]["high"] - spread[3]["low"] < 0.7 * (spread[0]["high"] - spread[0]["low"])


def test_a_pipe_gets_every_column_whole_in_one_table(genomix, runs):
    long = "a-run-directory-with-quite-a-long-name/that-lies-deep[1]"
    (runs / long).parent.mkdir()
    shutil.copytree(runs / "bad", runs / long)
    done = genomix("compare", "good", long, "fair.tsv", "--metric", METRICS, "--holm", directory=runs)
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert all(name.replace("_", " ") in lines[2] for name in METRICS.split(","))
    assert sum(long in line for line in lines) == 1 + 10 + 1
    for words in ("40 records (95 % bootstrap intervals)", "run less baseline good", "McNemar", "p (Holm)"):
        assert words in done.stdout
    assert "p is not adjusted for there being 2 runs to set against the baseline; p (Holm) is" in done.stdout


@pytest.mark.parametrize("columns", [30, 60, 80, 100])
def test_a_terminal_gets_every_name_and_number_whole(runs, monkeypatch, capsys, columns):
    lay_out(runs, {"bad/config.yaml": "preset: paramixer\nmodel: {encoder: {name: linear-transformer}}\n"})
    monkeypatch.chdir(runs)
    found = compare_runs(["good", "bad", "fair.tsv"], metrics=METRICS.split(","), num_resamples=100)
    monkeypatch.setenv("COLUMNS", "1000")
    print_comparison(found, holm=True)
    words = set(capsys.readouterr().out.split())
    for name, value in (("COLUMNS", str(columns)), ("FORCE_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    print_comparison(found, holm=True)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    for word in words:
        assert word.strip("─") in shown
    assert max(len(line) for line in shown.splitlines() if line.startswith(" ")) <= max(columns, 42)
    assert "paramixer with linear-transformer" in shown


def test_records_are_called_held_out_where_that_is_known(genomix, compare, runs):
    def first_line(*words):
        done = genomix("compare", *words, directory=runs)
        assert done.code == 0, done.stderr
        return done.stdout.partition(" (")[0], done

    title, done = first_line("good", "bad")
    assert (title, done.stderr) == ("40 held-out records", "")
    assert "it is not known" not in done.stdout
    title, done = first_line("good", "fair.tsv")
    assert (title, done.stderr) == ("40 records", "")
    assert done.stdout.count("it is not known what was trained on of fair.tsv:") == 1
    lay_out(runs, {"bad/splits.tsv": to_splits(IDS, split="train")})
    assert first_line("good", "bad")[0] == "40 records"
    assert [compare("good", run)["held_out"] for run in ("bad", "fair.tsv")] == [False, None]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_records_to_train_on_are_said_to_be(genomix, runs, split):
    lay_out(runs, {"labels.tsv": to_splits(IDS, split=split)})
    words = ["compare", "good/predictions.tsv", "fair.tsv", "--labels", "labels.tsv", "--split", split]
    done = genomix(*words, directory=runs)
    assert done.stdout.startswith(f"40 records of the split {split} (")
    assert done.stderr.startswith(f"warning: --split {split}: these are records to ") == (split != "test")


def test_an_evaluation_knows_what_its_run_was_trained_on(genomix, compare, runs):
    stated = json.dumps({"model": "lost", "sequences": ["x.fa"]})
    lay_out(runs, {"eval/predictions.tsv": to_predictions(IDS, IDS[:3]), "eval/metrics.json": stated})
    assert compare("good", "eval")["held_out"] is None
    lay_out(runs, {"lost/splits.tsv": to_splits(IDS[:28], split="train") + to_splits(IDS[28:]).partition("\n")[2]})
    done = genomix("compare", "good", "eval", directory=runs)
    assert "eval: 28 of its 40 records were used in its training" in done.stderr
    assert done.stdout.startswith("40 records (")


def test_p_values_are_said_to_be_unadjusted_where_that_matters(genomix, runs):
    assert "not adjusted" not in genomix("compare", "good", "bad", directory=runs).stdout
    shown = genomix("compare", "good", "bad", "fair.tsv", directory=runs).stdout
    assert "p is not adjusted for there being 2 runs to set against the baseline; --holm" in shown
    assert "p (Holm)" not in shown


def test_the_table_has_a_row_for_each_run_and_metric(genomix, compare, runs):
    words = ["compare", "good", "bad", "fair.tsv", "--metric", "mcc", "--metric", "ece", "-o", "out.tsv"]
    assert genomix(*words, directory=runs).code == 0
    rows = rows_of((runs / "out.tsv").read_text())
    assert [(row["run"], row["metric"]) for row in rows] == [
        (run, metric) for run in ("good", "bad", "fair.tsv") for metric in ("mcc", "ece")
    ]
    assert rows[0]["num_parameters"] == "66"
    assert rows[0]["difference"] == rows[0]["mcnemar_p"] == ""
    bad = compare("good", "bad", "fair.tsv", "--metric", "mcc,ece")["runs"][1]
    stated = bad["differences"]["mcc"]
    for column, value in (
        ("value", bad["values"]["mcc"]),
        ("low", bad["intervals"]["mcc"]["low"]),
        ("difference", stated["difference"]),
        ("difference_high", stated["interval"]["high"]),
        ("p", stated["p"]),
        ("p_holm", stated["p_holm"]),
        ("only_baseline_right", bad["mcnemar"]["only_baseline_right"]),
        ("mcnemar_p", bad["mcnemar"]["p"]),
        ("mcnemar_p_holm", bad["mcnemar_p_holm"]),
    ):
        assert float(rows[2][column]) == value, column
    assert genomix(*words, directory=runs).code == CANNOT_WRITE
    assert genomix(*words, "--force", directory=runs).code == 0


def test_the_mend_for_folds_names_their_number(genomix, runs):
    folds = "id\tlabel\tfold\n" + "".join(f"{name}\t{'ab'[row % 2]}\t{1 + row % 3}\n" for row, name in enumerate(IDS))
    lay_out(runs, {"good/splits.tsv": folds, "bad/predictions.tsv": to_predictions(IDS[:20], [])})
    said = genomix("compare", "good", "bad", directory=runs).stderr
    assert "(genomix train data.fa good/splits.tsv --folds 3 -o ...)" in said
    assert "bad/splits.tsv -o ...)" in genomix("compare", "bad", "good", directory=runs).stderr


def test_help_waits_for_no_heavy_import(environment):
    program = (
        "import atexit, sys; sys.argv = ['genomix', 'compare', '--help'];"
        "atexit.register(lambda: print(*{'torch', 'numpy', 'scipy'} & set(sys.modules), file=sys.stderr, end=''));"
        "from genomix.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("Usage: genomix compare [OPTIONS] [RUN]...")
    assert "--threads" in done.stdout
