"""Trainings that are stopped, killed and gone on with from the command line, and what keeps that from being done."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tiny import REAL, TINY

from genomix.files import locked

LONG = (*TINY, "--no-checks", "--no-baselines", "--max-epochs", "24", "--set", "training.validate_every=4")
KMER = (
    "--model",
    "kmer",
    "--set",
    "model.k=3",
    "--set",
    "model.inverse_regularisation=1",
    "--threads",
    1,
    "--no-checks",
    "--folds",
    3,
)
SAME = ("model.safetensors", "predictions.tsv", "calibration.json", "config.yaml", "splits.tsv", "metrics.json")


@pytest.fixture(scope="module")
def whole(genomix, data):
    """The training that nobody stopped."""
    path = data.directory / "whole"
    done = genomix("train", data.fasta, data.table, "-o", path, *LONG)
    assert done.code == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def begun(genomix, data, environment, tmp_path_factory):
    """A training that was stopped before its end."""
    run = tmp_path_factory.mktemp("begun") / "run"
    command = [sys.executable, "-m", "genomix", "train", data.fasta, data.table, "-o", run, *LONG]
    with subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for_step(run, process)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    return run


@pytest.fixture(scope="module")
def folds(genomix, data):
    path = data.directory / "all-folds"
    done = genomix("train", data.fasta, data.table, "-o", path, *KMER)
    assert done.code == 0, done.stderr
    return path, done.stdout


@pytest.fixture
def start(environment, data):
    """Begin a training, or go on with it, in a process of its own; it is ended in the end."""
    started = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "genomix", "train", *map(str, arguments)],
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for_step(run, process):
    """Wait until there is a checkpoint: from then on there is something to lose."""
    deadline = time.monotonic() + 60
    while not (run / "checkpoint.pt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped(start, data, run, number, *options):
    process = start(data.fasta, data.table, "-o", run, *LONG, *options)
    wait_for_step(run, process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


def assert_same(run, whole):
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not [path.name for path in run.iterdir() if path.name.startswith(("checkpoint", "."))]
    assert json.loads((run / "begun.json").read_text())["complete"]
    assert (run / "report.html").is_file()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130)])
def test_a_signal_stops_it_behind_a_step_and_nothing_is_lost(start, genomix, data, whole, tmp_path, name, code):
    run = tmp_path / "run"
    returned, stderr = stopped(start, data, run, getattr(signal, name))
    assert returned == code, stderr
    assert stderr.splitlines()[-1].startswith(f"genomix: stopped by {name} in epoch ")
    assert stderr.endswith(f"go on with: genomix train --resume {run}\n")
    assert "Traceback" not in stderr
    if name == "SIGTERM":
        done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
        assert done.code == 0, done.stderr
        assert "going on in epoch" in done.stderr
        assert_same(run, whole)


def test_a_kill_loses_no_more_than_what_came_behind_the_checkpoint(start, genomix, data, whole, tmp_path):
    run = tmp_path / "run"
    returned, _ = stopped(start, data, run, signal.SIGKILL)
    assert returned == -signal.SIGKILL
    done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
    assert done.code == 0, done.stderr
    assert_same(run, whole)


def test_a_torn_checkpoint_is_seen_and_the_one_before_it_taken(start, genomix, data, whole, tmp_path):
    run = tmp_path / "run"
    stopped(start, data, run, signal.SIGTERM, "--checkpoint-every", "step")
    newest = run / "checkpoint.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
    assert done.code == 0, done.stderr
    assert "checkpoint.pt: damaged" in done.stderr
    assert_same(run, whole)


def test_it_stops_ahead_of_the_end_of_a_slurm_job(start, data, tmp_path):
    run = tmp_path / "run"
    endless = (*TINY, "--no-checks", "--max-epochs", "100000", "--set", "training.patience=100000")
    process = start(data.fasta, data.table, "-o", run, *endless, SLURM_JOB_END_TIME=str(time.time() + 20))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert "genomix: stopped by the time limit in epoch" in stderr
    assert (run / "checkpoint.pt").is_file()


class TestWhatIsGoneOnWith:
    def test_a_complete_one_needs_nothing(self, genomix, whole):
        before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
        done = genomix("train", "--resume", whole)
        assert done.code == 0
        assert f"{whole} is complete" in done.stderr
        assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before

    def test_a_complete_one_of_other_settings_is_not_this_one(self, genomix, data, whole):
        done = genomix("train", data.fasta, data.table, "--resume", whole, *LONG, "--learning-rate", "0.5")
        assert done.code == 2
        assert "training.learning_rate: begun with 0.003, now 0.5" in done.stderr

    def test_a_complete_one_of_other_sequences_is_not_this_one(self, genomix, data, whole, tmp_path):
        other = tmp_path / "other.fa"
        other.write_text(data.fasta.read_text().replace("ACGT", "ACGA"))
        done = genomix("train", other, data.table, "--resume", whole, *LONG)
        assert done.code == 65
        assert "was begun with other sequences" in done.stderr

    def test_a_report_that_was_not_written_any_more_is_made(self, genomix, whole, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(whole, run)
        (run / "report.html").unlink()
        done = genomix("train", "--resume", run)
        assert done.code == 0, done.stderr
        assert (run / "report.html").is_file()

    def test_two_do_not_write_into_one_directory(self, genomix, begun):
        with locked(begun):
            done = genomix("train", "--resume", begun, "--threads", 1, "--device", "cpu")
        assert done.code == 73
        assert "another process is writing there" in done.stderr

    def test_the_same_command_begins_and_goes_on(self, genomix, data, whole, begun, tmp_path):
        run = tmp_path / "run"
        command = ("train", data.fasta, data.table, "--resume", run, *LONG)
        assert genomix(*command).code == 0
        assert_same(run, whole)
        again = genomix(*command)
        assert (again.code, again.stdout) == (0, "")
        shutil.rmtree(run)
        shutil.copytree(begun, run)
        done = genomix(*command)
        assert done.code == 0, done.stderr
        assert "going on in epoch" in done.stderr
        assert_same(run, whole)

    def test_other_settings_are_not_the_same_training(self, genomix, data, begun):
        done = genomix("train", data.fasta, data.table, "--resume", begun, *LONG, "--learning-rate", "0.5", "--seed", 7)
        assert done.code == 2
        assert "this is another training than was begun" in done.stderr
        assert "training.learning_rate: begun with 0.003, now 0.5" in done.stderr
        assert "training.seed: begun with 0, now 7" in done.stderr

    def test_settings_alone_are_not_taken_for_a_change(self, genomix, begun):
        done = genomix("train", "--resume", begun, "--max-epochs", 99)
        assert done.code == 2
        assert "leave out other settings" in done.stderr

    def test_other_sequences_are_not_the_same_training(self, genomix, data, begun, tmp_path):
        other = tmp_path / "other.fa"
        other.write_text(data.fasta.read_text().replace("ACGT", "ACGA"))
        done = genomix("train", other, data.table, "--resume", begun, *LONG)
        assert done.code == 65
        assert "was begun with other sequences" in done.stderr
        assert (begun / "checkpoint.pt").is_file()

    def test_sequences_may_have_moved(self, genomix, data, whole, begun, tmp_path):
        run, moved = tmp_path / "run", tmp_path / "moved.fa"
        shutil.copytree(begun, run)
        shutil.copy(data.fasta, moved)
        done = genomix("train", moved, data.table, "--resume", run, *LONG)
        assert done.code == 0, done.stderr
        assert_same(run, whole)

    def test_where_nothing_was_begun_the_data_are_needed(self, genomix, tmp_path):
        done = genomix("train", "--resume", tmp_path / "none")
        assert done.code == 2
        assert "no training was begun there; give sequences and labels as well" in done.stderr

    def test_what_holds_other_things_is_left_alone(self, genomix, data, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        done = genomix("train", data.fasta, data.table, "--resume", tmp_path, *LONG)
        assert done.code == 73
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize("option", [("-o", "elsewhere"), ("--force",)])
    def test_it_names_the_directory_and_replaces_nothing(self, genomix, data, begun, option):
        done = genomix("train", data.fasta, data.table, "--resume", begun, *option)
        assert done.code == 2
        assert "leave out --out and --force" in done.stderr

    def test_a_damaged_note_of_what_was_begun(self, genomix, begun, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(begun, run)
        (run / "begun.json").write_text("{")
        done = genomix("train", "--resume", run)
        assert done.code == 65
        assert "begun.json: damaged" in done.stderr

    def test_stdin_cannot_be_read_again(self, genomix, begun, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(begun, run)
        note = json.loads((run / "begun.json").read_text())
        (run / "begun.json").write_text(json.dumps(note | {"inputs": ["-"]}))
        done = genomix("train", "--resume", run)
        assert done.code == 2
        assert "pipe them in again" in done.stderr


class TestFaults:
    def test_a_full_disk(self, start, genomix, data, whole, tmp_path):
        """A limit on the size of files does what a full disk does; the checkpoint is the largest file."""
        run = tmp_path / "run"
        limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        limited += "from genomix.cli.main import main; sys.argv[0] = 'genomix'; main()"
        process = subprocess.run(
            [sys.executable, "-c", limited, "train", *map(str, (data.fasta, data.table, "-o", run, *LONG))],
            capture_output=True,
            text=True,
        )
        assert process.returncode == 73, process.stderr
        assert "checkpoint.pt: cannot write" in process.stderr
        assert f"go on with --resume {run}" in process.stderr
        assert not list(run.glob(".*"))
        assert not (run / "model.safetensors").exists()
        done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
        assert done.code == 0, done.stderr
        assert_same(run, whole)

    def test_a_directory_that_vanishes(self, start, data, tmp_path):
        run = tmp_path / "run"
        process = start(data.fasta, data.table, "-o", run, *LONG, "--checkpoint-every", "step")
        wait_for_step(run, process)
        run.rename(tmp_path / "moved")
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 73, stderr
        assert "cannot write" in stderr
        assert "Traceback" not in stderr
        assert not run.exists()

    def test_a_home_that_cannot_be_written(self, start, genomix, data, whole, tmp_path):
        run, home = tmp_path / "run", tmp_path / "home"
        home.write_text("a file, where nothing can be made, not even by root")
        homes = {"HOME": str(home / "user"), "GENOMIX_CACHE": "", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
        process = start(data.fasta, data.table, "-o", run, *LONG, **homes)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert_same(run, whole)


class TestSeveral:
    def test_one_at_a_time_and_then_together(self, genomix, data, folds, tmp_path):
        expected, stdout = folds
        path = tmp_path / "folds"
        for fold in (2, 1):
            done = genomix("train", data.fasta, data.table, "-o", path, *KMER, "--only", fold)
            assert done.code == 0, done.stderr
            assert (path / f"fold-{fold}" / "report.html").is_file()
        done = genomix("train", data.fasta, data.table, "--resume", path, *KMER)
        assert done.code == 0, done.stderr
        assert done.stdout == stdout
        for name in ("predictions.tsv", "metrics.json", "splits.tsv", "calibration.json", "fold-3/predictions.tsv"):
            assert (path / name).read_bytes() == (expected / name).read_bytes(), name

    def test_complete_ones_are_not_trained_again(self, genomix, data, folds, tmp_path):
        path = tmp_path / "folds"
        shutil.copytree(folds[0], path)
        shutil.rmtree(path / "fold-2")
        before = (path / "fold-1" / "model.safetensors").stat().st_mtime_ns
        done = genomix("train", data.fasta, data.table, "--resume", path, *KMER)
        assert done.code == 0, done.stderr
        assert (path / "fold-1" / "model.safetensors").stat().st_mtime_ns == before
        assert (path / "predictions.tsv").read_bytes() == (folds[0] / "predictions.tsv").read_bytes()

    def test_a_complete_fold_of_another_division_does_not_belong(self, genomix, data, folds, tmp_path):
        path = tmp_path / "folds"
        for fold in folds[0].glob("fold-*"):
            shutil.copytree(fold, path / fold.name)
        splits = path / "fold-1" / "splits.tsv"
        splits.write_text(splits.read_text().replace("\ttest\n", "\ttrain\n", 1))
        done = genomix("train", data.fasta, data.table, "--resume", path, *KMER)
        assert done.code == 65
        assert "not the division that this training makes" in done.stderr

    def test_folds_of_other_settings_do_not_go_together(self, genomix, data, folds, tmp_path):
        path = tmp_path / "folds"
        for fold in folds[0].glob("fold-*"):
            shutil.copytree(fold, path / fold.name)
        done = genomix("train", data.fasta, data.table, "--resume", path, *KMER, "--set", "model.k=4")
        assert done.code == 2
        assert "fold-1: this is another training than was begun" in done.stderr
        assert "model.k: begun with 3, now 4" in done.stderr

    def test_a_fold_that_was_removed_is_missed(self, genomix, data, folds, tmp_path):
        path = tmp_path / "folds"
        shutil.copytree(folds[0], path)
        shutil.rmtree(path / "fold-3")
        done = genomix("train", "--resume", path, "--threads", 1)
        assert done.code == 0, done.stderr
        assert (path / "fold-3" / "model.safetensors").is_file()

    def test_a_folder_that_looks_like_a_fold_is_left_alone(self, genomix, data, tmp_path):
        (tmp_path / "fold-1").mkdir()
        (tmp_path / "fold-1" / "thesis.txt").write_text("mine")
        done = genomix("train", data.fasta, data.table, "--resume", tmp_path, *KMER)
        assert done.code == 73
        assert [path.name for path in tmp_path.rglob("*")] == ["fold-1", "thesis.txt"]

    def test_a_member_of_an_ensemble_that_was_stopped(self, start, genomix, data, tmp_path):
        several = (*REAL, "--no-checks", "--no-baselines", "--max-epochs", 4, "--ensemble", 2)
        expected, run = tmp_path / "expected", tmp_path / "run"
        assert genomix("train", data.fasta, data.table, "-o", expected, *several).code == 0
        process = start(data.fasta, data.table, "-o", run, *several)
        wait_for_step(run / "member-2", process)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 75, stderr
        done = genomix("train", "--resume", run, "--threads", 1, "--device", "cpu")
        assert done.code == 0, done.stderr
        for name in ("predictions.tsv", "metrics.json", "member-1/model.safetensors", "member-2/model.safetensors"):
            assert (run / name).read_bytes() == (expected / name).read_bytes(), name
        assert json.loads((run / "begun.json").read_text())["complete"]

    @pytest.mark.parametrize("options", [("--only", 2), ("--folds", 3, "--only", 4), ("--ensemble", 2, "--only", 0)])
    def test_only_one_that_there_is(self, genomix, data, options, tmp_path):
        done = genomix("train", data.fasta, data.table, "-o", tmp_path / "run", *options)
        assert done.code == 2
        assert "--only" in done.stderr


def test_before_anything_is_learnt_there_is_nothing_to_keep(start, data, tmp_path):
    process = start(data.fasta, data.table, "-o", tmp_path / "run", *LONG)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (75, -signal.SIGTERM), stderr
    assert "Traceback" not in stderr
