"""The report of a complete run: what it says, in which order, and that nothing else is needed to read it."""

import csv
import json
import re
import shutil

import numpy as np
from made_up import CLASSES, HASH, report, results_of, write_run

from genomix.report import write_report

ORDER = [
    "training",
    "results",
    "learning",
    "confusion",
    "classes",
    "curves",
    "confidence",
    "strata",
    "mistakes",
    "similarity",
    "checks",
    "again",
    "versions",
]


def rows_of(path):
    with path.open() as text:
        return list(csv.DictReader(text, delimiter="\t"))


def held_out(run):
    """Predictions with the right label of each."""
    label_of = {row["id"]: row["label"] for row in rows_of(run / "splits.tsv")}
    return [row | {"true": label_of[row["id"]]} for row in rows_of(run / "predictions.tsv")]


def test_sections_stand_in_their_order_and_nothing_is_lacking(page):
    assert [section["id"] for section in page.all("section")] == ORDER
    assert "Not in this report" not in page.text


def test_links_lead_to_places_in_the_page_and_no_name_is_there_twice(page):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    targets = [link["href"] for link in page.all("a")]
    assert targets == [f"#{name}" for name in ORDER]
    used = {attributes["href"] for attributes in page.all("use")}
    assert used <= {f"#{name}" for name in names}


def test_everything_that_is_opened_is_closed(page):
    assert page.open == []


def test_nothing_is_loaded_and_nothing_runs(page, made_up_run):
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "img", "object")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("#", "data:image/png"))
    text = (made_up_run / "report.html").read_text()
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "http" not in text


def test_every_picture_has_an_alternative_text_in_figures(page):
    assert len(page.all("svg")) == len(page.all("figure")) == 9
    for picture in page.all("svg"):
        assert picture["role"] == "img"
        assert re.search(r"\d", picture["aria-label"])


def test_head_names_metric_interval_records_and_standing(page, made_up_run):
    metrics = results_of(made_up_run)["metrics"]
    interval = metrics["intervals"]["f1_macro"]
    stated = (
        f"Macro F1 {metrics['values']['f1_macro']:.3f} (95 % interval {interval['low']:.3f} to {interval['high']:.3f}) "
        "on 120 test records: better than the k-mer baseline and the majority baseline."
    )
    assert stated in page.text


def test_warnings_stand_before_the_sections(page):
    assert page.text.index("Length predicts the class.") < page.text.index("What was trained on what")
    assert page.text.count("Length predicts the class.") == 2
    assert page.text.count("No copies.") == 1


def test_origin_is_told(page):
    for said in ("240: 100 train, 20 validation, 120 test", "2 min 5 s", "cpu, 2 threads", "2026-01-02 03:04 UTC"):
        assert said in page.text
    assert "genomix train 'my data.fa' labels.tsv" in page.text
    assert HASH in page.text
    assert "schema_version: 1" in page.text
    assert "3; the weights are those of epoch 3" in page.text


def test_tables_hold_every_metric_of_every_model_and_class(page, made_up_run):
    results = results_of(made_up_run)
    models = [results["metrics"], *results["baselines"].values()]
    for model in models:
        for name, interval in model["intervals"].items():
            low, high = interval["low"], interval["high"]
            between = f" {low:.3f} to {high:.3f}" if low < high else ""
            assert f" {model['values'][name]:.3f}{between} " in page.text
    for entry in results["metrics"]["per_class"]:
        figures = [entry[name] for name in ("precision", "recall", "f1", "roc_auc", "pr_auc")]
        assert f"{entry['label']} 40 " + " ".join(f"{figure:.3f}" for figure in figures) in page.text


def test_confusion_matrix_has_counts_and_shares_of_rows(page, made_up_run):
    rows = held_out(made_up_run)
    for label in CLASSES:
        taken = [row["label"] for row in rows if row["true"] == label]
        counts = [taken.count(other) for other in CLASSES]
        assert f"{label} " + " ".join(f"{count} {100 * count / 40:.1f} %" for count in counts) in page.text


