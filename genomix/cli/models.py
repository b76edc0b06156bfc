"""`genomix models`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

KMER_COST = "N"
PARAMIXER_COSTS = {"chord": "N log^2 N", "cdil": "N log N"}
"""Costs by the protocol, of presets with the encoder that has two of them."""
OWN_WORDS = {
    "paramixer-cdil": "Paramixer with dilated links (CDIL).",
    "paramixer-paper": "The network published for genomes, with a position-bound head.",
    "psf": "Paramixer's ancestor: g(X), not the product so far, is added after each factor.",
}
"""What presets are that bear another name than their encoder."""
OWN_SOURCES = {"psf": "Khalitov, Yu, Cheng, Yang 2022 (Neural Networks)"}
"""Sources of presets whose encoder has another."""

TITLE = "names for --model; N is the number of positions that a layer sees"
CAPTION = "not any length: made for records up to model.max_length bases; of longer ones it reads parts at a time"
NARROW, WIDTH = 80, 100
"""Columns: a terminal with fewer has no room for the table, and that of the table in a file or a pipe."""


@dataclass(frozen=True)
class Listed:
    """One preset.

    Attributes:
        name: For `--model`.
        encoder: The encoder between stem and pooling; None where there is no network.
        cost: How the computation of a layer grows with the positions N of a record.
        any_length: Whether one network fits records of every length; otherwise its parameters belong to positions, and
            a record longer than its `max_length` is read in windows.
        source: The paper it comes from; None for what is common knowledge.
        what: A sentence.
    """

    name: str
    encoder: str | None
    cost: str
    any_length: bool
    source: str | None
    what: str


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects as JSON, not a table.")] = False,
) -> None:
    """List what --model can name: each preset, its encoder, what it costs by length, and where it comes from."""
    listed = list_models()
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in listed], indent=2) + "\n")
    else:
        print_models(listed)


def list_models() -> list[Listed]:
    """Return every preset, among them one for each encoder, in the order of `PRESETS`."""
    from genomix.config import ENCODER_SECTIONS, PRESETS, KmerConfig, ParamixerConfig, make_config

    listed = []
    for name in PRESETS:
        model = make_config(name).model
        if isinstance(model, KmerConfig):
            listed.append(Listed(name, None, KMER_COST, True, None, _first_line(KmerConfig)))
            continue
        encoder, chosen = model.encoder.name, model.encoder
        section = ENCODER_SECTIONS[encoder]
        source = OWN_SOURCES.get(name, section.SOURCE)
        listed.append(
            Listed(
                name,
                encoder,
                PARAMIXER_COSTS[chosen.protocol] if isinstance(chosen, ParamixerConfig) else section.COST,
                not model.is_position_bound,
                source,
                OWN_WORDS.get(name, _first_line(section)),
            )
        )
    return listed


def print_models(listed: Sequence[Listed]) -> None:
    """Print one row a preset on stdout, or a block of lines each where the terminal is narrow; names are whole."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genomix.cli.tables import print_table

    console = Console()
    if console.is_terminal and console.width < NARROW:
        _print_blocks(listed)
        return
    table = Table(title=TITLE, caption=CAPTION, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("--model", no_wrap=True)
    table.add_column("encoder", no_wrap=True)
    table.add_column("cost in N", max_width=17)
    table.add_column("any\nlength")
    table.add_column("what it is, and its source")
    for one in listed:
        said = one.what + (f"\n{one.source}" if one.source else "")
        table.add_row(Text(one.name), _encoder(one), Text(one.cost), "yes" if one.any_length else "no", Text(said))
    print_table(table, width=WIDTH)


def _print_blocks(listed: Sequence[Listed]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    console.print(Text(TITLE))
    for one in listed:
        length = "any length" if one.any_length else "not any length"
        console.print(Text(f"\n{one.name}", style="bold"))
        for line in (f"encoder {_encoder(one)}, cost {one.cost}, {length}", one.what, one.source):
            if line:
                console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    console.print(Text(f"\n{CAPTION}"))


def _encoder(one: Listed) -> str:
    return "-" if one.encoder is None else "same" if one.encoder == one.name else one.encoder


def _first_line(section: type) -> str:
    return (inspect.getdoc(section) or "").partition("\n")[0]
