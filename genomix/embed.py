"""Vectors of records or windows: what the last, linear layer of a model reads, in input order and bounded memory.

P numbers in a vector, N positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genomix.data.dataset import collate
from genomix.data.records import OnInvalid, ReadReport, Record, expand_inputs, read_records
from genomix.data.vector_files import VectorWriter
from genomix.data.vocabulary import decode, reverse_complement
from genomix.data.windows import Window, central, cover, coverage_weights
from genomix.errors import NoInputError, Problems
from genomix.nn.build import padded_length
from genomix.nn.classifier import Network
from genomix.nn.kmer import KmerClassifier
from genomix.scoring import BATCHES_AHEAD, Scorer

Per = Literal["record", "window"]
COLUMNS: dict[Per, tuple[str, tuple[str, ...]]] = {
    "record": ("ids", ("lengths",)),
    "window": ("sequences", ("starts", "ends")),
}
"""The names of what stands beside the vectors."""
MOST_NUMBERS = 1 << 23
"""Numbers of vectors that are computed at once; `BATCHES_AHEAD` times as many are held."""


@dataclass
class Summary:
    """What was embedded.

    Attributes:
        dim: P.
        num_rows: Vectors written.
        report: What the readers counted.
    """

    dim: int
    num_rows: int = 0
    report: ReadReport = field(default_factory=ReadReport)


class Piece(NamedTuple):
    """What the network reads at once: one strand of a window.

    Attributes:
        name: The record's id.
        integers: What stands beside the vector, see `COLUMNS`.
        tokens: (N,) uint8.
        share: Its part of the row's mean.
        ends_row: Whether the row is complete with it.
    """

    name: str
    integers: tuple[int, ...]
    tokens: np.ndarray
    share: float
    ends_row: bool


class Row(NamedTuple):
    """A vector (P,) and whose it is; see `Piece`."""

    name: str
    integers: tuple[int, ...]
    vector: np.ndarray


def embed(
    scorer: Scorer,
    paths: Sequence[str],
    output: str | Path,
    *,
    per: Per = "record",
    on_invalid: OnInvalid = "error",
    force: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Write the vectors of all records of some files, or of all their windows.

    The files are read once before anything is computed, as for predictions.

    Args:
        scorer: The model, and how it reads records: windows, strands, bases at once.
        paths: Sequence files, directories, or `-` for stdin.
        output: `.npz` or `.parquet`; see `genomix.data.vector_files.VectorWriter`, and `COLUMNS` for the columns.
            Archives of k-mer models have `kmers` too, the names of the numbers.
        per: One vector a record, the mean over its windows, or one a window.
        on_invalid: What to do with records that hold other letters than nucleotide codes; `skip` leaves them out.
        force: Replace an existing file.
        warn: Called with each thing worth saying.

    Raises:
        DataError: If the data are bad, all problems at once.
        NoInputError: If an input is missing or there is no record.
        UsageError, CannotWriteError: If the output is of no known format, exists, or cannot be written.
    """
    classifier = scorer.model.classifier
    constants = {"kmers": np.array(kmer_names(classifier))} if isinstance(classifier, KmerClassifier) else None
    summary = Summary(vector_dim(classifier))
    name, integers = COLUMNS[per]
    with VectorWriter(output, name, integers, summary.dim, constants, force=force) as writer:
        files = expand_inputs(paths, warn)
        if all(Path(file).is_file() for file in files):
            problems = Problems()
            for _ in read_records(files, on_invalid=on_invalid, problems=problems):
                pass
            problems.raise_if_any()
        records = read_records(files, on_invalid=on_invalid, report=summary.report)
        for row in vectors(scorer, records, per):
            writer.write(row.name, row.integers, row.vector)
            summary.num_rows += 1
        if not summary.num_rows:
            raise NoInputError(f"{', '.join(paths)}: no records in it")
    return summary


def vectors(scorer: Scorer, records: Iterable[Record], per: Per = "record") -> Iterator[Row]:
    """Yield the vectors of records or of their windows, in their order; records with a problem have none."""
    total: np.ndarray | float = 0.0
    for piece, vector in _compute(scorer, _pieces(scorer, records, per)):
        total = total + piece.share * vector
        if piece.ends_row:
            yield Row(piece.name, piece.integers, np.asarray(total, np.float32))
            total = 0.0


