"""The number of threads that is asked for is the number there is: libraries are told before they are imported."""

import subprocess
import sys

import pytest
import typer
from tiny import TINY

from genomix.cli.main import app

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "GOMP_SPINCOUNT")
PROGRAM = """
import os, sys
from importlib.abc import MetaPathFinder

class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("torch", "numba"):
            print(name, *map(os.environ.get, ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")), file=sys.stderr)
            assert "GOMP_SPINCOUNT" in os.environ

sys.meta_path.insert(0, Watch())
sys.argv[0] = "genomix"
from genomix.cli.main import main
try:
    main()
finally:
    import numba, torch
    print("in the end", torch.get_num_threads(), numba.get_num_threads(), file=sys.stderr)
"""


@pytest.fixture
def threads_of(environment, tmp_path):
    """Run a command on 3 threads by default, and return what it told the libraries, and how many there were."""
    free = {name: value for name, value in environment.items() if name not in THREADS}

    def run(*arguments):
        words = [str(argument) for argument in arguments]
        granted = free | {"SLURM_CPUS_PER_TASK": "3"}
        done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, env=granted, cwd=tmp_path)
        told = done.stderr.decode()
        assert done.returncode == 0, told
        return {line for line in told.splitlines() if line.startswith(("torch ", "numba ", "in the end"))}

    return run


def told(count):
    return {f"torch {count} {count}", f"numba {count} {count}", f"in the end {count} {count}"}


def test_a_training(threads_of, data):
    few = (one for one in TINY if one not in ("--threads", "1"))
    assert threads_of("train", data.fasta, data.table, "--max-epochs", 1, *few, "--threads", 2) == told(2)


def test_what_the_machine_grants(threads_of, data):
    assert threads_of("check", data.fasta, data.table) == told(3)


def test_a_prediction(threads_of, data, run):
    assert threads_of("predict", run, data.fasta, "-o", "out.tsv", "-t", 1) == told(1)


def test_every_command_that_takes_a_number_tells_of_it():
    commands = typer.main.get_command(app).commands
    options = {name: [one for one in command.params if one.name == "threads"] for name, command in commands.items()}
    assert {"train", "tune", "pretrain", "predict", "evaluate", "check"} <= {name for name in options if options[name]}
    assert all(option.callback is not None for found in options.values() for option in found)
