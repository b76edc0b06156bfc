"""The command as a whole: its help, its version, and how fast both are there."""

import subprocess
import sys

import pytest

COMMANDS = ("train", "predict", "evaluate", "compare", "models", "simulate", "benchmark")
WITHOUT_THREADS = ("models", "simulate")
HEAVY = ("torch", "sklearn", "numba", "pyarrow", "numpy", "matplotlib")


def test_the_version(genomix):
    import genomix as package

    assert genomix("--version").stdout == f"genomix {package.__version__}\n"


def test_the_help_names_the_commands(genomix):
    done = genomix("--help")
    assert done.code == 0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(genomix, command):
    done = genomix(command, "--help")
    assert done.code == 0
    assert done.stdout.startswith(f"Usage: genomix {command}")
    assert ("--threads" in done.stdout) == (command not in WITHOUT_THREADS)


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_waits_for_no_heavy_import(environment, arguments):
    program = (
        "import atexit, sys; sys.argv[0] = 'genomix';"
        f"atexit.register(lambda: print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr, end=''));"
        "from genomix.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "Usage: genomix" in done.stdout
