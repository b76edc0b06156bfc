"""Batches on their way from the store to the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from genomix.data.dataset import Batch, Group, PlannedBatch, TrainingSet

AHEAD = 2


def feed(training_set: TrainingSet, batches: Sequence[PlannedBatch], device: str) -> Iterator[Batch]:
    """Yield planned batches, loaded and on the device.

    For a GPU they are loaded and pinned by a thread, some batches ahead, and copied while the GPU computes.
    """
    if device == "cpu":
        yield from (training_set.load(batch) for batch in batches)
        return
    with ThreadPoolExecutor(1, initializer=_use_gpu, initargs=(_gpu_of(device),)) as reader:
        waiting: deque[Future[Batch]] = deque()
        for batch in batches:
            waiting.append(reader.submit(_load, training_set, batch, device))
            if len(waiting) > AHEAD:
                yield _sent(waiting.popleft().result(), device)
        while waiting:
            yield _sent(waiting.popleft().result(), device)


def _gpu_of(device: str) -> int | None:
    return torch.cuda.current_device() if device == "cuda" else None


def _use_gpu(number: int | None) -> None:
    """Pin memory for the GPU of this process: a thread begins with the first one."""
    if number is not None:
        torch.cuda.set_device(number)


def _load(training_set: TrainingSet, batch: PlannedBatch, device: str) -> Batch:
    loaded = training_set.load(batch)
    if device != "cuda":
        return loaded
    groups = [Group(group.tokens.pin_memory(), group.lengths.pin_memory()) for group in loaded.groups]
    return Batch(groups, loaded.targets.pin_memory())


def _sent(batch: Batch, device: str) -> Batch:
    def sent(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    return Batch([Group(sent(group.tokens), sent(group.lengths)) for group in batch.groups], sent(batch.targets))
