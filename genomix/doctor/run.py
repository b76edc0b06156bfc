"""All that is looked at, one after another."""

from __future__ import annotations

from genomix.doctor.finding import Finding
from genomix.doctor.machine import find_devices, find_disk, find_memory, find_threads, find_versions


def examine(*, compile_kernels: bool = False) -> list[Finding]:
    """Look at the machine and at the installation.

    Args:
        compile_kernels: Compile the CPU kernels if that is still to be done, which takes up to a minute; without it
            kernels that are not compiled are not run.
    """
    import torch

    from genomix.doctor.kernels import check_kernels, find_compiled

    findings = [find_versions(), find_threads(), find_memory(), find_devices(), *find_disk()]
    compiled = find_compiled()
    if compiled.status == "ok" or compile_kernels:
        checked = check_kernels("cpu")
        findings += [find_compiled(), checked]
    else:
        findings.append(compiled)
    if torch.cuda.is_available():
        findings.append(check_kernels("cuda"))
    return findings
