"""Reports of runs that lack files, have damaged ones, are of an older version, or are several runs."""

import json
import shutil

import pytest
from made_up import report, results_of, write_run

from genomix.data.checks import Check, Checks, write_checks
from genomix.errors import CannotWriteError, DataError, NoInputError
from genomix.report import write_report

LACKING = {
    "history.csv": ("learning", "No learning curves"),
    "predictions.tsv": ("mistakes", "No curves, reliability, groups of records and mistakes"),
    "splits.tsv": ("mistakes", "No counts by class and split, and nothing of single records"),
    "calibration.json": (None, "No reliability before calibration"),
    "held_out.tsv": ("similarity", "Nothing on similarity to the training records, and none of GC"),
    "checks.json": ("checks", "No checks of the data"),
    "meta.json": ("versions", "No command, device, versions and hashes"),
    "config.yaml": (None, "No configuration"),
}

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize("name", LACKING)
def test_a_missing_file_leaves_out_its_section_and_is_said(run, name):
    (run / name).unlink()
    section, sentence = LACKING[name]
    page = report(run)
    assert section not in [attributes["id"] for attributes in page.all("section")]
    assert f"{sentence}: there is no {name}" in page.text
    assert [entry for entry in LACKING.values() if entry[1] in page.text] == [LACKING[name]]


def test_metrics_alone_make_a_report(run):
    for path in run.iterdir():
        if path.name != "metrics.json":
            path.unlink()
    page = report(run)
    assert [section["id"] for section in page.all("section")] == ["results", "confusion", "classes", "lacking"]
    assert all(sentence in page.text for _, sentence in LACKING.values())


def test_predictions_of_other_records_are_left_out_and_said(run):
    lines = (run / "splits.tsv").read_text().splitlines(keepends=True)
    (run / "splits.tsv").write_text("".join(lines[:-30]))
    page = report(run)
    assert "30 predictions are left out" in page.text
    assert "of 90 records are wrong" in page.text
    (run / "splits.tsv").write_text("".join(lines[:50]))
    assert "those of predictions.tsv are not in splits.tsv" in report(run).text


def test_an_older_configuration_with_unknown_keys_is_shown(run):
    (run / "config.yaml").write_text("training:\n  metric: mcc\n  long_gone: 3\n")
    page = report(run)
    assert "long_gone: 3" in page.text
    assert "Matthews correlation" in page.text[: page.text.index("Before believing it")]


def verdict_of(page):
    return next(entry["class"] for entry in page.all("div") if entry.get("class", "").startswith("verdict"))


def test_a_failed_check_stands_first_whatever_the_figures(run):
    assert verdict_of(report(run)) == "verdict warn"
    checks = [Check("near_duplicates", "FAIL", "They are copies."), Check("gc_shortcut", "WARN", "GC tells.")]
    write_checks(run / "checks.json", Checks(checks[::-1], {}, {}, {}))
    page = report(run)
    assert verdict_of(page) == "verdict fail"
    assert page.text.index("A check of the data failed (near duplicates)") < page.text.index("Better than")
    assert page.text.index("They are copies.") < page.text.index("GC tells.")
    write_checks(run / "checks.json", Checks([Check("lengths", "PASS", "Alike.")], {}, {}, {}))
    assert verdict_of(report(run)) == "verdict pass"


def test_warnings_of_the_log_are_shown_once(run):
    log = (
        "2026-01-02 03:04:05,678 INFO 240 records\n"
        "2026-01-02 03:04:05,679 WARNING the column split has no val: 20 of 120 train records became val\n"
        "2026-01-02 03:04:05,680 WARNING check: Length predicts the class.\n"
        "2026-01-02 03:04:05,681 WARNING the column split has no val: 20 of 120 train records became val\n"
    )
    (run / "train.log").write_text(log)
    text = report(run).text
    assert text.count("The column split has no val: 20 of 120 train records became val.") == 1
    assert text.count("Length predicts the class.") == 2


DAMAGE = {
    "metrics.json": ('{"metrics": {}}', "[1, 2", "\0"),
    "meta.json": ("{}", "[]"),
    "calibration.json": ("[]", '{"temperature": 0}'),
    "checks.json": ("{}", "?"),
    "history.csv": ("epoch,train_loss,best\n1,much,1\n", "1,2,3\n4,5,6\n"),
    "splits.tsv": ("", "id\tlabel\n", "id\tlabel\tsplit\na\tb\n", "id\tlabel\tfold\na\n"),
    "predictions.tsv": ("id\tlabel\n", "id\tprobability_a\tprobability_b\nx\t2\t3\n"),
    "held_out.tsv": ("id\tlength\n",),
    "config.yaml": ("a: [1", "- 1\n"),
}


@pytest.mark.parametrize(("name", "content"), [(name, text) for name, texts in DAMAGE.items() for text in texts])
def test_a_damaged_file_is_named_and_nothing_is_written(run, name, content):
    (run / "report.html").write_text("old")
    (run / name).write_text(content)
    with pytest.raises(DataError, match=name):
        write_report(run)
    assert (run / "report.html").read_text() == "old"


