"""Writes measured figures into the cards of the models and the pages that have marks for them.

The figures are read from benchmarks/results: `speed.csv` and `speed-busy.csv`, which `genomix benchmark --csv` writes,
any number of `.json` files, which `compare_models.py --results` writes, `adding.jsonl`, which `length_error.py` writes,
and `accuracy.tsv` and `encoders.tsv`, which `accuracy.py` writes. The pages are docs/models.md, docs/simulate.md and
docs/accuracy.md.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accuracy_tables import card_text, write_markdown
from compare_models import METRICS, to_markdown
from measured import Row, read_tsv

from genomix.errors import NoInputError
from genomix.files import write_text

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMPARISON = {"title", "max_length", "minutes", "rows"}
"""Keys of the results of a comparison; other files of results do not have them all."""
ACCURACY = {"accuracy": "Accuracy on sets with official splits", "encoders": "The network alone, in equal time"}
"""What `accuracy.py` writes: names of marks, and the titles they have in a card."""
MEASURED, ABLATIONS = "measured", "ablations"
"""Names of marks: what stands between `<!-- NAME -->` and `<!-- /NAME -->` is written by commands."""


def marks_of(name: str) -> tuple[str, str]:
    """Return the marks of a name: what begins and what ends."""
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def replace_marked(path: Path, text: str, name: str = MEASURED) -> bool:
    """Put a text between the marks of a file, and say whether there are any; a file without them is left alone."""
    start, stop = marks_of(name)
    before, begin, rest = path.read_text(encoding="utf-8").partition(start)
    _, end, behind = rest.partition(stop)
    if begin and end:
        write_text(path, f"{before}{begin}\n{text}\n{end}{behind}")
    return bool(begin and end)


def write_accuracy_page(rows: Sequence[Row], part: str) -> None:
    """Put the tables of `accuracy.py` into their part, one of `ACCURACY`, of docs/accuracy.md."""
    replace_marked(ROOT / "docs" / "accuracy.md", write_markdown(rows), part)


def write_accuracy_cards(rows: Sequence[Row], part: str) -> None:
    """Put what each model reached by `accuracy.py` into that part, one of `ACCURACY`, of its card."""
    for card in sorted((ROOT / "models").glob("*/README.md")):
        if text := card_text(rows, card.parent.name):
            _put_into(card, text, part, ACCURACY[part])


def find_marks(name: str) -> Path:
    """Return docs/accuracy.md, if it has marks of that name.

    Raises:
        NoInputError: If it has none.
    """
    page = ROOT / "docs" / "accuracy.md"
    start, stop = marks_of(name)
    if not page.is_file() or stop not in page.read_text(encoding="utf-8").partition(start)[2]:
        raise NoInputError(f"{page}: has no {start} and {stop} to write between")
    return page


def find_card(model: str) -> Path:
    """Return the card of a preset.

    Raises:
        NoInputError: If it has none.
    """
    card = ROOT / "models" / model / "README.md"
    if not card.is_file():
        raise NoInputError(f"{card}: there is no such card to write into")
    return card


def write_ablations_card(model: str, text: str) -> None:
    """Put what `ablations.py` found of the variants of a preset into its card.

    Raises:
        NoInputError: If it has none.
    """
    _put_into(find_card(model), text.lstrip("\n"), ABLATIONS, "What each part is worth")


def _put_into(card: Path, text: str, name: str, title: str) -> None:
    """Put a text between the marks of a card; one without marks gets a section at its end."""
    if not replace_marked(card, text, name):
        before = card.read_text(encoding="utf-8").rstrip("\n")
        write_text(card, f"{before}\n\n## {title}\n\n<!-- {name} -->\n{text}\n<!-- /{name} -->\n")


def read_speed() -> list[dict[str, str]]:
    """Return the rows of the speed benchmark; those taken on a busy machine say so, and give way to others."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, busy in (("speed-busy.csv", "yes"), ("speed.csv", "")):
        if (RESULTS / name).exists():
            with (RESULTS / name).open(newline="") as table:
                rows |= {(row["model"], row["length"]): row | {"busy": busy} for row in csv.DictReader(table)}
    return list(rows.values())


