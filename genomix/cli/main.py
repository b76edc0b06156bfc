"""The command `genomix`: its sub-commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import functools
import os
import sys
from typing import Annotated, Any

import typer

import genomix
from genomix.cli import (
    benchmark,
    check,
    compare,
    doctor,
    embed,
    evaluate,
    explain,
    merge,
    models,
    predict,
    pretrain,
    report,
    simulate,
    slurm,
    split,
    train,
    tune,
)
from genomix.errors import CannotWriteError, GenomixError, PreemptedError

# Newer releases of typer carry a click of their own, whose errors are not those of the installed one.
_CommandLineError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write meets where there is no room."""

app = typer.Typer(
    name="genomix",
    help="Train, evaluate and use classifiers of DNA sequences, from hundreds to millions of bases long.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("split")(split.split)
app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("pretrain")(pretrain.pretrain)
app.command("check")(check.check)
app.command("predict")(predict.predict)
app.command("merge")(merge.merge)
app.command("embed")(embed.embed)
app.command("explain")(explain.explain)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("models")(models.models)
app.command("slurm", context_settings=slurm.SETTINGS)(slurm.slurm)
app.command("simulate")(simulate.simulate)
app.command("benchmark")(benchmark.benchmark)
app.command("doctor")(doctor.doctor)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"genomix {genomix.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line and leave with the exit code that DESIGN and README list."""
    sys.exit(_run())


def _run() -> int:
    code = 0
    try:
        code = _invoke()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _give_up_stdout()
    except OSError as error:
        # files that cannot be written have become a GenomixError by now
        if error.filename is not None or error.errno not in _FULL:
            raise
        _give_up_stdout()
        sys.stderr.write(f"genomix: error: stdout: cannot write ({error.strerror})\n")
        return CannotWriteError.exit_code
    return code


def _give_up_stdout() -> None:
    """Let what is still to be written go nowhere, or Python would fail once more when it leaves."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@functools.cache
def build_command() -> Any:
    """Return the command with all commands below it, which typer makes out of the functions."""
    return typer.main.get_command(app)


def _invoke() -> int:
    command = build_command()
    try:
        with command.make_context("genomix", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as left:
        return left.exit_code
    except GenomixError as error:
        lines = str(error).splitlines()
        head = "genomix: " if isinstance(error, PreemptedError) else "genomix: error: "
        sys.stderr.write("".join(f"{head if i == 0 else '  '}{line}\n" for i, line in enumerate(lines)))
        return error.exit_code
    except _CommandLineError as error:
        return _complain(error)
    except (KeyboardInterrupt, typer.Abort) as error:
        sys.stderr.write(f"genomix: {str(error) or 'interrupted'}\n")
        return 130
    return 0


def _complain(error: Any) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        hint = f"\n  see {context.command_path} --help" if context else ""
        sys.stderr.write(f"genomix: error: {error.format_message().replace('Value error, ', '')}{hint}\n")
    return error.exit_code
