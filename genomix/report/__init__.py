"""The report of a run: one HTML file that needs no other, made from the files of the run directory alone."""

from genomix.report.compose import write_report

__all__ = ["write_report"]