def read_comparisons() -> list[dict[str, Any]]:
    """Return the results of comparisons on sets of data."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    return sorted((one for one in found if one.keys() >= COMPARISON), key=lambda results: results["max_length"])


def number(text: str) -> str:
    """Round a figure of the table of speeds to three digits; what was not measured stays empty."""
    return f"{float(text):.3g}" if text else "-"


def speed_table(rows: list[dict[str, str]], *, named: bool) -> str:
    """Write speed and memory, a row for a model and length."""
    columns = ["model"] * named + ["bp", "training step (s)", "inference (s)", "training (MiB)", "inference (MiB)"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [f"`{row['model']}`"] * named + [f"{int(row['length']):,}"]
        if row["status"] == "ok":
            cells += [number(row[name]) for name in ("train_step_s", "inference_s")]
            cells += [f"{float(row[name]):,.0f}" for name in ("peak_memory_mib", "inference_peak_memory_mib")]
        else:
            cells += [row["status"], "", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    settings = {
        f"{row['threads']} threads, {row['dtype']}, {row['processor']}" for row in rows if row["status"] == "ok"
    }
    conditions = f"One record, {'; '.join(sorted(settings))}"
    lines += ["", f"{conditions}; the memory is that of the whole process, as `genomix benchmark` measures it."]
    busy = dict.fromkeys(f"`{row['model']}`" for row in rows if row["busy"])
    if busy:
        lines[-1] += (
            f" Other work ran beside {', '.join(busy)}: these times are upper bounds, up to several times too long."
        )
    return "\n".join(lines)


def accuracy_table(model: str, comparisons: list[dict[str, Any]]) -> str:
    """Write what one model reached on each set of data."""
    lines = ["| data | sizes | parameters | " + " | ".join(METRICS) + " |", "|---" * (3 + len(METRICS)) + "|"]
    for results in comparisons:
        for row in results["rows"]:
            if row["model"] == model and METRICS[0] in row:
                cells = ["{:.3f} ({:.3f} to {:.3f})".format(*row[name]) for name in METRICS]
                sizes = ", ".join(f"{key} {value}" for key, value in row["sizes"].items()) or "its own"
                lines.append(f"| {results['title']} | {sizes} | {row['parameters']:,} | {' | '.join(cells)} |")
    if len(lines) == 2:
        return ""
    lines += ["", f"{conditions(comparisons)}. docs/models.md sets all models beside each other."]
    return "\n".join(lines)


def conditions(comparisons: list[dict[str, Any]]) -> str:
    """Say how the comparisons were made."""
    return "; ".join(f"{one['title']}: trained for {one['minutes']:g} minutes on one thread" for one in comparisons)


def error_table(rows: list[dict[str, Any]]) -> str:
    """Write the errors by length, a row a model."""
    lengths = sorted({row["length"] for row in rows})
    lines = ["| model | parameters | " + " | ".join(f"{length:,}" for length in lengths) + " |"]
    lines.append("|---" * (2 + len(lengths)) + "|")
    for model in dict.fromkeys(row["model"] for row in rows):
        errors = {row["length"]: row["error"] for row in rows if row["model"] == model}
        counts = sorted({row["parameters"] for row in rows if row["model"] == model})
        count = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        cells = [f"{errors[length]:g}" if length in errors else "" for length in lengths]
        lines.append(f"| `{model}` | {count} | {' | '.join(cells)} |")
    minutes = sorted({row["minutes"] for row in rows})
    spent = f"at most {minutes[-1]:g} minutes at a length, on one thread; one seed"
    lines += ["", f"Wrong answers in per cent of 1,000 new records by length; {spent}."]
    return "\n".join(lines)


def main() -> None:
    """Fill in every card that has figures, and the page of all models."""
    speed, comparisons = read_speed(), read_comparisons()
    for card in sorted((ROOT / "models").glob("*/README.md")):
        model = card.parent.name
        rows = [row for row in speed if row["model"] == model]
        parts = [speed_table(rows, named=False)] if rows else []
        parts += [table for table in [accuracy_table(model, comparisons)] if table]
        if parts:
            replace_marked(card, "\n\n".join(parts))
    whole = [
        f"### {one['title']}\n\n{one['minutes']:g} minutes on one thread each, {one['jobs']} at a time; "
        f"{one['max_length']:,} bp read at once; learning rate {one['learning_rate']:g}; one seed.\n\n"
        f"{to_markdown(one)}"
        for one in comparisons
    ]
    if speed:
        whole.append("### Speed and memory\n\n" + speed_table(speed, named=True))
    adding = RESULTS / "adding.jsonl"
    if adding.exists():
        rows = [json.loads(line) for line in adding.read_text().splitlines()]
        replace_marked(ROOT / "docs" / "simulate.md", error_table(rows))
    if whole:
        replace_marked(ROOT / "docs" / "models.md", "\n\n".join(whole))
    for part in ACCURACY:
        if (RESULTS / f"{part}.tsv").exists():
            rows = read_tsv(RESULTS / f"{part}.tsv")
            write_accuracy_page(rows, part)
            write_accuracy_cards(rows, part)


if __name__ == "__main__":
    main()
