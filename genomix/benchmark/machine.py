"""The machine that is measured: its peak memory, its name, and when its device is done."""

from __future__ import annotations

import platform
import resource
import sys
from pathlib import Path

import torch

MIB = 1 << 20


def synchronize(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_memory_mib(device: str) -> float:
    """Return the most memory held until now: by this process, or on a GPU by its tensors, in MiB."""
    return (torch.cuda.max_memory_allocated() if device == "cuda" else _peak_resident_bytes()) / MIB


def processor_name(device: str) -> str:
    """Return what the CPU or the GPU calls itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return _proc_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory was asked for and not given."""
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in ("can't allocate", "not enough memory"))
    )


def _peak_resident_bytes() -> int:
    # What getrusage says on Linux is at least what the parent held when it started this process.
    high_water = _proc_value("/proc/self/status", "VmHWM")
    if high_water:
        return int(high_water.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _proc_value(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
