"""Runs on the same held-out records, set against each other."""

from genomix.compare.compared import USUAL_METRICS, ComparedRuns, compare_runs

__all__ = ["USUAL_METRICS", "ComparedRuns", "compare_runs"]
