"""The tables of `accuracy.py`: one a set, one of all sets and models, and one a model for its card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from measured import METRICS, TITLES, Row, Summary, best_of, conditions, markdown_table, mean_of, succeeded, summarise
from scipy.stats import rankdata
from set_notes import notes_on

from genomix.metrics import HIGHER_IS_BETTER

WIDE = ("mcc", "accuracy")
"""Metrics of the tables of all sets and models: those that published figures are in."""
NOTE = (
    "In brackets 95 % bootstrap intervals over the records of one training, averaged over seeds; behind ± the standard "
    "deviation over seeds. The best of a column is bold."
)
FAILED_NOTE = "Where runs failed the figure is the mean of the others: never bold, and behind all others in rank."


def write_markdown(rows: Sequence[Row]) -> str:
    """Write the tables of all sets and models, then one a set, under headings of the third level."""
    parts = [NOTE, *filter(None, [notes_on(row["set"] for row in rows)])]
    for metric in WIDE:
        parts += [f"### {TITLES[metric]}: sets and models", wide_table(rows, metric)]
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name]
        parts += [f"### {name}", set_table(of_set), f"{judged_on(of_set)} {conditions(of_set)}"]
    return "\n\n".join(parts)


def set_table(rows: Sequence[Row]) -> str:
    """Write the models on one set, the best MCC first, those behind of which a run failed."""
    models = group(rows, "model")
    summaries = {
        name: {metric: summarise(succeeded(own), metric) for metric in METRICS} for name, own in models.items()
    }
    best = {metric: best_without_failure(models.values(), metric) for metric in METRICS}

    def place(name: str) -> tuple[bool, float]:
        found = summaries[name][METRICS[0]]
        return num_failed(models[name]) > 0, float("inf") if found is None else -found.mean

    lines = []
    for name in sorted(models, key=place):
        failed = num_failed(models[name])
        cells = [cell(summaries[name][metric], None if failed else best[metric]) for metric in METRICS]
        lines.append([f"`{name}`", *cells, *costs(models[name]), told(models[name])])
    columns = ["model", *(TITLES[metric] for metric in METRICS), "parameters", "training (s)", "epochs", "runs"]
    return markdown_table(columns, lines)


def wide_table(rows: Sequence[Row], metric: str) -> str:
    """Write one metric of all sets and models, the best of each set bold; what there are more of are the rows.

    Where the models are the rows, the last column has the means of their ranks. A cell says if runs of it failed: then
    it is never the best.
    """
    models, sets = list(group(rows, "model")), group(rows, "set")
    cells: dict[str, dict[str, str]] = {}
    for name, of_set in sets.items():
        own = group(of_set, "model")
        best = best_without_failure(own.values(), metric)
        cells[name] = {model: short_cell(own.get(model, []), metric, best) for model in models}
    if len(models) > len(sets):
        text = _long_table(rows, metric, cells)
    else:
        lines = [[name, *of_set.values()] for name, of_set in cells.items()]
        text = markdown_table(["set", *(f"`{model}`" for model in models)], lines)
    return f"{text}\n\n{FAILED_NOTE}" if num_failed(rows) else text


def _long_table(rows: Sequence[Row], metric: str, cells: Mapping[str, Mapping[str, str]]) -> str:
    """Write a row a model and a column a set, and the mean of the model's ranks, the best first.

    Ranks are over the sets that all models were run on, which stands below unless these are all sets: to be the best
    of few models, or on sets that are easy, is no better rank.

    Args:
        rows: The runs.
        metric: What is ranked.
        cells: What the table says, by set and model.
    """
    models, sets = list(group(rows, "model")), group(rows, "set")
    common = [name for name, of_set in sets.items() if len(group(of_set, "model")) == len(models)]
    ranks = [rank_models(sets[name], metric) for name in common]
    means = {model: fmean(one[model] for one in ranks) if ranks else None for model in models}
    lines = [
        [f"`{model}`", *(of_set[model] for of_set in cells.values()), "-" if mean is None else f"{mean:.1f}"]
        for model, mean in sorted(means.items(), key=lambda item: item[1] or 0.0)
    ]
    text = markdown_table(["model", *sets, "mean rank"], lines)
    if not common:
        return f"{text}\n\nThere is no mean rank: no set is one that all models were run on."
    if others := [name for name in sets if name not in common]:
        return f"{text}\n\nThe mean rank is over {', '.join(common)}: not all models were run on {', '.join(others)}."
    return text


def rank_models(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Return the ranks of the models on one set, from 1; those of which a run failed share the last ones."""
    models = group(rows, "model")
    sign = -1 if HIGHER_IS_BETTER[metric] else 1
    values = []
    for own in models.values():
        found = None if num_failed(own) else summarise(own, metric)
        values.append(float("inf") if found is None else sign * found.mean)
    return dict(zip(models, rankdata(values).tolist(), strict=True))


