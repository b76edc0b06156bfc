"""`genomix doctor`."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from genomix.errors import GenomixError


def doctor(
    compile_kernels: Annotated[
        bool, typer.Option("--compile", help="Compile the CPU kernels now, if that is still to be done (a minute).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look at this machine and installation: versions, threads, memory, devices, kernels, disk; exit 1 if broken."""
    from genomix.runtime import set_threads

    set_threads(None)

    from genomix.doctor import examine

    findings = examine(compile_kernels=compile_kernels)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            typer.echo(f"{finding.status:<8} {finding.name:<{width}}  {finding.text}")
            if finding.mend:
                typer.echo(f"{'':<8} {'':<{width}}  -> {finding.mend}")
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(GenomixError.exit_code)
