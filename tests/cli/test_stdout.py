"""What happens where stdout takes no more: a full disk is an error with a code of its own, a closed pipe is none."""

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
ERROR = "genomix: error: stdout: cannot write (No space left on device)\n"


@pytest.fixture
def start(environment):
    """Start `python -m genomix` in a process of its own, with a stdout of its own that Python buffers."""
    buffered = {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}

    def start(arguments, stdout):
        command = [sys.executable, "-m", "genomix", *map(str, arguments)]
        return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=buffered, text=True)

    return start


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["train", "--help"],
        ["models"],
        ["models", "--json"],
        ["predict", "{run}", "{fasta}", "-q"],
        ["evaluate", "{run}", "{fasta}", "{table}", "-q"],
        ["evaluate", "{run}", "{fasta}", "{table}", "-q", "--json"],
    ],
    ids=" ".join,
)
def test_a_full_disk(start, kmer_run, data, arguments):
    filled = [word.format(run=kmer_run, fasta=data.fasta, table=data.table) for word in arguments]
    with FULL.open("w") as full, start(filled, full) as process:
        said = process.communicate()[1]
    assert process.returncode == 73
    assert said.endswith(ERROR)
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--json"]], ids=" ".join)
def test_a_closed_pipe_is_no_error(start, arguments):
    with start(arguments, subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")
