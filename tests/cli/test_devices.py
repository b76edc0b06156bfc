"""Trainings in several processes on this machine: what they give, and what becomes of them when one is lost."""

import contextlib
import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import TINY

OPTIONS = (*TINY, "--no-checks", "--no-baselines", "--max-epochs", "12")
LONG = (*TINY, "--no-checks", "--no-baselines", "--max-epochs", "100000", "--set", "training.patience=100000")


@pytest.fixture
def start(environment, data):
    started = []

    def start(*arguments, table=data.table, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "genomix", "train", str(data.fasta), str(table), *map(str, arguments)],
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def history(run):
    with (run / "history.csv").open() as file:
        return [{key: float(row[key]) for key in ("train_loss", "val_log_loss")} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def one(genomix, data):
    path = data.directory / "one-process"
    done = genomix("train", data.fasta, data.table, "-o", path, *OPTIONS)
    assert done.code == 0, done.stderr
    return history(path)


def assert_close(ours, expected):
    """In float32 rounding differs, and the optimiser makes much of it where a gradient is next to nothing."""
    assert len(ours) == len(expected)
    for row, other in zip(ours, expected, strict=True):
        assert row == pytest.approx(other, abs=2e-3)


def rank_of(process_id):
    """Return the rank that a process finds in its environment; None if it has none or is gone."""
    try:
        variables = Path(f"/proc/{process_id}/environ").read_text().split("\0")
    except OSError:
        return None
    return next((int(text[5:]) for text in variables if text.startswith("RANK=")), None)


def find_rank(launcher, rank):
    """Return the id of the process of this rank among the children of a launcher."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    [found] = [int(child) for child in children if rank_of(child) == rank]
    return found


def wait_for_step(run, process):
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_processes_train_as_one_and_only_one_of_them_speaks(start, one, tmp_path):
    run = tmp_path / "run"
    process = start("-o", run, *OPTIONS, "--devices", 2)
    stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    assert_close(history(run), one)
    assert stdout.count(" paramixer ") == 1
    assert stderr.count("training ended: all 12 epochs are done") == 1
    assert "2 processes, each on cpu with 1 threads" in stderr
    assert not re.search(r"torch|W1\d\d\d", stderr)
    assert not list(run.glob("checkpoint*"))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found under /proc")
def test_a_lost_process_ends_the_job_and_leaves_a_checkpoint(start, genomix, tmp_path):
    run = tmp_path / "run"
    process = start("-o", run, *LONG, "--devices", 2)
    wait_for_step(run, process)
    os.kill(find_rank(process, 1), signal.SIGKILL)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert process.returncode == 1, stderr
    assert "rank 1 was killed by SIGKILL" in stderr
    assert f"go on with: genomix train --resume {run}" in stderr
    assert "Traceback" not in stderr
    gone_on = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu", "--max-time", "4s")
    assert gone_on.code == 75, gone_on.stderr
    assert re.search(r"going on in epoch \d+, after [1-9]", gone_on.stderr)


def test_a_signal_to_the_launcher_stops_all_of_them_and_one_can_go_on_for_two(start, genomix, one, tmp_path):
    run = tmp_path / "run"
    process = start("-o", run, *OPTIONS, "--devices", 2, "--checkpoint-every", "step")
    wait_for_step(run, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 75, stderr
    assert stderr.count("go on with: genomix train --resume") == 1
    done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
    assert done.code == 0, done.stderr
    assert "going on in epoch" in done.stderr
    assert_close(history(run), one)


def step_of_two(start, *arguments):
    """Start two tasks with the variables that a step of SLURM sets."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "MASTER_PORT": str(port)}
    shared |= {"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "localhost"}
    return [start(*arguments, **shared, SLURM_PROCID=str(task), SLURM_LOCALID=str(task)) for task in range(2)]


def test_srun_starts_them_as_well(start, one, tmp_path):
    run = tmp_path / "run"
    tasks = step_of_two(start, "-o", run, *OPTIONS)
    ends = [task.communicate(timeout=180) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], ends
    assert_close(history(run), one)
    assert ends[1] == ("", "")


def test_where_one_may_not_write_the_others_do_not_wait(start, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    tasks = step_of_two(start, "-o", tmp_path, *OPTIONS)
    ends = [task.communicate(timeout=60) for task in tasks]
    assert tasks[0].returncode == 73, ends
    assert tasks[1].returncode == 1, ends
    assert "exists and is not empty" in ends[0][1]
    assert ends[1] == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--devices", 0), "--devices 0: must be 1 at least"),
        (("--devices", 2, "--model", "kmer"), "k-mer models are fitted by one process"),
    ],
)
def test_what_cannot_be(genomix, data, tmp_path, options, message):
    done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", *options)
    assert done.code == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_stdin_is_not_shared(genomix, data, tmp_path):
    done = genomix("train", "-", data.table, "-o", tmp_path / "run", "--devices", 2, stdin=data.fasta.read_bytes())
    assert done.code == 2
    assert "several processes cannot share stdin" in done.stderr


def test_bad_data_are_told_once(start, data, tmp_path):
    table = tmp_path / "labels.tsv"
    table.write_text(data.table.read_text().replace("r3\t", "r99\t"))
    process = start("-o", tmp_path / "run", *OPTIONS, "--devices", 2, table=table)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 65, stderr
    assert stderr.count("genomix: error") == 1
    assert not (tmp_path / "run").exists()
