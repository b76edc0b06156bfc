"""The report of a run: its files in, one page out."""

from __future__ import annotations

from pathlib import Path

from genomix import checkpoint
from genomix.files import write_text
from genomix.report.confidence import describe_confidence
from genomix.report.confusion import describe_confusion
from genomix.report.curves import draw_curves
from genomix.report.files import RunFiles, read_run
from genomix.report.learning import draw_learning
from genomix.report.origin import describe_repeating, describe_training
from genomix.report.page import Page, Section, render
from genomix.report.records import describe_mistakes, describe_similarity
from genomix.report.results import describe_checks, describe_classes, describe_folds, describe_levels, describe_results
from genomix.report.scored import Scored, join
from genomix.report.strata import draw_strata
from genomix.report.verdict import Verdict, judge
from genomix.report.wording import capital, count_of, listed

NAMED = 8
"""Classes under the title."""


def write_report(directory: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a run directory, or of a directory of several runs, from the files in it alone.

    The same files give the same bytes.

    Args:
        directory: The run directory.
        path: The report; by default `report.html` in the directory. What is there is replaced.

    Returns:
        The path of the report.

    Raises:
        NoInputError: If there is no such directory, or it has no results.
        DataError: If a file in it is damaged.
        CannotWriteError: If the report cannot be written.
    """
    path = Path(directory) / checkpoint.REPORT if path is None else Path(path)
    write_text(path, render(compose(read_run(Path(directory)))))
    return path


def compose(files: RunFiles) -> Page:
    """Say what the files of a run say."""
    scored = join(files)
    verdict = judge(files.results, files.metric, scored, files.labelled)
    similarity = describe_similarity(files.held_out, files.results.split)
    classes = files.results.metrics.classes
    named = ", ".join(classes[:NAMED]) + (f" and {len(classes) - NAMED} more" if len(classes) > NAMED else "")
    version = files.meta.versions.get("genomix", "") if files.meta else ""
    return Page(
        title=f"{files.results.model}: {count_of(len(classes), 'class', 'classes')}",
        subtitle=named,
        headline=verdict.headline + ".",
        verdict=[*_doubts(files), *verdict.sentences, *([similarity] if similarity else [])],
        status=_status(verdict, files),
        warnings=_warnings(files),
        sections=_sections(files, scored, similarity),
        lacking=_lacking(files, scored),
        footer="Made by genomix report" + (f"; trained with genomix {version}." if version else "."),
    )


def _sections(files: RunFiles, scored: Scored | None, similarity: str | None) -> list[Section]:
    """Return the sections in their order, those left out for which there is nothing."""
    results = files.results
    sections = [describe_training(files), describe_results(results, files.metric)]
    if results.levels:
        sections.append(describe_levels(results.levels))
    if any(files.histories.values()):
        histories = {name: rows for name, rows in files.histories.items() if rows}
        sections.append(Section("learning", "Learning curves", pictures=draw_learning(histories, files.metric)))
    if results.metrics.confusion:
        sections.append(describe_confusion(results.metrics))
    sections.append(describe_classes(results.metrics))
    if scored is not None and files.labelled is not None:
        if pictures := draw_curves(scored, results.metrics):
            sections.append(Section("curves", "ROC and precision-recall", pictures=pictures))
        sections.append(describe_confidence(scored, files.calibration))
        if pictures := draw_strata(scored):
            sections.append(Section("strata", "Which records are right", pictures=pictures))
        sections.append(describe_mistakes(scored, files.labelled))
    if similarity is not None:
        sections.append(Section("similarity", "How similar the held-out records are to those trained on", [similarity]))
    if files.checks is not None:
        sections.append(describe_checks(files.checks))
    if results.folds:
        sections.append(describe_folds(results))
    sections += describe_repeating(files)
    return [section for section in sections if not section.is_empty]


def _status(verdict: Verdict, files: RunFiles) -> str:
    """Return the colour of the verdict: FAIL, WARN or PASS."""
    checked = files.checks.worst if files.checks else "PASS"
    if checked == "FAIL" or "worse" in verdict.standings.values():
        return "FAIL"
    is_plain = verdict.standings and set(verdict.standings.values()) == {"better"} and files.results.split != "val"
    return "PASS" if is_plain and checked == "PASS" else "WARN"


def _doubts(files: RunFiles) -> list[str]:
    """Say which checks of the data failed."""
    failed = [check for check in (files.checks.checks if files.checks else []) if check.status == "FAIL"]
    if not failed:
        return []
    names = listed([check.name.replace("_", " ") for check in failed])
    said = "A check of the data failed" if len(failed) == 1 else f"{len(failed)} checks of the data failed"
    return [f"{said} ({names}): see below what that means for these figures."]


def _warnings(files: RunFiles) -> list[tuple[str, str]]:
    """Return what to know before believing the results: failed checks, warnings of checks, warnings of the training."""
    checks = files.checks.checks if files.checks else []
    found = [
        (check.status, check.sentence) for status in ("FAIL", "WARN") for check in checks if check.status == status
    ]
    said = [sentence for _, sentence in found]
    logged = [text for text in files.warnings if not any(sentence in text for sentence in said)]
    return found + [("WARN", f"{capital(text).rstrip('.')}.") for text in logged]


def _lacking(files: RunFiles, scored: Scored | None) -> list[str]:
    """Say what is not in the report, and why."""
    num_left_out = scored.num_left_out if scored is not None else 0
    absent = [
        (
            not any(files.histories.values()),
            f"No learning curves: there is no {checkpoint.HISTORY} (k-mer counts have none).",
        ),
        (
            files.is_multi,
            "No confusion matrix, curves, reliability, groups and mistakes: a record may have several labels.",
        ),
        (
            files.predictions is None and not files.is_multi,
            f"No curves, reliability, groups of records and mistakes: there is no {checkpoint.PREDICTIONS}.",
        ),
        (
            files.labelled is None,
            f"No counts by class and split, and nothing of single records: there is no {checkpoint.SPLITS}.",
        ),
        (
            None not in (files.predictions, files.labelled) and scored is None,
            f"Nothing of single records: those of {checkpoint.PREDICTIONS} are not in {checkpoint.SPLITS}.",
        ),
        (
            num_left_out > 0,
            f"{num_left_out:,} predictions are left out: skipped, or without a label in {checkpoint.SPLITS}.",
        ),
        (files.calibration is None, f"No reliability before calibration: there is no {checkpoint.CALIBRATION}."),
        (
            files.held_out is None,
            f"Nothing on similarity to the training records, and none of GC: there is no {checkpoint.HELD_OUT}.",
        ),
        (files.checks is None, f"No checks of the data: there is no {checkpoint.CHECKS} (genomix check makes them)."),
        (files.meta is None, f"No command, device, versions and hashes: there is no {checkpoint.META}."),
        (files.config is None, f"No configuration: there is no {checkpoint.CONFIG}."),
    ]
    return [sentence for is_absent, sentence in absent if is_absent]
