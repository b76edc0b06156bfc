"""The machine: threads, device, memory and seeds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import sys
from collections.abc import Generator
from pathlib import Path

from genomix.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
SPINS = "2000"
"""Turns a waiting thread of GNU OpenMP makes before it sleeps; a few microseconds."""
REFUSALS = ("defaultcpuallocator", "can't allocate", "not enough memory", "storage size calculation overflowed")
"""What torch says, in small letters, in a plain RuntimeError where the memory of the machine does not suffice."""


def available_threads() -> int:
    """Return the cores this process may use: those SLURM gave, or those of its affinity mask."""
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if granted.isdigit() and int(granted) > 0:
        return int(granted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_threads(processes: int) -> int:
    """Return how many threads each of several processes of this machine may use, 1 at least."""
    return max(1, available_threads() // processes)


def announce_threads(count: int) -> None:
    """Tell libraries that are not imported yet how many threads to use: they read the environment once.

    Threads that wait are made to sleep soon: torch and numba each bring a pool of them, and one would take the other's
    cores.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        if name != "NUMBA_NUM_THREADS" or "numba" not in sys.modules:
            os.environ[name] = str(count)
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def set_threads(threads: int | None) -> int:
    """Make torch, numba and the numerical libraries use this many threads, by default all that are available.

    Numba starts no more threads than it was told of before it was imported (`announce_threads`), and when it starts
    them, torch takes over their number: where it has been imported already, they are started here. Numbers too small
    for full precision (below 1e-38) count as zero, as they are many times slower.

    Raises:
        UsageError: If the number is below 1.
    """
    count = available_threads() if threads is None else threads
    if count < 1:
        raise UsageError(f"--threads must be at least 1, not {count}")
    announce_threads(count)
    if "numba" in sys.modules:
        import numba

        most: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
        numba.set_num_threads(min(count, most))
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_flush_denormal(True)
    torch.set_num_threads(count)
    threadpool_limits(count)
    return count


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for the next allocation instead of handing it back to the system.

    A training step frees and allocates the same large buffers over and over; without this each is unmapped and then
    faulted in again page by page. Only glibc knows how; elsewhere nothing happens.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 64 << 20)


def choose_device(name: str) -> str:
    """Return the device a name stands for: `auto` takes a GPU if there is one, else the CPU.

    Raises:
        UsageError: If the device is not known or not there.
    """
    import torch

    if name not in DEVICES:
        raise UsageError(f"--device {name!r} is not known: use one of {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        raise UsageError(f"--device {name}: this machine or this build of torch has none; use --device cpu")
    return name


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed every generator; with `deterministic`, also forbid torch any operation whose result may vary."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (for libraries that still draw from the global generator)
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False


def available_memory_bytes(device: str) -> int:
    """Return the memory that may still be used on the device: of the GPU, or of the machine and its control group."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    return max(0, min([_meminfo_available(), *_control_group_rooms()]))


def resident_memory_bytes(*, peak: bool = False) -> int:
    """Return the memory this process holds now, or with `peak` the most it has ever held.

    Where the system does not say what is held now (Linux does), that is the most as well.
    """
    name = "VmHWM:" if peak else "VmRSS:"
    for line in _read_lines("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    import resource  # what it says on Linux is at least what the parent held when it started this process

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is that of an allocation that failed, on a GPU or on the CPU."""
    import torch

    refused = isinstance(error, RuntimeError) and any(words in str(error).lower() for words in REFUSALS)
    return refused or isinstance(error, MemoryError | torch.OutOfMemoryError)


def _control_group_rooms() -> Generator[int]:
    """Yield the bytes left in each control group this process is in, as a batch system or a container sets them."""
    for line in _read_lines("/proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        unified = not controllers
        if not unified and "memory" not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") if unified else Path("/sys/fs/cgroup/memory")
        names = ("memory.max", "memory.current") if unified else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        reclaimable = "inactive_file" if unified else "total_inactive_file"
        here = root / group.lstrip("/")
        for folder in (here, *here.parents):
            limit, used = ("".join(_read_lines(folder / name)) for name in names)
            if limit.isdigit() and used.isdigit():
                stat = dict(entry.split()[:2] for entry in _read_lines(folder / "memory.stat"))
                yield int(limit) - int(used) + int(stat.get(reclaimable, 0))
            if folder == root:
                break


def _read_lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _meminfo_available() -> int:
    for line in _read_lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 4 << 30
