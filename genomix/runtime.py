"""The machine: threads, device, memory, seeds and files that are whole or not there."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from genomix.errors import CannotWriteError, UsageError

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


def set_threads(threads: int | None) -> int:
    """Make torch, numba and the numerical libraries use this many threads, by default all that are available.

    Call it before torch and scikit-learn are imported where possible: they read the environment once. Threads that wait
    are made to sleep soon: torch and numba each bring a pool of them, and one would take the other's cores. Numbers too
    small for full precision (below 1e-38) count as zero, as they are many times slower.

    Raises:
        UsageError: If the number is below 1.
    """
    count = available_threads() if threads is None else threads
    if count < 1:
        raise UsageError(f"--threads must be at least 1, not {count}")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        if name != "NUMBA_NUM_THREADS" or "numba" not in sys.modules:
            os.environ[name] = str(count)
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
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


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """Give a temporary path beside `path`; when the block ends well, sync it and move it to its final name.

    Whoever looks sees the old file or the whole new one. If the block raises, the temporary file is removed.

    Raises:
        CannotWriteError: If the directory is missing, full or not writable.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot write here ({error.strerror}); choose another place") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.umask(mask := os.umask(0))  # there is no other way to read it
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CannotWriteError(f"{path}: cannot write ({error.strerror or error}); nothing was replaced") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_file(path: Path, *, force: bool) -> None:
    """Find out, before any work, whether a file can be written.

    Raises:
        CannotWriteError: If it exists (without `force`), is a directory, or has no directory to be in.
    """
    if path.is_dir():
        raise CannotWriteError(f"{path}: is a directory; name a file")
    if path.exists() and not force:
        raise CannotWriteError(f"{path}: exists; use --force to replace it")
    if not path.parent.is_dir():
        raise CannotWriteError(f"{path}: there is no directory {path.parent}; make it first (mkdir -p {path.parent})")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_new_directory(path: Path, *, force: bool) -> None:
    """Raise what `new_directory` would of a path that holds something, and make nothing: before any computing."""
    try:
        if path.exists() and not path.is_dir():
            raise CannotWriteError(f"{path}: is a file; name a directory that does not exist yet")
        if path.is_dir() and any(path.iterdir()) and not force:
            raise CannotWriteError(f"{path}: exists and is not empty; name another directory, or --force to replace it")
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot read this directory ({error.strerror})") from error


def new_directory(path: str | Path, *, force: bool) -> Path:
    """Make a directory for results; one that holds anything already is only accepted with `force`, and left as it is.

    Raises:
        CannotWriteError: If it exists and holds files (without `force`), is a file, or cannot be made.
    """
    path = Path(path)
    check_new_directory(path, force=force)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CannotWriteError(f"{path}: cannot make or write this directory ({error.strerror})") from error
    return path


@contextlib.contextmanager
def locked(directory: Path) -> Generator[None]:
    """Keep other processes from writing into a directory as long as the block takes.

    The lock goes with the process, however it ends. Where the file system has no locks there is none.

    Raises:
        CannotWriteError: If another process writes there.
    """
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotWriteError(
                f"{directory}: another process is writing there; wait for it, or end it, and try again"
            ) from error
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def hash_file(path: str | Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with Path(path).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
