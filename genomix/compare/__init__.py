"""Runs on the same held-out records, set against each other."""

from genomix.compare.compared import ComparedRuns, compare_runs

__all__ = ["ComparedRuns", "compare_runs"]
