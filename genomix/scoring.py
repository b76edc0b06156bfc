"""From records to probabilities: windows, strands and batches, in input order and bounded memory.

C classes. The score of a record is the softmax of the mean, over its windows and strands, of the log-probabilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from genomix.checkpoint import Model, load_model
from genomix.data.dataset import collate
from genomix.data.predictions import SKIPPED, PredictionRow
from genomix.data.store import Store
from genomix.data.vocabulary import UNKNOWN, reverse_complement
from genomix.data.windows import Window, central, cover, coverage_weights
from genomix.errors import UsageError
from genomix.nn.build import padded_length

DEFAULT_BATCH_BASES = 1 << 17
BATCHES_AHEAD = 8
N_RICH = 0.2
TOO_SHORT = 0.5


class Scorable(Protocol):
    """A record as the scorer wants it."""

    @property
    def id(self) -> str:
        """First word of the header."""
        ...

    @property
    def tokens(self) -> np.ndarray:
        """Tokens (N,) uint8."""
        ...

    @property
    def problem(self) -> str | None:
        """Why the record cannot be read; None if it can."""
        ...


class StoredRecord:
    """A record of a store, to be scored."""

    problem = None

    def __init__(self, store: Store, row: int) -> None:
        self.id = store.ids[row]
        self.tokens = store.tokens(row)


@dataclass
class _Pending:
    """A record on its way: what is still to be scored, and the sum so far."""

    log_probabilities: np.ndarray | None
    waiting: int = 0
    complete: bool = False


@dataclass
class Scorer:
    """Scores records with a model.

    Attributes:
        model: What scores.
        long: What to do with records longer than the model reads at once: `window`, cover them; `whole`, read them
            whole all the same; `crop`, read their middle.
        strands: `forward`, or `both`: the mean over the record and its reverse complement.
        stride: Distance in bp between windows; by default they do not overlap.
        batch_bases: Bases computed at once, padding included; one window is always computed whole.
        device: Where the model is.
    """

    model: Model
    long: str = "window"
    strands: str = "both"
    stride: int | None = None
    batch_bases: int = DEFAULT_BATCH_BASES
    device: str = "cpu"
    _queue: list[tuple[np.ndarray, float, _Pending]] = field(default_factory=list, init=False)
    _queued_bases: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Check that model and options go together.

        Raises:
            UsageError: If the model is bound to its length and records are to be read whole, or the stride leaves gaps.
        """
        if self.long == "whole" and self.model.config.model.is_position_bound:
            raise UsageError(
                f"--long whole: this model has a place for each of {self.model.max_length} bases and no more; "
                "use --long window or crop"
            )
        if (self.stride is not None and self.stride < 1) or self.batch_bases < 1:
            raise UsageError("stride and batch_bases must be at least 1")
        if self.stride is not None and self.model.max_length is None:
            raise UsageError("--stride: this model reads records whole, without windows")
        if self.stride is not None and self.model.max_length is not None and self.stride > self.model.max_length:
            raise UsageError(f"--stride {self.stride} leaves gaps between windows of {self.model.max_length} bases")

    def is_cut(self, length: int) -> bool:
        """Say whether bases of a record of this length are not read."""
        return self.long == "crop" and self.model.max_length is not None and length > self.model.max_length

    def score(self, records: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the probabilities (C,) of records, tokens (N,) uint8 with N >= 1, in their order.

        Some batches' worth of windows are held back, so that windows of like length are computed together; memory does
        not depend on the number of records, nor on their length beyond the record itself.
        """
        return (probabilities for probabilities in self._score(records) if probabilities is not None)

    def _score(self, records: Iterable[np.ndarray | None]) -> Iterator[np.ndarray | None]:
        pending: deque[_Pending] = deque()
        for tokens in records:
            record = _Pending(None if tokens is None else np.zeros(len(self.model.classes)))
            pending.append(record)
            if tokens is not None:
                self._enqueue(tokens, record)
            record.complete = True
            while pending and pending[0].complete and not pending[0].waiting:
                yield _normalise(pending.popleft())
        self._compute()
        while pending:
            yield _normalise(pending.popleft())

    def _enqueue(self, tokens: np.ndarray, record: _Pending) -> None:
        windows = self._windows(len(tokens))
        weights = coverage_weights(windows, len(tokens))
        strands = self._strands(tokens)
        shares = weights / (weights.sum() * len(strands))
        for strand in strands:
            for window, share in zip(windows, shares, strict=True):
                record.waiting += 1
                self._queue.append((strand[window.start : window.end], float(share), record))
                self._queued_bases += window.end - window.start
                if self._queued_bases >= BATCHES_AHEAD * self.batch_bases:
                    self._compute()

    def predict(self, records: Iterable[Scorable]) -> Iterator[PredictionRow]:
        """Yield one row for each record, in their order; those with a problem are skipped rows, not left out."""
        waiting: deque[PredictionRow] = deque()

        def tokens() -> Iterator[np.ndarray | None]:
            for record in records:
                waiting.append(self._row(record))
                yield record.tokens if record.problem is None else None

        for probabilities in self._score(tokens()):
            yield waiting.popleft()._replace(probabilities=probabilities)

    def _row(self, record: Scorable) -> PredictionRow:
        length = len(record.tokens)
        if record.problem is not None:
            return PredictionRow(record.id, length, None, (SKIPPED,), record.problem)
        found: dict[str, str] = {}
        if self.is_cut(length):
            found["cut"] = f"only the middle {self.model.max_length} of {length} bp were read"
        unknown = np.count_nonzero(record.tokens >= UNKNOWN) / length
        if unknown > N_RICH:
            found["n_rich"] = f"{unknown:.0%} of the bases are unknown"
        shortest = self.model.meta.train_lengths.min
        if length < TOO_SHORT * shortest:
            found["too_short"] = f"{length} bp, while the shortest record trained on had {shortest}"
        return PredictionRow(record.id, length, None, tuple(found) or ("ok",), "; ".join(found.values()))

    def _windows(self, length: int) -> list[Window]:
        max_length = self.model.max_length
        if max_length is None or self.long == "whole":
            return [Window(0, length)]
        return [central(length, max_length)] if self.long == "crop" else cover(length, max_length, self.stride)

    def _strands(self, tokens: np.ndarray) -> list[np.ndarray]:
        return [tokens, reverse_complement(tokens)] if self.strands == "both" else [tokens]

    def _compute(self) -> None:
        order = sorted(range(len(self._queue)), key=lambda i: len(self._queue[i][0]))
        batch: list[int] = []
        for i in order:
            length = padded_length(self.model.config.model) or len(self._queue[i][0])
            if batch and (len(batch) + 1) * length > self.batch_bases:
                self._compute_batch(batch)
                batch = []
            batch.append(i)
        if batch:
            self._compute_batch(batch)
        self._queue.clear()
        self._queued_bases = 0

    @torch.inference_mode()
    def _compute_batch(self, batch: list[int]) -> None:
        tokens, lengths = collate([self._queue[i][0] for i in batch])
        logits = self.model.classifier(tokens.to(self.device), lengths.to(self.device))
        scores = logits.float().cpu().double().log_softmax(1).numpy()
        for i, score in zip(batch, scores, strict=True):
            _, share, record = self._queue[i]
            if record.log_probabilities is not None:
                record.log_probabilities += share * score
            record.waiting -= 1


def stack_probabilities(rows: Iterable[PredictionRow]) -> np.ndarray:
    """Return the probabilities (R, C) of rows none of which is skipped."""
    return np.stack([np.asarray(row.probabilities) for row in rows])


def _normalise(record: _Pending) -> np.ndarray | None:
    if record.log_probabilities is None:
        return None
    score = record.log_probabilities - record.log_probabilities.max()
    probabilities = np.exp(score)
    return probabilities / probabilities.sum()


def load_scorer(
    path: str | Path,
    *,
    device: str = "cpu",
    long: str | None = None,
    strands: str | None = None,
    stride: int | None = None,
    batch_bases: int | None = None,
) -> Scorer:
    """Load a model and apply it as its own configuration says, where nothing else is asked for.

    Raises:
        NoInputError, DataError: If the model is missing or damaged.
        UsageError: If model and options do not go together.
    """
    model = load_model(path, device=device)
    return make_scorer(model, device=device, long=long, strands=strands, stride=stride, batch_bases=batch_bases)


def make_scorer(
    model: Model,
    *,
    device: str = "cpu",
    long: str | None = None,
    strands: str | None = None,
    stride: int | None = None,
    batch_bases: int | None = None,
) -> Scorer:
    """Return a scorer that does what the model's configuration says where nothing else is asked for."""
    own = model.config.prediction
    return Scorer(
        model,
        long=long or own.long,
        strands=strands or own.strands,
        stride=own.stride if stride is None else stride,
        batch_bases=_first_stated(batch_bases, own.batch_bases, DEFAULT_BATCH_BASES),
        device=device,
    )


def _first_stated(*values: int | None) -> int:
    return next(value for value in values if value is not None)