def test_learning_curves_tell_their_ends_and_the_epoch_that_was_kept(page):
    loss, score = page.alts[:2]
    assert loss == (
        "Training loss from 1.100 to 0.700, validation loss from 1.000 to 0.800, lowest 0.800, in 3 epochs, epoch 3 "
        "kept."
    )
    assert score == "Macro F1 from 0.400 to 0.600, 0.600 in epoch 3, which was kept."


def test_worst_mistakes_are_the_most_confident_wrong_ones(page, made_up_run):
    wrong = [row for row in held_out(made_up_run) if row["label"] != row["true"]]
    worst = sorted(wrong, key=lambda row: -float(row["confidence"]))[:15]
    shown = page.text[page.text.index("The worst mistakes") :]
    assert f"{len(wrong)} of 120 records are wrong; below are the 15 made with most confidence." in shown
    places = [shown.index(f" {row['id']} {row['true']} {row['label']} record-0 phage") for row in worst]
    assert places == sorted(places)
    outside = next(row for row in wrong if row not in worst)
    assert f" {outside['id']} " not in shown


def test_similarity_to_the_training_records_is_told(page, made_up_run):
    similarity = np.array([float(row["similarity"]) for row in rows_of(made_up_run / "held_out.tsv")])
    alike = (similarity >= 0.9).sum()
    sentence = (
        f"{100 * alike / 120:.1f} % of 120 held-out records ({alike}) are at least 90 % like a training record; the "
        f"similarity to the nearest training record is {np.median(similarity):.3f} in the median and "
        f"{similarity.max():.3f} at most."
    )
    assert page.text.count(sentence) == 2


def test_calibration_errors_before_and_after_are_those_of_the_probabilities(page, made_up_run):
    rows = held_out(made_up_run)
    after = np.array([[float(row[f"probability_{label}"]) for label in CLASSES] for row in rows])
    temperature = json.loads((made_up_run / "calibration.json").read_text())["temperature"]
    before = after**temperature / (after**temperature).sum(axis=1, keepdims=True)
    truth = [row["true"] for row in rows]

    def error(probabilities):
        gap = 0
        for low in np.arange(15) / 15:
            inside = [
                (best.max(), CLASSES[best.argmax()] == true)
                for best, true in zip(probabilities, truth, strict=True)
                if low < best.max() <= low + 1 / 15
            ]
            gap += abs(sum(confidence - right for confidence, right in inside))
        return gap / len(probabilities)

    stated = f"before calibration {error(before):.3f}; calibrated, as predicted {error(after):.3f}."
    assert any(stated in alt for alt in page.alts)


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(made_up_run, page, tmp_path):
    copy = shutil.copytree(made_up_run, tmp_path / "elsewhere")
    (copy / "report.html").unlink()
    other = write_report(copy, tmp_path / "other.html")
    assert other.read_bytes() == (made_up_run / "report.html").read_bytes()
    assert not (copy / "report.html").exists()


def test_report_of_many_records_stays_small(tmp_path):
    run = write_run(tmp_path / "run", num_records=10_000)
    assert write_report(run).stat().st_size < 1_000_000


def test_names_are_text_and_nothing_else(tmp_path):
    odd = ("<script>alert(1)</script>", '$x_1$ & "y"', "_hidden {{ 7 * 7 }}", "中", "bell \a")
    classes = (*odd, "f", "g", "h", "i")
    run = write_run(tmp_path / "run", classes)
    for name in ("splits.tsv", "predictions.tsv", "held_out.tsv"):
        changed = (run / name).read_text().replace("record-", "<b onclick=alert(2)>-")
        (run / name).write_text(changed)
    found = report(run)
    assert found.all("script") == found.all("b onclick") == []
    assert not any("onclick" in attributes for _, attributes in found.elements)
    for label in odd:
        assert label in found.text
    assert "bell ?" in found.text
    assert "<b onclick=alert(2)>-" in found.text
    assert found.open == []
