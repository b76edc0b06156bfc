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
from genomix.train.optimise import make_optimizer

TRIED_LENGTH = 4096
HEAP_OVERHEAD = 1.25
"""What the C library's heap takes, over what is in use, for records of changing lengths (memory_estimate.py)."""


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
    """Find out what steps on records of some length need, from the peaks of a few small steps on a copy.

    One record and two tell what a record needs and what is needed without any; where records are longer than what is
    tried, two lengths tell whether the need grows faster than the length.

    Args:
        classifier: The network, on the device; it is not changed.
        config: Training configuration, for the optimiser.
        length: Bases of the records, the longest that will be computed.
        device: Where training will run. A device that cannot say its peak is imitated on the CPU.

    Returns:
        An estimate; for a network that fills records up, per base of `length`.
    """
    tried = length if getattr(classifier, "padded_length", None) else min(length, TRIED_LENGTH)
    one, two = (_peak_of_a_step(classifier, config, records, tried, device) for records in (1, 2))
    each = max(0.0, two - one)
    fixed = max(0.0, one - each)
    per_base = each / tried
    if tried < length:
        shorter, both = (_peak_of_a_step(classifier, config, records, tried // 2, device) for records in (1, 2))
        before = max(0.0, both - shorter) / (tried // 2)
        growth = max(0.0, per_base - before) / (tried - tried // 2)
        per_base += growth * (length - tried)
    overhead = 1.0 if device == "cuda" else HEAP_OVERHEAD
    return StepMemory(fixed * overhead, per_base * overhead)


def _peak_of_a_step(classifier: nn.Module, config: TrainingConfig, records: int, length: int, device: str) -> float:
    where = device if device == "cuda" else "cpu"
    network = copy.deepcopy(classifier).to(where).train()  # running statistics would follow the records
    optimizer = make_optimizer(network, config)
    tokens = torch.randint(0, 4, (records, length), dtype=torch.uint8, device=where)
    lengths = torch.full((records,), length, device=where)
    with torch.random.fork_rng(enabled=where == "cpu"), _measured(where) as peak:
        network(tokens, lengths).logsumexp(1).sum().backward()
        optimizer.step()
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
