"""The page of a report: what its sections are made of, and the template that turns them into one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from genomix.report.picture import Picture

TEMPLATE = "report.html"


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: What it says.
        small: Said below it in smaller letters.
        share: From 0 to 1, how strongly the cell is coloured.
        status: A word that the style sheet has a colour for, such as FAIL.
    """

    text: str
    small: str = ""
    share: float | None = None
    status: str = ""


@dataclass(frozen=True)
class Table:
    """A table; numbers stand at the right.

    Attributes:
        header: Names of the columns.
        rows: Their cells.
        caption: What it shows.
        num_texts: So many columns at the left hold text, the others numbers.
        is_stacked: Whether a phone shows each row as lines below each other instead of a table to be pushed sideways.
        is_folded: Whether it is hidden until the reader opens it.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    num_texts: int = 1
    is_stacked: bool = False
    is_folded: bool = False

    @property
    def is_matrix(self) -> bool:
        """Whether its cells are coloured by their shares."""
        return any(cell.share is not None for row in self.rows for cell in row)


class Code(NamedTuple):
    """Text to be copied or kept as it is; with a title it is folded away."""

    text: str
    title: str = ""


@dataclass
class Section:
    """A part of the page.

    Attributes:
        name: For links within the page.
        title: Its heading.
        sentences: What is said first.
        pictures: Beside each other where there is room.
        tables: Below the pictures.
        codes: At the end.
    """

    name: str
    title: str
    sentences: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.sentences or self.pictures or self.tables or self.codes)


@dataclass(frozen=True)
class Page:
    """All that a report says.

    Attributes:
        title: Of the window and of the head.
        subtitle: Under it.
        verdict: The result in plain words, a headline and sentences.
        status: PASS, WARN, FAIL or nothing: the colour of the verdict.
        warnings: What to know before believing it: pairs of a status and a sentence.
        sections: The parts.
        lacking: Sentences on what is not there, and why.
        footer: Who made it.
    """

    title: str
    subtitle: str
    headline: str
    verdict: list[str]
    status: str
    warnings: list[tuple[str, str]]
    sections: list[Section]
    lacking: list[str]
    footer: str


def cells(*texts: str) -> list[Cell]:
    """Return plain cells."""
    return [Cell(text) for text in texts]


def render(page: Page) -> str:
    """Return the page as one HTML file that needs no other; every text in it is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("genomix.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(page=page)
