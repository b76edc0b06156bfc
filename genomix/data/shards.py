"""Shards: a stream of records cut into chunks from its beginning, and which of them belong to which shard.

Numbers that a network computes depend in their last digits on what else is in a batch. So each chunk is scored by
itself, whoever scores it: the rows of a chunk are the same in a whole prediction, in any shard, and after a resume.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from genomix.errors import UsageError

if TYPE_CHECKING:
    from genomix.data.records import Record

CHUNK_RECORDS = 8192
"""Most records of a chunk."""


@dataclass(frozen=True)
class Shard:
    """One of several jobs that share a prediction.

    Attributes:
        number: From 1 to `count`.
        count: How many there are.
    """

    number: int
    count: int

    def __str__(self) -> str:
        """Return it as users write it."""
        return f"{self.number}/{self.count}"

    def of(self, num_chunks: int) -> range:
        """Return its chunks: shards in order are all chunks in order, and their numbers differ by one at most."""
        return range((self.number - 1) * num_chunks // self.count, self.number * num_chunks // self.count)


class ChunkSize(NamedTuple):
    """Where a chunk ends: after the record with which it has this many bases or records."""

    bases: int
    records: int = CHUNK_RECORDS


def parse_shard(text: str) -> Shard:
    """Read a shard as users write it, such as `3/16`.

    Raises:
        UsageError: If it is none.
    """
    match = re.fullmatch(r"\s*([0-9]+)\s*/\s*([0-9]+)\s*", text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"--shard {text!r}: write it as NUMBER/COUNT, the first one of 16 as 1/16, the last as 16/16")
    return Shard(number, count)


def cut(records: Iterable[Record], size: ChunkSize) -> Iterator[Iterator[Record]]:
    """Yield the chunks of a stream of records; what is left of one is passed over when the next is asked for."""
    stream = iter(records)
    for first in stream:
        chunk = _take(first, stream, size)
        yield chunk
        for _ in chunk:
            pass


def _take(record: Record, stream: Iterator[Record], size: ChunkSize) -> Iterator[Record]:
    num_bases, num_records = len(record.tokens), 1
    yield record
    while num_bases < size.bases and num_records < size.records:
        following = next(stream, None)
        if following is None:
            return
        num_bases += len(following.tokens)
        num_records += 1
        yield following
