"""The tables of `accuracy.py`: one a set, one of all sets and models, and one a model for its card."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from measured import METRICS, TITLES, Row, Summary, best_of, conditions, markdown_table, mean_of, succeeded, summarise
from scipy.stats import rankdata

from genomix.metrics import HIGHER_IS_BETTER

WIDE = ("mcc", "accuracy")
"""Metrics of the tables of all sets and models: those that published figures are in."""
NOTE = (
    "In brackets 95 % bootstrap intervals over the records of one training, averaged over seeds; behind ± the standard "
    "deviation over seeds. The best of a column is bold."
)


def write_markdown(rows: Sequence[Row]) -> str:
    """Write the tables of all sets and models, then one a set, under headings of the third level."""
    parts = [NOTE]
    for metric in WIDE:
        parts += [f"### {TITLES[metric]}: sets and models", wide_table(rows, metric)]
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name]
        parts += [f"### {name}", set_table(of_set), f"{judged_on(of_set)} {conditions(of_set)}"]
    return "\n\n".join(parts)


def set_table(rows: Sequence[Row]) -> str:
    """Write the models on one set, the best MCC first, those behind that failed."""
    models = group(rows, "model")
    summaries = {
        name: {metric: summarise(succeeded(own), metric) for metric in METRICS} for name, own in models.items()
    }
    best = {metric: best_of((one[metric] for one in summaries.values()), metric) for metric in METRICS}

    def place(name: str) -> float:
        found = summaries[name][METRICS[0]]
        return float("inf") if found is None else -found.mean

    lines = []
    for name in sorted(models, key=place):
        cells = [cell(summaries[name][metric], best[metric]) for metric in METRICS]
        lines.append([f"`{name}`", *cells, *costs(models[name]), told(models[name])])
    columns = ["model", *(TITLES[metric] for metric in METRICS), "parameters", "training (s)", "epochs", "runs"]
    return markdown_table(columns, lines)


def wide_table(rows: Sequence[Row], metric: str) -> str:
    """Write one metric of all sets and models, the best of each set bold; what there are more of are the rows."""
    models = list(group(rows, "model"))
    if len(models) > len(group(rows, "set")):
        return _long_table(rows, metric)
    lines = []
    for name, of_set in group(rows, "set").items():
        own = group(succeeded(of_set), "model")
        summaries = [summarise(own.get(model, []), metric) for model in models]
        best = best_of(summaries, metric)
        lines.append([name, *(short_cell(one, best) for one in summaries)])
    return markdown_table(["set", *(f"`{model}`" for model in models)], lines)


def _long_table(rows: Sequence[Row], metric: str) -> str:
    """Write a row a model and a column a set, and the mean of a model's ranks on the sets it was run on.

    One that failed is behind all others.
    """
    models, sets = list(group(rows, "model")), group(rows, "set")
    places: dict[str, list[float]] = {model: [] for model in models}
    cells: dict[str, list[str]] = {model: [] for model in models}
    sign = -1 if HIGHER_IS_BETTER[metric] else 1
    for of_set in sets.values():
        own = group(of_set, "model")
        found = {model: summarise(succeeded(own[model]), metric) for model in own}
        best = best_of(found.values(), metric)
        ranks = rankdata([float("inf") if one is None else sign * one.mean for one in found.values()])
        for model, rank in zip(found, ranks.tolist(), strict=True):
            places[model].append(rank)
        for model in models:
            cells[model].append(short_cell(found.get(model), best))
    means = {model: fmean(ranks) for model, ranks in places.items()}
    lines = [[f"`{model}`", *cells[model], f"{means[model]:.1f}"] for model in sorted(models, key=means.__getitem__)]
    return markdown_table(["model", *sets, "mean rank"], lines)


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


def short_cell(summary: Summary | None, best: float | None) -> str:
    """Write a metric without its interval; the best one bold."""
    if summary is None:
        return "-"
    deviation = "" if summary.deviation is None else f" ± {summary.deviation:.3f}"
    return _bold(f"{summary.mean:.3f}{deviation}", summary, best)


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
