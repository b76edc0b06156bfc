"""Parts of a table of predictions: each a table of its own with a record beside it, and how they are put together."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from genomix.data.prediction_rows import PARQUET_GROUP_ROWS
from genomix.data.predictions import PARQUET_SUFFIX
from genomix.errors import DataError
from genomix.files import atomic_path, hash_file, write_text

SUFFIX = ".shard.json"
SCHEMA_VERSION = 1


class Part(BaseModel):
    """What stands in the file beside a part of a table.

    Attributes:
        schema_version: Of the file.
        number: Which part it is, from 1.
        count: How many parts there are.
        num_chunks: Chunks of the whole input.
        origin: What decides the rows, by name: the model, the input, and every option that matters.
        machine: What it was computed on, which may change the last digits.
        num_records, num_bases: Of the records in it.
        labels, statuses: How often each is in it.
        sha256: Of the table.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    number: int
    count: int
    num_chunks: int
    origin: dict[str, str]
    machine: str
    num_records: int = 0
    num_bases: int = 0
    labels: dict[str, int] = {}
    statuses: dict[str, int] = {}
    sha256: str = ""


def record_path(table: Path) -> Path:
    """Return the file beside a table that says which part it is."""
    return table.with_name(table.name + SUFFIX)


def write_part(part: Part, path: Path) -> None:
    """Write what is to be known of a part.

    Raises:
        CannotWriteError: If it cannot be written.
    """
    write_text(path, part.model_dump_json(indent=2) + "\n")


def read_part(path: Path) -> Part:
    """Read what is known of a part.

    Raises:
        DataError: If there is nothing, or it is damaged or that of a newer version.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(stated, dict) and int(stated.get("schema_version", 0)) > SCHEMA_VERSION:
            raise DataError(f"{path}: written by a newer genomix (schema {stated['schema_version']}); update genomix")
        return Part.model_validate(stated)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; predict this shard again with --force, or copy both files") from None
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise DataError(f"{path}: is damaged; predict this shard again with --force") from error


def differences(part: Part, expected: Part) -> list[str]:
    """Return in what a part is not of the same table as another, a line each; none if they go together."""
    found = {"chunks of the input": part.num_chunks, "parts": part.count} | part.origin
    wanted = {"chunks of the input": expected.num_chunks, "parts": expected.count} | expected.origin
    return [
        f"{name}: {_short(found.get(name))} there, {_short(wanted.get(name))} here"
        for name in dict.fromkeys([*part.origin, *expected.origin, *found])
        if found.get(name) != wanted.get(name)
    ]


def _short(value: object) -> str:
    """Shorten a sha256."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


def is_whole(table: Path, part: Part) -> bool:
    """Say whether a table is there, and as it was when it was written."""
    return table.is_file() and hash_file(table) == part.sha256


@contextmanager
def joined(tables: Sequence[Path], output: Path) -> Generator[Path]:
    """Write the rows of tables of the same columns one after another, as one table of the same format.

    Args:
        tables: All of text (any of them gzipped) or all Parquet; at least one.
        output: Where to, whole or not at all; compressed if its name ends in `.gz`.

    Yields:
        The temporary path of the table, which gets its name when the block ends well.

    Raises:
        CannotWriteError: If it cannot be written.
    """
    with atomic_path(output) as temporary:
        if output.suffix == PARQUET_SUFFIX:
            _join_parquet(tables, temporary)
        else:
            with ExitStack() as opened:
                target: Any = opened.enter_context(temporary.open("wb"))
                if output.suffix == ".gz":
                    target = opened.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0))
                join_text(tables, target)
                target.flush()  # as the text stream of a table does, which ends a block of the compressed stream
        yield temporary


def join_text(tables: Sequence[Path], target: Any) -> None:
    """Write the header of the first table of text, and the rows of all, to a binary stream."""
    for number, table in enumerate(tables):
        with gzip.open(table) if table.suffix == ".gz" else table.open("rb") as source:
            header = source.readline()
            while ".csv" in table.suffixes and header.count(b'"') % 2:  # a line break within quotes
                header += source.readline()
            if not number:
                target.write(header)
            shutil.copyfileobj(source, target)


def _join_parquet(tables: Sequence[Path], output: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = parquet.read_schema(tables[0])
    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        waiting = schema.empty_table()
        for table in tables:
            for batch in parquet.ParquetFile(table).iter_batches(PARQUET_GROUP_ROWS):
                waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
                while len(waiting) >= PARQUET_GROUP_ROWS:
                    writer.write_table(waiting.slice(0, PARQUET_GROUP_ROWS).combine_chunks())
                    waiting = waiting.slice(PARQUET_GROUP_ROWS)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())
