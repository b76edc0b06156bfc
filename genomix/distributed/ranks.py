"""Several processes that train one model: what each knows of the others, and what they tell each other."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from genomix.errors import GenomixError

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")


class RankLostError(GenomixError):
    """Another process of a distributed training is gone."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them; by default it is alone, and everything here is free.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process among those on its machine.
        local_size: How many are on its machine.
        control: The group that plain Python values go through, on the CPU; patient, as the first may have long to read.
        steady: The group that decisions of each step go through, on the CPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    control: Any = None
    steady: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all have come here.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size > 1:
            import torch.distributed as dist

            with telling_of_loss():
                dist.barrier(self.control)

    def share(self, value: Value) -> Value:
        """Return the value that the first process has.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size == 1:
            return value
        import torch.distributed as dist

        values = [value]
        with telling_of_loss():
            dist.broadcast_object_list(values, src=0, group=self.control)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all, in the order of their ranks, to all.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with telling_of_loss():
            dist.all_gather_object(values, value, group=self.control)
        return values

    def most(self, *values: float) -> list[float]:
        """Return the largest of each value over all processes, so that they decide alike.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size == 1:
            return list(values)
        import torch
        import torch.distributed as dist

        together = torch.tensor(values, dtype=torch.float64)
        with telling_of_loss():
            dist.all_reduce(together, dist.ReduceOp.MAX, group=self.steady)
        return together.tolist()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type and device by their sums over all processes, in one message.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist

        together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with telling_of_loss():
            dist.all_reduce(together)
        parts = together.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def sum_with_gradient(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; on the way back gradients are summed likewise.

        Raises:
            RankLostError: If one of them is gone.
        """
        if self.size == 1:
            return tensor
        from genomix.distributed.summing import SumOverRanks

        return SumOverRanks.apply(tensor)


@contextlib.contextmanager
def telling_of_loss() -> Generator[None]:
    """Turn what a library says in the block, when another process is gone, into a message.

    Raises:
        RankLostError: If one is gone, or silent for too long.
    """
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(f"another process of this training is gone ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return what a library said, without the places in its source, its links and its jokes."""
    lines = re.sub(r"\[[^\]]*/[^\]]*\]", "", str(error)).strip().splitlines()
    return lines[0].split(". ")[0].strip() if lines else type(error).__name__