def features(classifier: nn.Module, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return one vector a record (B, P): the k-mer frequencies, or what the linear layer at a network's end reads.

    That is the pooled vector behind the normalisation of the head, so that the logits are a linear function of it.
    """
    if isinstance(classifier, KmerClassifier):
        return classifier.features(tokens, lengths)
    if not isinstance(classifier, Network) or not isinstance(classifier.head, nn.Sequential):
        raise TypeError(f"{type(classifier).__name__} is no network with a head")
    return classifier.head[:-1](classifier.pool(tokens, lengths))


def vector_dim(classifier: nn.Module) -> int:
    """Return P."""
    head = classifier.head if isinstance(classifier, KmerClassifier) else classifier.get_submodule("head")[-1]  # pyright: ignore[reportIndexIssue]
    return head.in_features


def most_at_once(classifier: nn.Module) -> int:
    """Return of how many records the vectors are computed at once: those of long k-mers are long."""
    return max(1, MOST_NUMBERS // vector_dim(classifier))


def kmer_names(classifier: KmerClassifier) -> list[str]:
    """Return the canonical k-mers whose frequencies are the vector, in its order."""
    ranks = classifier.ranks.cpu().numpy()
    first = np.unique(ranks, return_index=True)[1]
    digits = first[:, None] // 4 ** np.arange(classifier.k - 1, -1, -1) % 4
    return [decode(row.astype(np.uint8)) for row in digits]


def _pieces(scorer: Scorer, records: Iterable[Record], per: Per) -> Iterator[Piece]:
    for record in records:
        if record.problem is not None:
            continue
        length = len(record.tokens)
        windows = _windows(scorer, length)
        if per == "window":
            for window in windows:
                strands = _strands(scorer, record.tokens[window.start : window.end])
                for number, tokens in enumerate(strands, 1):
                    yield Piece(record.id, tuple(window), tokens, 1 / len(strands), number == len(strands))
            continue
        strands = _strands(scorer, record.tokens)
        shares = (coverage_weights(windows, length) / (len(strands) * length)).tolist()
        for number, strand in enumerate(strands, 1):
            for window, share in zip(windows, shares, strict=True):
                ends = number == len(strands) and window is windows[-1]
                yield Piece(record.id, (length,), strand[window.start : window.end], share, ends)


def _strands(scorer: Scorer, tokens: np.ndarray) -> list[np.ndarray]:
    return [tokens, reverse_complement(tokens)] if scorer.strands == "both" else [tokens]


def _windows(scorer: Scorer, length: int) -> list[Window]:
    size = scorer.model.max_length
    if size is None or scorer.long == "whole":
        return [Window(0, length)]
    return [central(length, size)] if scorer.long == "crop" else cover(length, size, scorer.stride)


def _compute(scorer: Scorer, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
    """Yield the pieces with their vectors, in order; some batches' worth are held, so that like lengths go together."""
    waiting: list[Piece] = []
    bases, at_once = 0, most_at_once(scorer.model.classifier)
    for piece in pieces:
        waiting.append(piece)
        bases += len(piece.tokens)
        if bases >= BATCHES_AHEAD * scorer.batch_bases or len(waiting) >= BATCHES_AHEAD * at_once:
            yield from _compute_all(scorer, waiting)
            waiting, bases = [], 0
    if waiting:
        yield from _compute_all(scorer, waiting)


@torch.inference_mode()
def _compute_all(scorer: Scorer, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, np.ndarray]]:
    found: dict[int, np.ndarray] = {}
    batch: list[int] = []
    at_once = most_at_once(scorer.model.classifier)
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i].tokens))
    for i, after in zip(order, [*order[1:], None], strict=True):
        batch.append(i)
        longest = 0 if after is None else len(pieces[after].tokens)
        filled = padded_length(scorer.model.config.model) or longest
        if after is None or (len(batch) + 1) * filled > scorer.batch_bases or len(batch) >= at_once:
            tokens, lengths = collate([pieces[j].tokens for j in batch])
            computed = features(scorer.model.classifier, tokens.to(scorer.device), lengths.to(scorer.device))
            found |= zip(batch, computed.float().cpu().numpy(), strict=True)
            batch = []
    return ((piece, found[i]) for i, piece in enumerate(pieces))
