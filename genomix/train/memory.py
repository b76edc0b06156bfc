"""How much memory a training step will need, found by trying small ones."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
from collections.abc import Generator
from typing import Any, NamedTuple

import torch
from torch import nn

from genomix.config import TrainingConfig
from genomix.errors import UsageError
from genomix.runtime import is_out_of_memory
from genomix.train.step import choose_precision

TRIED_LENGTH = 4096
HEAP_OVERHEAD = 1.15
"""What the C library's heap takes, over what is in use, for records of changing lengths (memory_estimate.py)."""


@contextlib.contextmanager
def telling_out_of_memory(device: str) -> Generator[None]:
    """Turn an allocation that fails in the block into a message.

    Raises:
        UsageError: If one fails.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UsageError(
            f"out of memory on {device}; use a smaller --max-length or --batch-bases, or a smaller network (--set)"
        ) from error


class StepMemory(NamedTuple):
    """What training steps need beside the process as it is.

    Attributes:
        fixed_bytes: Gradients, the state of the optimiser, and what else does not depend on the batch.
        bytes_per_base: For every base computed at once, in records of the length asked for.
    """

    fixed_bytes: float
    bytes_per_base: float

    def total(self, bases: int) -> float:
        """Return the bytes for steps that compute this many bases at once."""
        return self.fixed_bytes + self.bytes_per_base * bases


def measure_step_memory(classifier: nn.Module, config: TrainingConfig, length: int, device: str) -> StepMemory:
    """Find out what steps on records of some length need, from the peaks of a few small ones on a copy.

    Some records and twice as many tell what a record needs and what is needed without any; where records are longer
    than what is tried, two lengths tell whether the need grows faster than the length. To that come the two moments of
    the optimiser and, where it is kept, the average of the weights.

    Args:
        classifier: The network, on the device; it is not changed, nor is the state of torch's random numbers.
        config: Training configuration.
        length: Bases of the records, the longest that will be computed.
        device: Where training will run. A device that cannot say its peak is imitated on the CPU.

    Returns:
        An estimate; for a network that fills records up, per base of `length`.
    """
    tried = length if getattr(classifier, "padded_length", None) else min(length, TRIED_LENGTH)
    fixed, per_base = _try_length(classifier, config, tried, device)
    if tried < length:
        _, before = _try_length(classifier, config, tried // 2, device)
        growth = max(0.0, per_base - before) / (tried - tried // 2)
        per_base += growth * (length - tried)
    weights = sum(parameter.nbytes for parameter in classifier.parameters())
    fixed += weights * (3 if config.ema_decay else 2)
    overhead = 1.0 if device == "cuda" else HEAP_OVERHEAD
    return StepMemory(fixed * overhead, per_base * overhead)


def _try_length(classifier: nn.Module, config: TrainingConfig, length: int, device: str) -> tuple[float, float]:
    records = max(1, TRIED_LENGTH // length)
    some, twice = (_peak_of_a_step(classifier, config, n, length, device) for n in (records, 2 * records))
    each = max(0.0, twice - some)
    return max(0.0, some - each), each / (records * length)


def _peak_of_a_step(classifier: nn.Module, config: TrainingConfig, records: int, length: int, device: str) -> float:
    """Return the most bytes held on the way forth and back, the gradients among them."""
    where = device if device == "cuda" else "cpu"
    precision = choose_precision(config.precision, where)
    network = copy.deepcopy(classifier).to(where).train()  # running statistics would follow the records
    with torch.random.fork_rng([torch.cuda.current_device()] if where == "cuda" else []):
        tokens = torch.randint(0, 4, (records, length), dtype=torch.uint8, device=where)
        lengths = torch.full((records,), length, device=where)
        with _measured(where) as peak:
            with torch.autocast(where, precision, enabled=precision is not torch.float32):
                logits = network(tokens, lengths)
            logits.float().logsumexp(1).sum().backward()
    return peak[0]


@contextlib.contextmanager
def _measured(device: str) -> Generator[list[float]]:
    """Give a list that holds, after the block, the most bytes that were allocated in it at once."""
    peak: list[float] = []
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak.append(torch.cuda.max_memory_allocated() - before)
        return
    recorder: Any = torch.autograd.profiler.profile(profile_memory=True)
    with _without_stderr():
        recorder.__enter__()
    try:
        yield peak
    finally:
        with _without_stderr():
            recorder.__exit__(None, None, None)
    total = most = 0
    for event in recorder.kineto_results.events():
        if event.name() == "[memory]":
            total += event.nbytes()
            most = max(most, total)
    peak.append(most)


@contextlib.contextmanager
def _without_stderr() -> Generator[None]:
    """Keep torch's profiler from writing that it starts and stops."""
    sys.stderr.flush()
    kept = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)
