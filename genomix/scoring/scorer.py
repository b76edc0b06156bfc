"""One model scores records: windows, strands and batches, in input order and bounded memory.

C classes. The score of a record is the softmax of the mean, over its windows and strands, of the log-probabilities,
divided by the temperature the model was calibrated with. Where a record may have several labels, it is the logistic
function of the mean logits, divided in the same way. Where a model has a `Composition`, the mean and the scores of the
record's k-mers are added up, each with its weight, before they are divided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.special import expit, softmax

from genomix.checkpoint import Model
from genomix.data.dataset import collate
from genomix.data.predictions import PredictionRow
from genomix.data.vocabulary import reverse_complement
from genomix.data.windows import Window, central, cover, coverage_weights
from genomix.errors import UsageError
from genomix.metrics.calibration import Calibration
from genomix.nn.build import padded_length
from genomix.scoring.records import Scorable
from genomix.scoring.rows import describe, name_labels

DEFAULT_BATCH_BASES = 1 << 17
BATCHES_AHEAD = 8


@dataclass
class _Pending:
    """A record on its way: what is still to be scored, and the weighted mean of log-probabilities or logits so far."""

    mean: np.ndarray | None
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
        calibrated: Whether the temperature of the model is applied, if it has one.
    """

    model: Model
    long: str = "window"
    strands: str = "both"
    stride: int | None = None
    batch_bases: int = DEFAULT_BATCH_BASES
    device: str = "cpu"
    calibrated: bool = True
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

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the probabilities."""
        return self.model.classes

    @property
    def members(self) -> list[Scorer]:
        """The scorers that this one consists of: itself."""
        return [self]

    @property
    def calibration(self) -> Calibration | None:
        """What the probabilities are calibrated by; None where they are not."""
        return self.model.calibration if self.calibrated else None

    def is_cut(self, length: int) -> bool:
        """Say whether bases of a record of this length are not read."""
        return self.long == "crop" and self.model.max_length is not None and length > self.model.max_length

    def score(self, records: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the probabilities (C,) of records, tokens (N,) uint8 with N >= 1, in their order.

        Some batches' worth of windows are held back, so that windows of like length are computed together; memory does
        not depend on the number of records, nor on their length beyond the record itself.
        """
        return (probabilities for probabilities in self._stream(records) if probabilities is not None)

    def _stream(self, records: Iterable[np.ndarray | None]) -> Iterator[np.ndarray | None]:
        pending: deque[_Pending] = deque()
        for tokens in records:
            record = _Pending(None if tokens is None else np.zeros(len(self.model.classes)))
            pending.append(record)
            if tokens is not None:
                self._enqueue(tokens, record)
            record.complete = True
            while pending and pending[0].complete and not pending[0].waiting:
                yield self._normalise(pending.popleft())
        self._compute()
        while pending:
            yield self._normalise(pending.popleft())

    def score_composition(self, tokens: np.ndarray) -> np.ndarray:
        """Return what the k-mers of a record, tokens (N,), say alone: scores (C,).

        They are those of the strand that is given, whatever the network reads: canonical ones are the same on both, and
        others were learnt on it.
        """
        composition = self.model.composition
        if composition is None:
            raise AssertionError("this model is a network alone")
        given = torch.from_numpy(np.array(tokens))
        return composition.score(given, multi_label=self.model.is_multi_label).numpy()

    def _enqueue(self, tokens: np.ndarray, record: _Pending) -> None:
        composition = self.model.composition
        if composition is not None and record.mean is not None:
            record.mean += composition.kmers * self.score_composition(tokens)
        windows = self._windows(len(tokens))
        weights = coverage_weights(windows, len(tokens))
        strands = self._strands(tokens)
        shares = weights / (weights.sum() * len(strands))
        if composition is not None:
            shares = shares * composition.network
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
                waiting.append(describe(self, record))
                yield record.tokens if record.problem is None else None

        for probabilities in self._stream(tokens()):
            row = waiting.popleft()._replace(probabilities=probabilities)
            yield name_labels(row, self.classes) if self.model.is_multi_label else row

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
        logits = logits.float().cpu().double()
        scores = (logits if self.model.is_multi_label else logits.log_softmax(1)).numpy()
        for i, score in zip(batch, scores, strict=True):
            _, share, record = self._queue[i]
            if record.mean is not None:
                record.mean += share * score
            record.waiting -= 1

    def _normalise(self, record: _Pending) -> np.ndarray | None:
        if record.mean is None:
            return None
        score = record.mean if self.calibration is None else record.mean / self.calibration.temperature
        return expit(score) if self.model.is_multi_label else softmax(score)
