"""Pictures of the report: vector graphics for the inside of a page, in the colours of its style sheet."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PAPER, FAINT, GRID = "#101112", "#fefdfc", "#8a8b8c", "#d0d1d2"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Colours that most colour-blind people tell apart (Okabe and Ito 2008)."""
VARIABLES = {INK: "ink", PAPER: "paper", FAINT: "faint", GRID: "grid"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)
}
"""What stands for each colour in the page, whose style sheet has other values for a dark screen."""
WIDTH, HEIGHT = 4.4, 3.1
"""Inches, in which letters of 9 and 10 points are as many pixels high on a phone, and more on a wide screen."""
STYLE = {
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.5,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"


class Key(NamedTuple):
    """A line of a legend: the colour, one of `VARIABLES`, what it stands for, and whether it is a dashed line."""

    colour: str
    text: str
    is_dashed: bool = False

    @property
    def variable(self) -> str:
        """Name of the colour in the style sheet."""
        return VARIABLES[self.colour]


@dataclass(frozen=True)
class Picture:
    """A picture with what must be said beside it.

    Attributes:
        title: What it shows.
        alt: Its message in figures, for those who do not see it.
        drawing: The inside of an `svg` element, its texts escaped.
        view_box: Of that element.
        legend: What its colours stand for, written by the page, where labels of any length have room.
        note: How to read it.
        is_wide: Whether it needs the whole width of the page.
    """

    title: str
    alt: str
    drawing: str
    view_box: str
    legend: list[Key] = field(default_factory=list)
    note: str = ""
    is_wide: bool = False


def draw(
    title: str,
    alt: str,
    paint: Callable[[Axes], None],
    *,
    legend: list[Key] | None = None,
    note: str = "",
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> Picture:
    """Let `paint` draw into new axes; the same strokes always give the same picture.

    Args:
        title: What it shows.
        alt: Its message in figures.
        paint: Draws, in the colours of `VARIABLES`.
        legend: What its colours stand for.
        note: How to read it.
        size: Width and height in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    content = io.BytesIO()
    style: dict[Any, Any] = {**STYLE, "svg.hashsalt": title}  # names that no other picture of the page has
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has others
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02))
        paint(figure.subplots())
        figure.savefig(content, format="svg", transparent=True)
    root = ET.fromstring(content.getvalue())  # noqa: S314 (made here)
    return Picture(title, alt, _inside(root), root.attrib["viewBox"], legend or [], note, size[0] > WIDTH)


def _inside(root: ET.Element) -> str:
    """Return what an `svg` element holds as a part of a page: colours by name, no style and no names for all of it."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if element.tag == "g":
            element.attrib.pop("id", None)
        if _LINK in element.attrib:
            element.set("href", element.attrib.pop(_LINK))
        if "style" in element.attrib:
            element.set("style", _style(element.attrib["style"]))
    shown = [child for child in root if child.tag == "g"]
    return "".join(ET.tostring(child, encoding="unicode", short_empty_elements=True) for child in shown)


def _style(style: str) -> str:
    """Name the colours, and leave the choice of the font to the page."""
    stated = [part.strip().partition(": ") for part in style.split(";") if part.strip()]
    return "; ".join(
        f"{name}: var(--{VARIABLES[value]})" if value in VARIABLES else f"{name}: {value}"
        for name, _, value in stated
        if name != "font-family"
    )