@pytest.mark.parametrize("name", [*DAMAGE, "train.log"])
def test_a_file_that_is_no_text_is_named(run, name):
    (run / name).write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match=name):
        write_report(run)


def test_results_that_contradict_themselves_are_damaged(run):
    results = results_of(run)
    results["metrics"]["confusion"][0][0] += 1
    (run / "metrics.json").write_text(json.dumps(results))
    with pytest.raises(DataError, match=r"metrics\.json: .*do not fit each other"):
        write_report(run)


def test_a_label_that_is_no_class_is_named(run):
    path = run / "splits.tsv"
    path.write_text(path.read_text().replace("record-200\tvirus", "record-200\tfungus"))
    with pytest.raises(DataError, match=r'splits\.tsv: record "record-200" has the label \'fungus\''):
        write_report(run)


def test_bad_places_are_named(run, tmp_path):
    with pytest.raises(NoInputError, match="no such run directory"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInputError, match=r"no metrics\.json"):
        write_report(tmp_path / "empty")
    with pytest.raises(CannotWriteError):
        write_report(run, tmp_path / "no" / "such" / "place.html")


def test_folds_are_shown_one_by_one_and_over_each_other(tmp_path):
    run = write_run(tmp_path / "run", folds=3)
    page = report(run)
    assert "240 records, each left out of one fold" in page.text
    assert "240 in 3 folds of 80 to 80" in page.text
    assert "accuracy 0.700 0.050 0.650 0.700 0.750" in page.text
    assert "3 folds; figures of training are those of the first" in page.text
    assert all(f"fold-{number}: training loss" in page.alts[0].lower() for number in (1, 2, 3))
    order = [section["id"] for section in page.all("section")]
    assert order.index("checks") < order.index("folds") < order.index("again")


def test_answers_sets_and_levels_of_an_evaluation_are_told(run):
    results = results_of(run)
    results["answered"] = {
        "min_confidence": 0.8,
        "num_records": 120,
        "num_answered": 60,
        "share": 0.5,
        "accuracy": 0.95,
        "interval": {"low": 0.86, "high": 0.99},
    }
    results["coverage"] = {
        "stated": 0.9,
        "found": 0.925,
        "interval": {"low": 0.86, "high": 0.96},
        "mean_size": 1.3,
        "num_records": 120,
    }
    results["levels"] = {"realm": results["baselines"]["kmer"]}
    del results["baselines"], results["split"]
    (run / "metrics.json").write_text(json.dumps(results))
    page = report(run)
    said = (
        "60 of 120 records were answered with a confidence of 0.8 or more; of these 0.950 are right (0.860 to 0.990)."
    )
    assert said in page.text
    assert "0.925 of the sets of labels hold the right one (0.860 to 0.960), where 0.9 was asked for" in page.text
    accuracy = results["levels"]["realm"]["values"]["accuracy"]
    assert f"realm 3 {accuracy:.3f} " in page.text
    assert "Nothing here says whether the model has seen these records before." in page.text


def test_several_labels_a_record_leave_out_what_needs_one(run):
    results = results_of(run)
    for metrics in (results["metrics"], *results["baselines"].values()):
        metrics["confusion"] = []
    (run / "metrics.json").write_text(json.dumps(results))
    (run / "config.yaml").write_text("data:\n  labels: multi\n")
    page = report(run)
    names = [section["id"] for section in page.all("section")]
    assert not {"confusion", "curves", "confidence", "mistakes"} & set(names)
    assert "a record may have several labels" in page.text
    assert "there is no predictions.tsv" not in page.text


def test_members_are_sorted_by_number(run):
    for number in (10, 2, 1):
        member = run / f"member-{number}"
        member.mkdir()
        shutil.copy(run / "history.csv", member)
    alt = report(run).alts[0]
    assert alt.index("ember-1:") < alt.index("member-2:") < alt.index("member-10:")


def test_more_classes_than_a_matrix_bears(tmp_path):
    classes = [f"class-{number:02}" for number in range(45)]
    run = write_run(tmp_path / "run", classes, num_records=450, skill=1.0)
    page = report(run)
    assert "A matrix of 45 classes is too large to be read" in page.text
    assert "The largest confusions" in page.text
    assert len(page.all("details")) == 3
    results = results_of(run)["metrics"]
    worst = sorted(results["per_class"], key=lambda entry: entry["roc_auc"])[:5]
    assert f"worst of 45 classes: {worst[0]['label']} {worst[0]['roc_auc']:.3f}" in " ".join(page.alts)
    assert "the 40 other classes, none with a smaller area, not drawn" in page.text
    counts = results["confusion"]
    largest = max((counts[i][j], -i, -j) for i in range(45) for j in range(45) if i != j)
    first = f"{classes[-largest[1]]} {classes[-largest[2]]} {largest[0]} "
    assert page.text.split("of the class ")[1].startswith(first)