def card_text(rows: Sequence[Row], model: str) -> str:
    """Write what one model reached on each set; nothing where it reached none."""
    own = [row for row in succeeded(rows) if row["model"] == model]
    if not own:
        return ""
    lines = []
    for name, of_set in group(own, "set").items():
        cells = [cell(summarise(of_set, metric), None) for metric in METRICS]
        lines.append([f"{name} ({of_set[0]['records']} {of_set[0]['split']} records)", *cells, *costs(of_set)])
    columns = ["set", *(TITLES[metric] for metric in METRICS), "parameters", "training (s)", "epochs"]
    return f"{markdown_table(columns, lines)}\n\n{conditions(own)} docs/accuracy.md sets all models beside each other."


def group(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    """Return the rows by what a column says, in the order in which that comes first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def judged_on(rows: Sequence[Row]) -> str:
    """Say which records the figures are of, and what it means if these are the validation records."""
    found = succeeded(rows)
    if not found:
        return ""
    counts = sorted({int(row["records"]) for row in found})
    number = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    if {row["split"] for row in found} == {"test"}:
        return f"Judged on {number} test records."
    why = "--judge val" if found[0].get("judge") == "val" else "the set has no test split"
    return f"Judged on {number} validation records ({why}), which chose the epoch: the figures are a little too good."


def cell(summary: Summary | None, best: float | None) -> str:
    """Write a metric; the best one bold."""
    return _bold(str(summary), summary, best) if summary else "-"


def short_cell(rows: Sequence[Row], metric: str, best: float | None) -> str:
    """Write a metric of runs that differ in their seed, without its interval; the best one bold, if no run failed."""
    summary, failed = summarise(succeeded(rows), metric), num_failed(rows)
    text = "-"
    if summary is not None:
        deviation = "" if summary.deviation is None else f" ± {summary.deviation:.3f}"
        text = _bold(f"{summary.mean:.3f}{deviation}", summary, None if failed else best)
    return f"{text} ({failed} of {len(rows)} failed)" if failed else text


def num_failed(rows: Sequence[Row]) -> int:
    """Count the runs that failed."""
    return len(rows) - len(succeeded(rows))


def best_without_failure(groups: Iterable[Sequence[Row]], metric: str) -> float | None:
    """Return the best mean of groups of runs of which none failed; None where there is no such group."""
    return best_of((summarise(own, metric) for own in groups if not num_failed(own)), metric)


def costs(rows: Sequence[Row]) -> list[str]:
    """Write the parameters, the seconds and the epochs of a run, on the mean."""
    means = [mean_of(succeeded(rows), name) for name in ("parameters", "seconds", "epochs")]
    return ["-" if mean is None else f"{mean:,.0f}" for mean in means]


def told(rows: Sequence[Row]) -> str:
    """Write how many runs there are, and why others failed."""
    reasons = dict.fromkeys(row["failure"] for row in rows if row["failure"])
    count = len(succeeded(rows))
    return f"{count} of {len(rows)}; failed: {'; '.join(reasons)}" if reasons else str(count)


def _bold(text: str, summary: Summary, best: float | None) -> str:
    return f"**{text}**" if summary.mean == best else text
