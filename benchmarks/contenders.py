"""The networks that are compared, each at work in a process of its own that waits for its turn.

Memory and allocator of one cannot disturb the other, and only one computes at a time.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import statistics
from collections.abc import Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from attention import AttentionEncoder
from published import PublishedParamixer
from torch import nn

from genomix.benchmark.machine import peak_memory_mib
from genomix.benchmark.results import Phase
from genomix.benchmark.timing import time_repeats, warm_up
from genomix.benchmark.workload import NUM_CLASSES, SEED, Workload
from genomix.config import make_config
from genomix.nn.build import build_classifier
from genomix.runtime import keep_freed_memory, set_threads
from genomix.train.optimise import make_optimizer

GENOMIX, PUBLISHED, ATTENTION = "genomix", "published", "attention"
TURN_S = 0.5
"""A turn repeats what is shorter than this, and gives the median."""


@dataclass(frozen=True)
class Sizes:
    """What the contenders have in common.

    With `tuned`, the opponent too has the settings of threads and allocator that the commands of genomix make;
    otherwise it runs as torch does by itself.
    """

    length: int
    dim: int
    hidden_dim: int
    num_heads: int
    protocol: str
    batch_size: int
    threads: int
    device: str
    tuned: bool = False


class Memory(NamedTuple):
    """Peak memory of a process, and what it had before its network was built, in MiB."""

    peak_mib: float
    baseline_mib: float


class Contender:
    """A network in a process of its own.

    Args:
        name: `"genomix"`, `"published"` or `"attention"`.
        connection: To the process.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self._name = name
        self._connection = connection

    def take_turn(self, phase: Phase) -> float:
        """Let it train or infer, and return the seconds of one step; the first turn of a phase warms up before."""
        return self._ask(phase)

    def memory(self) -> Memory:
        """Return what it needed until now."""
        return Memory(*self._ask(None))

    def _ask(self, question: Phase | None) -> Any:
        try:
            self._connection.send(question)
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise SystemExit(f"{self._name}: its process ended; was there too little memory?") from error


@contextlib.contextmanager
def contender(name: str, sizes: Sizes) -> Generator[Contender]:
    """Start the process of a contender, and end it with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(name, sizes, there), daemon=True)
    process.start()
    there.close()
    try:
        yield Contender(name, here)
    finally:
        here.close()
        process.join()


def measure_memory(name: str, sizes: Sizes, phase: Phase) -> Memory:
    """Return what a contender needs that does nothing but one phase."""
    with contender(name, sizes) as alone:
        alone.take_turn(phase)
        return alone.memory()


def build_workload(name: str, sizes: Sizes) -> Workload:
    """Build a contender's network with random weights: the paper's, but for its encoder."""
    overrides = {
        "model.max_length": sizes.length,
        "model.embedding.dim": sizes.dim,
        "model.encoder.dim": sizes.dim,
        "model.encoder.hidden_dim": sizes.hidden_dim,
        "model.encoder.protocol": sizes.protocol,
    }
    config = make_config("paramixer-paper", overrides=overrides)
    optimizer_of = functools.partial(make_optimizer, config=config.training)
    torch.manual_seed(SEED)
    if name == PUBLISHED:
        network = PublishedParamixer(sizes.length, sizes.dim, sizes.hidden_dim, sizes.protocol, NUM_CLASSES)
        optimizer_of = _published_optimizer
    else:
        network = build_classifier(config.model, NUM_CLASSES)
        if name == ATTENTION:
            network.encoder = AttentionEncoder(sizes.dim, sizes.num_heads, sizes.hidden_dim)
    return Workload(
        network,
        optimizer_of,
        length=sizes.length,
        batch_size=sizes.batch_size,
        clip_norm=config.training.clip_norm,
        dtype="float32",
        device=sizes.device,
    )


def _published_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=1e-4)


def _serve(name: str, sizes: Sizes, connection: Connection) -> None:
    if sizes.tuned or name == GENOMIX:
        set_threads(sizes.threads)
        keep_freed_memory()
    else:
        torch.set_num_threads(sizes.threads)
    baseline = peak_memory_mib(sizes.device)
    workload = build_workload(name, sizes)
    warm: set[Phase] = set()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            phase: Phase | None = connection.recv()
            if phase is None:
                connection.send((peak_memory_mib(sizes.device), baseline))
                continue
            work = workload.prepare(phase)
            if phase not in warm:
                warm_up(work)
                warm.add(phase)
            connection.send(statistics.median(time_repeats(work, fewest=1, least_total_s=TURN_S)))
