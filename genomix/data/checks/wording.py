"""Figures in sentences."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def count_of(count: int, noun: str) -> str:
    """Return `1 record` or `12 records`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def share_of(count: int, total: int, nouns: str) -> str:
    """Return `12 of 340 records (3.5 %)`; the nouns in plural."""
    return f"{count:,} of {total:,} {nouns} ({percent(count / total if total else 0)})"


def percent(share: float) -> str:
    """Return a share with two digits that count: `0.35 %`, `3.5 %`, `35 %`; never 0 % or 100 % for nearly that."""
    value = 100 * share
    if 0 < value < 0.01:
        return "<0.01 %"
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f} %"
    digits = 0 if value >= 10 or not value else 1 if value >= 1 else 2
    return f"{value:.{digits}f} %"


def listed(names: Sequence[str], total: int | None = None) -> str:
    """Return the first of some names in quotes, and how many others there are, of `total` or of all that are given."""
    text = ", ".join(f'"{name}"' for name in names[:SHOWN])
    more = (len(names) if total is None else total) - SHOWN
    return text + (f" and {more:,} more" if more > 0 else "")


def has(count: int) -> str:
    """Return `has` or `have`."""
    return "has" if count == 1 else "have"


def does(verb: str, count: int) -> str:
    """Return a verb for one or several: `repeats`, `repeat`."""
    return verb + "s" * (count == 1)


def sentence_of(parts: Sequence[str]) -> str:
    """Join findings, the first with a capital."""
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."
