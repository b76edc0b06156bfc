"""What a machine has for this package, and whether that works: versions, threads, memory, devices, kernels, disk."""

from genomix.doctor.finding import Finding
from genomix.doctor.run import examine

__all__ = ["Finding", "examine"]
