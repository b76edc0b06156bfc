"""The machine: versions, threads, memory, devices, disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from genomix.data.cache import VARIABLE, default_cache_dir
from genomix.doctor.finding import GIB, Finding
from genomix.runtime import available_memory_bytes, available_threads

LIBRARIES = ("torch", "numba", "numpy", "scipy", "scikit-learn", "pyarrow")
LITTLE_MEMORY = 2 * GIB
LITTLE_DISK = GIB
NO_DISK = 16 << 20


def find_versions() -> Finding:
    """Return the versions of what numbers depend on."""
    import genomix

    found = {"genomix": genomix.__version__, "python": platform.python_version()}
    found |= {name: version(name) for name in LIBRARIES}
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    return Finding("versions", "ok", f"{text}; {system}", figures=found | {"system": system})


def find_threads() -> Finding:
    """Return how many threads would be used, and whether this process may use so many cores."""
    used = available_threads()
    granted = os.environ.get("SLURM_CPUS_PER_TASK")
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = control_group_cores(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    cores = affinity if quota is None else min(affinity, max(1, int(quota)))
    figures = {"used": used, "slurm": granted, "affinity": affinity, "quota": quota}
    origin = f"{used} of {affinity} cores" + (f", SLURM_CPUS_PER_TASK={granted}" if granted else "")
    origin += f", control group {quota:g}" if quota is not None else ""
    if used <= cores:
        return Finding("threads", "ok", origin, figures=figures)
    mend = f"say --threads {cores}, or ask the batch system or container for {used} cores"
    return Finding("threads", "warning", f"{origin}: {used} threads would share {cores} cores", mend, figures)


def control_group_cores(root: Path, membership: Path) -> float | None:
    """Return the cores that control groups (version 2) allow on average; None for no limit."""
    try:
        [group] = [line[3:] for line in membership.read_text().splitlines() if line.startswith("0::")]
    except (OSError, ValueError):
        return None
    found = []
    here = root / group.strip("/")
    for folder in (here, *here.parents):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))
        except (OSError, ValueError):  # there is no such file, or "max" in it
            pass
        if folder == root:
            break
    return min(found, default=None)


def find_memory() -> Finding:
    """Return the memory that is left."""
    left = available_memory_bytes("cpu")
    figures = {"available_bytes": left}
    if left >= LITTLE_MEMORY:
        return Finding("memory", "ok", f"{left / GIB:.1f} GiB available", figures=figures)
    mend = "ask for more (--mem), or train with --batch-bases 16384 or less"
    return Finding("memory", "warning", f"only {left / GIB:.1f} GiB available", mend, figures)


def find_devices() -> Finding:
    """Return the GPUs that torch can use."""
    import torch

    if torch.cuda.is_available():
        gpus = []
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            gpus.append({"name": torch.cuda.get_device_name(number), "free_bytes": free, "total_bytes": total})
        text = "; ".join(
            f"{gpu['name']}, {gpu['free_bytes'] / GIB:.1f} of {gpu['total_bytes'] / GIB:.1f} GiB free" for gpu in gpus
        )
        return Finding("devices", "ok", text, figures={"cuda": gpus})
    if torch.backends.mps.is_available():
        return Finding("devices", "ok", "GPU of this Mac (mps)", figures={"mps": True})
    if Path("/dev/nvidiactl").exists():
        built = torch.version.cuda or "without CUDA"
        mend = "install the build of torch for this driver (nvidia-smi names it), and look at CUDA_VISIBLE_DEVICES"
        return Finding("devices", "warning", f"there is a GPU that this torch ({built}) cannot use", mend)
    return Finding("devices", "ok", "no GPU; the CPU computes", figures={"cuda": []})


def find_disk() -> list[Finding]:
    """Return whether the cache and the current directory can be written, and what room they have."""
    cache = default_cache_dir()
    mend = f"set {VARIABLE} to a directory with space that can be written"
    return [
        look_at("cache", cache, mend, "broken" if os.environ.get(VARIABLE) else "warning"),
        look_at("current directory", Path.cwd(), "go to a directory that can be written, with space", "warning"),
    ]


def look_at(name: str, directory: Path, mend: str, if_not: Literal["warning", "broken"]) -> Finding:
    """Return whether a directory (or the nearest one above it that exists) can be written, and the room it has."""
    above = next(folder for folder in (directory, *directory.parents) if folder.exists())
    figures: dict[str, Any] = {"path": str(directory)}
    try:
        with tempfile.TemporaryFile(dir=above):
            figures["free_bytes"] = free = shutil.disk_usage(above).free
    except OSError as error:
        return Finding(name, if_not, f"{directory} cannot be written ({error.strerror})", mend, figures)
    text = f"{directory}, {free / GIB:.1f} GiB free"
    if free < NO_DISK:
        return Finding(name, "broken", text, mend, figures)
    return Finding(name, "ok" if free >= LITTLE_DISK else "warning", text, "" if free >= LITTLE_DISK else mend, figures)
