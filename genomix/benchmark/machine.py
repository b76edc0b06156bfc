"""The machine that is measured: its peak memory, its name, and when its device is done."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from genomix.runtime import resident_memory_bytes

MIB = 1 << 20


def synchronize(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_memory_mib(device: str) -> float:
    """Return the most memory held until now: by this process, or on a GPU by its tensors, in MiB."""
    return (torch.cuda.max_memory_allocated() if device == "cuda" else resident_memory_bytes(peak=True)) / MIB


def processor_name(device: str) -> str:
    """Return what the CPU or the GPU calls itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return _proc_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _proc_value(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
