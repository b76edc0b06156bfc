"""`genomix report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from genomix.cli import options
from genomix.errors import UsageError
from genomix.files import check_file

SUFFIXES = (".html", ".htm")


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory, or directory of several runs.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The report; by default RUN/report.html, which is made anew.")
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Make the report of a run anew, from the files of its directory: one HTML file, with nothing to load."""
    options.start_log(quiet=quiet)
    if output is not None:
        if Path(output).suffix.lower() not in SUFFIXES:
            raise UsageError(f"-o {output}: the report is a page; name it {Path(output).stem}.html")
        check_file(Path(output), force=force)

    from genomix.report import write_report

    path = write_report(run, output)
    sys.stdout.write(f"{path}\n")
