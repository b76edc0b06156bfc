"""Whether this process is one of several, as torchrun, srun or MPI-like launchers tell by the environment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta

from genomix.distributed.ranks import Ranks
from genomix.errors import UsageError

PATIENCE = timedelta(hours=24)
"""For the processes that wait while the first one reads data; one that dies is noticed at once."""
STUCK = timedelta(minutes=10)
"""For processes to find each other and for what they exchange in a step: a machine without power is only silent."""
FIRST_PORT, NUM_PORTS = 20_000, 20_000


def find_ranks() -> Ranks:
    """Return what the environment says: variables of torchrun, else those of a SLURM step of several tasks.

    Raises:
        UsageError: If the variables are there, but not numbers.
    """
    if "WORLD_SIZE" in os.environ:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        defaults = ("", "", "0", "1")
    elif os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1" and "SLURM_PROCID" in os.environ:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE")
        defaults = ("", "", "0", "1")
    else:
        return Ranks()
    values = []
    for name, default in zip(names, defaults, strict=True):
        match = re.match(r"\d+", os.environ.get(name, default))  # tasks per node may be 2(x3)
        if match is None:
            raise UsageError(f"{name} is {os.environ.get(name)!r}: must be a number; unset it, or start by torchrun")
        values.append(int(match[0]))
    return Ranks(*values)


@contextlib.contextmanager
def joined(ranks: Ranks, device: str) -> Generator[Ranks]:
    """Connect the processes inside the block; one that is alone has nothing to connect.

    Args:
        ranks: As `find_ranks` has found them.
        device: `cuda`: sums go by nccl; otherwise by gloo.

    Raises:
        UsageError: If they do not find each other.
    """
    if ranks.size == 1:
        yield ranks
        return
    import torch.distributed as dist

    _set_meeting_point()
    if device == "cuda":
        _choose_gpu(ranks)
    try:
        with _ending_at_once():
            backend = "nccl" if device == "cuda" else "gloo"
            dist.init_process_group(backend, rank=ranks.rank, world_size=ranks.size, timeout=STUCK)
            steady = dist.new_group(backend="gloo", timeout=STUCK)
            control = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UsageError(
            f"rank {ranks.rank} of {ranks.size}: the processes do not find each other at {place} ({error}); "
            "set MASTER_ADDR and MASTER_PORT to a free port of the first node"
        ) from error
    try:
        yield replace(ranks, control=control, steady=steady)
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _choose_gpu(ranks: Ranks) -> None:
    """Take the GPU of this process: the only one it is shown, or that of its number on this machine."""
    import torch

    count = torch.cuda.device_count()
    shown_its_own = count == 1 and "SLURM_LOCALID" in os.environ
    if ranks.local_size > count and not shown_its_own:
        raise UsageError(f"{ranks.local_size} processes on a machine with {count} GPUs: one GPU is for one process")
    torch.cuda.set_device(0 if shown_its_own else ranks.local_rank)


@contextlib.contextmanager
def _ending_at_once() -> Generator[None]:
    """Let signals end the process inside the block: torch does not return to Python while it waits for others."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGUSR1) if callable(signal.getsignal(number))]
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _set_meeting_point() -> None:
    """Name the first node and a port that goes with the job, unless torchrun or the user has."""
    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST")
    first = _first_node(nodes) if nodes else "127.0.0.1"
    os.environ.setdefault("MASTER_ADDR", first)
    job = int(re.sub(r"\D", "", os.environ.get("SLURM_JOB_ID", "")) or 0)
    step = int(re.sub(r"\D", "", os.environ.get("SLURM_STEP_ID", "")) or 0)
    os.environ.setdefault("MASTER_PORT", str(FIRST_PORT + (job * 7 + step) % NUM_PORTS))


def _first_node(nodes: str) -> str:
    """Return the first of SLURM's list of nodes, such as `node[03-07,11]`; SLURM itself is asked where it is there."""
    command = shutil.which("scontrol")
    if command is not None:
        found = subprocess.run([command, "show", "hostnames", nodes], capture_output=True, text=True, check=False)  # noqa: S603
        if found.returncode == 0 and found.stdout.split():
            return found.stdout.split()[0]
    match = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return f"{match[1]}{match[2] or ''}" if match else nodes
