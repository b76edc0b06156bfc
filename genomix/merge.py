"""Merging: the tables of all shards of a prediction become the table that one prediction would have written."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from genomix.data.journal import SUFFIX as JOURNAL
from genomix.data.parts import SUFFIX, Part, differences, is_whole, join_text, joined, read_part, record_path
from genomix.data.predictions import check_output
from genomix.errors import CannotWriteError, DataError, GenomixError, NoInputError, Problems, UsageError
from genomix.files import hash_file


class Merged(NamedTuple):
    """What was merged."""

    num_shards: int
    num_records: int


def merge(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    force: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Merged:
    """Write the rows of all shards in the order of the input, byte for byte as an unsharded prediction would.

    Args:
        paths: The tables of all shards, in any order, each with the file `<table>.shard.json` beside it. Such files
            may be among them.
        output: File to write, of the format of the shards (compressed or not); `-` is stdout, for text.
        force: Replace an existing file.
        warn: Called with each thing worth saying.

    Raises:
        UsageError: If the output is one of the shards or of another format.
        CannotWriteError: If the output exists (without `force`) and is not what is to be written, or cannot be written.
        NoInputError: If any of the tables is missing.
        DataError: If a shard is missing, there twice, damaged, changed, or of another model, input or command; all
            problems at once.
    """
    tables = [Path(path) for path in paths if not str(path).endswith(SUFFIX)]
    try:
        check_output(output, force=force)
    except CannotWriteError:
        if (merged := _find_merged(tables, Path(output))) is None:
            raise
        warn(f"{output}: is complete already; nothing was written")
        return merged
    _check_names(tables, output)
    parts = _read(tables)
    order = _in_order(parts)
    if len({part.machine for part in parts.values()}) > 1:
        warn("the shards come from different kinds of machines; last digits may differ from those of one run")
    if str(output) == "-":
        join_text(order, sys.stdout.buffer)
    else:
        with joined(order, Path(output)):
            pass
    return Merged(len(order), sum(part.num_records for part in parts.values()))


def _find_merged(tables: Sequence[Path], output: Path) -> Merged | None:
    """Return what is in the output, if that is all rows of these shards, byte for byte."""
    if not output.is_file():
        return None
    try:
        _check_names(tables, output)
        parts = _read(tables)
        directory = tempfile.TemporaryDirectory(dir=output.parent)
    except (GenomixError, OSError):
        return None
    with directory as name:
        again = Path(name) / output.name
        with joined(_in_order(parts), again):
            pass
        if hash_file(again) != hash_file(output):
            return None
    return Merged(len(parts), sum(part.num_records for part in parts.values()))


def _in_order(parts: dict[Path, Part]) -> list[Path]:
    return sorted(parts, key=lambda table: parts[table].number)


def _check_names(tables: Sequence[Path], output: str | Path) -> None:
    problems = Problems()
    if not tables:
        raise UsageError("no shards are given; name the tables that genomix predict --shard wrote")
    for table in tables:
        if table.is_dir() and table.name.endswith(JOURNAL):
            problems.add(f"{table}: is an unfinished prediction; finish it by genomix predict --resume")
        elif not table.is_file():
            problems.add(f"{table}: there is no such file; check the path")
    problems.raise_if_any(NoInputError)
    formats = {_format(table) for table in tables}
    own = _format(Path("-.tsv" if str(output) == "-" else output))
    if formats != {own}:
        found = ", ".join(sorted(formats))
        raise UsageError(f"{output}: the shards are {found} and stay what they are; give all tables the same suffix")
    if any(table.resolve() == Path(output).resolve() for table in tables):
        raise UsageError(f"{output}: is one of the shards; name another file")


def _format(table: Path) -> str:
    suffix = table.with_suffix("").suffix if table.suffix == ".gz" else table.suffix
    return suffix.lower()


def _read(tables: Sequence[Path]) -> dict[Path, Part]:
    """Read what is known of the shards, and find out whether they are all there and go together."""
    problems = Problems()
    parts: dict[Path, Part] = {}
    for table in tables:
        try:
            parts[table] = read_part(record_path(table))
        except DataError as error:
            problems.add(str(error))
            continue
        if not is_whole(table, parts[table]):
            problems.add(f"{table}: was changed or cut short after it was written; predict this shard again")
    if parts:
        _check_together(parts, problems)
    problems.raise_if_any()
    return parts


def _check_together(parts: dict[Path, Part], problems: Problems) -> None:
    kinds = [part.model_dump_json(include={"count", "num_chunks", "origin"}) for part in parts.values()]
    [(usual, _)] = Counter(kinds).most_common(1)
    model, first = next(
        (table, part) for (table, part), kind in zip(parts.items(), kinds, strict=True) if kind == usual
    )
    places: dict[int, Path] = {}
    for table, part in parts.items():
        if found := differences(part, first):
            problems.add(f"{table}: does not go with {model}: {'; '.join(found)}; predict this shard again")
        elif part.number in places:
            problems.add(f"{table}: is shard {part.number}/{part.count} like {places[part.number]}; name one of them")
        else:
            places[part.number] = table
    for number in sorted(set(range(1, first.count + 1)) - set(places)):
        problems.add(f"shard {number}/{first.count} is missing; predict it by --shard {number}/{first.count}")
