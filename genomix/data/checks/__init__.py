"""What may be wrong with a data set, found before anything is learnt from it: faults that flatter a model."""

from genomix.data.checks.check import Check, Checks, Status, read_checks, write_checks
from genomix.data.checks.held_out import HeldOut, describe_held_out, read_held_out, write_held_out
from genomix.data.checks.run import run_checks

__all__ = [
    "Check",
    "Checks",
    "HeldOut",
    "Status",
    "describe_held_out",
    "read_checks",
    "read_held_out",
    "run_checks",
    "write_checks",
    "write_held_out",
]
