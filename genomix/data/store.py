"""Encoded bases on disk: one byte a base, memory-mapped, and made once for the same content."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genomix.data import cache
from genomix.data.cache import default_cache_dir
from genomix.data.compression import display_name
from genomix.data.records import OnInvalid, ReadReport, expand_inputs
from genomix.data.sources import Source, open_sources
from genomix.data.store_headers import StoredHeaders
from genomix.data.store_writer import BASES, HEADERS, INDEX, META, SKIPPED, VERSION, sync, write_store
from genomix.errors import DataError, NoInputError, Problems

__all__ = ["Store", "build_store", "default_cache_dir"]

_LOG = logging.getLogger(__name__)


class Store:
    """The encoded records of some files, in order. It is pickled as its path, and opened again from there.

    Attributes:
        directory: Where it is.
        files: The inputs as the user named them.
        ids: The id of each record.
        headers: The header of each record.
        lengths: (R,) int64, in bp.
        num_unknown: (R,) int64, how many bases of each record are N.
        file_indices: (R,) int32, the rows of `files`.
        sha256: Of the content: that of the file, or of the list of these if there are many.
        report: What was read, mapped and left out.
    """

    def __init__(self, directory: Path, files: Sequence[str]) -> None:
        meta = _read_meta(directory)
        self.directory = directory
        self.files = list(files)
        self.report = ReadReport(files=[display_name(file) for file in files], **meta["report"])
        hashes: list[str] = meta["sha256"]
        self.sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        self._ids_are_unique: bool = meta["ids_are_unique"]
        index = np.load(directory / INDEX)
        self.lengths = np.ascontiguousarray(index["length"])
        self.num_unknown = np.ascontiguousarray(index["num_unknown"])
        self.file_indices = np.ascontiguousarray(index["file"])
        self._offsets = np.ascontiguousarray(index["offset"])
        self._lines = np.ascontiguousarray(index["line"])
        text = _map(directory / HEADERS)
        self.ids = StoredHeaders(text, index, only_id=True)
        self.headers = StoredHeaders(text, index, only_id=False)
        self._bases = _map(directory / BASES)

    @classmethod
    def open(cls, directory: Path, files: Sequence[str]) -> Store:
        """Open a store that was built from these files.

        Raises:
            DataError: It is not whole.
        """
        return cls(directory, files)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.directory, self.files)

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, i: int, start: int = 0, end: int | None = None) -> np.ndarray:
        """Return the tokens of record i from `start` to `end` (half-open, bp), uint8, read-only, without a copy.

        Raises:
            IndexError: The range does not lie within the record.
        """
        length = int(self.lengths[i])
        end = length if end is None else end
        if not 0 <= start <= end <= length:
            raise IndexError(f"{start}..{end} is not within record {i} of {length} bp")
        offset = int(self._offsets[i])
        return self._bases[offset + start : offset + end]

    def source(self, i: int) -> str:
        """Return what the file of record i is called in messages."""
        return self.report.files[int(self.file_indices[i])]

    def line(self, i: int) -> int:
        """Return the line of the header of record i in its file, from 1."""
        return int(self._lines[i])

    def place(self, i: int) -> str:
        """Return `file:line` of record i."""
        return f"{self.source(i)}:{self.line(i)}"

    @cached_property
    def skipped_ids(self) -> frozenset[str]:
        """Ids of the records that were left out because of invalid letters."""
        return frozenset((self.directory / SKIPPED).read_text(encoding="utf-8").split("\n")) - {""}

    def report_repeated_ids(self, problems: Problems) -> None:
        """Add a problem for each record whose id an earlier one has, with both places."""
        if self._ids_are_unique:
            return
        hashes = np.fromiter((hash(name) for name in self.ids), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        repeats = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        suspects = np.unique(np.concatenate([order[repeats], order[repeats + 1]]))
        first_rows: dict[str, int] = {}
        for row in suspects.tolist():
            first = first_rows.setdefault(self.ids[row], row)
            if first != row:
                problems.add(
                    f'{self.place(row)}: record "{self.ids[row]}": the record at {self.place(first)} has the same id;'
                    " ids end at the first blank and must differ, so rename or remove one"
                )


def build_store(
    paths: Sequence[str],
    *,
    cache_dir: Path | None = None,
    on_invalid: OnInvalid = "error",
    unique_ids: bool = True,
    log: Callable[[str], None] = _LOG.warning,
    problems: Problems | None = None,
) -> Store:
    """Encode files into the cache, or open what an earlier run with the same content left there.

    Any number of processes may do so at once: each builds beside the others, and the first to finish is used by all.

    Args:
        paths: Files, directories or `-`.
        cache_dir: Instead of `default_cache_dir()`.
        on_invalid: See `genomix.data.records.read_records`; skipped records are not in the store.
        unique_ids: Whether repeated ids are an error.
        log: Told what the user should know, a sentence at a time.
        problems: What was found wrong before with data that belong to these; raised together.

    Raises:
        NoInputError: A file does not exist or is empty, or no record is left.
        DataError: A file is damaged, or some records are bad; all of them at once.
        CannotWriteError: The cache is full or cannot be written.
    """
    problems = problems or Problems()
    files = expand_inputs(paths, log)
    root = cache.usable_cache_dir(cache_dir, log) / "store"
    try:
        root.mkdir(exist_ok=True)
        cache.remove_leftovers(root)
        with open_sources(files, root) as sources:
            content = json.dumps([VERSION, on_invalid, [source.sha256 for source in sources]])
            final = root / hashlib.sha256(content.encode()).hexdigest()
            store = _open_if_whole(final, files)
            if store is None:
                store = _build(final, sources, files, on_invalid, unique_ids, problems)
    except OSError as error:
        raise cache.cannot_write(root, error) from None
    if unique_ids:
        store.report_repeated_ids(problems)
    problems.raise_if_any()
    for warning in store.report.warnings():
        log(warning)
    return store


def _build(
    final: Path, sources: list[Source], files: list[str], on_invalid: OnInvalid, unique_ids: bool, problems: Problems
) -> Store:
    unfinished = final.parent / f"{cache.UNFINISHED}{uuid.uuid4().hex}"
    unfinished.mkdir()
    num_problems = problems.total
    try:
        write_store(unfinished, sources, on_invalid=on_invalid, problems=problems)
        store = Store(unfinished, files)
        if problems.total > num_problems:
            if unique_ids:
                store.report_repeated_ids(problems)
            problems.raise_if_any()
        if not len(store):
            raise NoInputError(f"{', '.join(store.report.files)}: no record is left; mend the sequences")
        return _publish(unfinished, final, files)
    finally:
        cache.remove(unfinished)


def _publish(unfinished: Path, final: Path, files: list[str]) -> Store:
    try:
        unfinished.rename(final)
    except OSError:
        if (store := _open_if_whole(final, files)) is not None:
            return store  # another job was first
        torn = final.parent / f"{cache.UNFINISHED}{uuid.uuid4().hex}"
        final.rename(torn)
        cache.remove(torn)
        unfinished.rename(final)
    sync(final.parent)
    return Store(final, files)


def _open_if_whole(directory: Path, files: Sequence[str]) -> Store | None:
    try:
        return Store(directory, files)
    except DataError:
        return None


def _read_meta(directory: Path) -> dict[str, Any]:
    try:
        meta = json.loads((directory / META).read_text(encoding="utf-8"))
        whole = meta["version"] == VERSION and all(
            (directory / name).stat().st_size == size for name, size in meta["sizes"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        whole, meta = False, {}
    if not whole:
        raise DataError(f"{directory}: is no whole store of sequences; delete it, and it is made again")
    return meta


def _map(path: Path) -> np.ndarray:
    if not path.stat().st_size:
        return np.empty(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))
