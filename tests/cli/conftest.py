"""The command line as its users meet it: each command in a process of its own, with tiny data and models to use."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, Data, Outcome, make_sequences, to_fasta, to_table


class Forking:
    """Runs commands in forks of a process that has imported all there is, see `forked.py`."""

    def __init__(self, environment: dict[str, str], workspace: Path) -> None:
        self._workspace = workspace
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def run(self, arguments: list[str], directory: Path, stdin: bytes) -> Outcome:
        files = {name: str(self._workspace / name) for name in ("stdin", "stdout", "stderr")}
        Path(files["stdin"]).write_bytes(stdin)
        request = {"arguments": arguments, "directory": str(directory), **files}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return Outcome(code, *(Path(files[name]).read_text() for name in ("stdout", "stderr")))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a command's process finds in its environment: one thread, no GPU, and a cache of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "GENOMIX"))}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return (
        inherited
        | threads
        | {"GENOMIX_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "120", "CUDA_VISIBLE_DEVICES": ""}
    )


@pytest.fixture(scope="session")
def forking(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forking]:
    server = Forking(environment, tmp_path_factory.mktemp("streams"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def genomix(environment: dict[str, str], request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    """Run `genomix` with these arguments in a directory, where a process can be forked in a fork."""

    def genomix(*arguments: Any, directory: Path | str = ".", stdin: bytes = b"") -> Outcome:
        words = [str(argument) for argument in arguments]
        if sys.platform == "linux":
            return request.getfixturevalue("forking").run(words, Path(directory).absolute(), stdin)
        return run_apart(words, environment, directory, stdin)

    return genomix


@pytest.fixture(scope="session")
def genomix_apart(environment: dict[str, str]) -> Callable[..., Outcome]:
    """Run `python -m genomix` in a fresh interpreter, as users do."""

    def genomix(*arguments: Any, directory: Path | str = ".", stdin: bytes = b"") -> Outcome:
        return run_apart([str(argument) for argument in arguments], environment, directory, stdin)

    return genomix


def run_apart(arguments: list[str], environment: dict[str, str], directory: Path | str, stdin: bytes) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "genomix", *arguments], input=stdin, capture_output=True, env=environment, cwd=directory
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    directory = tmp_path_factory.mktemp("data")
    found = Data(directory, *make_sequences())
    found.fasta.write_text(to_fasta(found.sequences, found.labels))
    found.table.write_text(to_table(found.labels))
    return found


@pytest.fixture(scope="session")
def run(genomix: Callable[..., Outcome], data: Data) -> Path:
    """A run directory of a network trained for two epochs. It is shared: copy it to change anything."""
    path = data.directory / "run"
    done = genomix("train", data.fasta, data.table, "-o", path, "--max-epochs", 2, *TINY)
    assert done.code == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def kmer_run(genomix: Callable[..., Outcome], data: Data) -> Path:
    """A run directory of a k-mer model, which is made in a blink."""
    path = data.directory / "kmer-run"
    done = genomix("train", data.fasta, data.table, "-o", path, "--model", "kmer", "--threads", 1)
    assert done.code == 0, done.stderr
    return path
