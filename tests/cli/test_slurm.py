"""The scripts for SLURM: what is asked for, and what the shell does, with srun, sbatch and scontrol made up."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHELLCHECK = Path(sys.executable).with_name("shellcheck")
FAKES = {
    "genomix": """
printf '%s\\n' "$*" >> calls
code=$(head -n 1 codes); sed -i 1d codes
if [ "$code" = wait ]; then
    echo started >> calls
    trap 'sleep 0.2; echo saved >> calls; exit 75' USR1 TERM
    while :; do sleep 0.02; done
fi
exit "$code"
""",
    "srun": """
echo "srun $*" >> asked
while [[ $1 == --* ]]; do shift; done
exec "$@"
""",
    "scontrol": 'echo "scontrol $*" >> asked',
    "sbatch": """
echo "sbatch $*" >> asked
echo "12;cluster"
""",
}


@pytest.fixture
def folder(tmp_path):
    """A folder with input files of awkward names, and made-up commands."""
    for name in ("my data.fa", "it's.tsv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def write(genomix, folder):
    """Write a script, look it through, and return its path."""

    def write(*words):
        done = genomix("slurm", *words, directory=folder)
        assert done.code == 0, done.stderr
        script = folder / "job.sh"
        script.write_text(done.stdout)
        for checker in (["bash", "-n"], [SHELLCHECK]):
            checked = subprocess.run([*checker, script], capture_output=True, text=True)
            assert checked.returncode == 0, checked.stdout + checked.stderr
        return script

    return write


@pytest.fixture
def start(folder):
    """Start a script as SLURM would; the made-up genomix ends with these codes, one a call."""

    def start(script, *codes, arguments=(), **variables):
        (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
        job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", "SLURM_CPUS_PER_TASK": "4"} | variables
        environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **job}
        with (folder / "said").open("w") as said:
            command = ["bash", script, *arguments]
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)

    return start


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def directives(script):
    return [line.removeprefix("#SBATCH ") for line in lines_of(script) if line.startswith("#SBATCH ")]


TRAIN = ("train", "my data.fa", "it's.tsv", "--lr", "1e-3")


class TestScript:
    def test_what_is_asked_for(self, write):
        words = (
            "--time",
            "2-00:00",
            "--cpus",
            8,
            "--memory",
            "32G",
            "--gpus",
            "a100:2",
            "--nodes",
            3,
            "--name",
            "my job",
        )
        more = ("--partition", "long", "--account", "bio", "--grace", 300, "--sbatch=--constraint=a100")
        assert directives(write(*words, *more, *TRAIN)) == [
            '--job-name="my job"',
            '--output="my job-%j.log"',
            "--open-mode=append",
            "--requeue",
            "--signal=B:USR1@300",
            "--time=2-00:00",
            "--nodes=3",
            "--ntasks-per-node=2",
            "--cpus-per-task=8",
            "--mem=32G",
            "--gpus-per-node=a100:2",
            "--partition=long",
            "--account=bio",
            "--constraint=a100",
        ]

    def test_nothing_is_asked_for_that_was_not_said(self, write):
        assert directives(write(*TRAIN)) == [
            "--job-name=genomix-train",
            "--output=genomix-train-%j.log",
            "--open-mode=append",
            "--requeue",
            "--signal=B:USR1@120",
            "--nodes=1",
            "--ntasks-per-node=1",
        ]

    def test_the_words_are_those_of_the_command(self, write, start, folder):
        assert start(write("--setup", "echo ready > setup", *TRAIN), 0).wait() == 0
        assert lines_of(folder / "calls") == ["train my data.fa it's.tsv --lr 1e-3 --resume run"]
        assert lines_of(folder / "setup") == ["ready"]
        assert lines_of(folder / "asked")[0].startswith(
            "srun --ntasks=1 --kill-on-bad-exit=1 --cpus-per-task=4 genomix"
        )

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ([*TRAIN, "--what"], "No such option: --what"),
            ([*TRAIN, "--folds", "x"], "Invalid value for '--folds'"),
            ([*TRAIN, "--out", "run"], "--resume instead"),
            (["--array", "3", *TRAIN], "train --folds N or --ensemble N"),
            (["--array", "3", *TRAIN, "--folds", "4"], "say --array 4"),
            (["--array", "3", *TRAIN, "--folds", "3", "--only", "2"], "not --only"),
            (["train", "-"], "no stdin"),
            (["predict", "run", "new.fa"], "name its output by --output"),
            (["predict", "run"], "Missing argument"),
            (["--nodes", "2", "predict", "run", "new.fa", "-o", "out.tsv"], "runs in one process"),
            (["--array", "2", "predict", "run", "new.fa", "-o", "out.tsv", "--shard", "1/2"], "leave out --shard"),
            (["--gpus", "many", *TRAIN], "--gpus 'many'"),
            (["--sbatch", "constraint", *TRAIN], "--sbatch 'constraint'"),
            (["--name", "a\nb", *TRAIN], "is one line"),
            (["check", "my data.fa"], "jobs of train and predict, not of 'check'"),
            (["--what", *TRAIN], "No such option: --what"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_what_is_wrong_is_said_now(self, genomix, folder, words, said):
        done = genomix("slurm", *words, directory=folder)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr

    def test_a_file_that_is_not_there_yet(self, genomix, folder):
        done = genomix("slurm", "train", "later.fa", directory=folder)
        assert done.code == 0
        assert "warning: later.fa: there is no such file yet" in done.stderr


class TestRunning:
    def test_a_job_that_can_go_on_is_queued_again(self, write, start, folder):
        script = write(*TRAIN)
        assert start(script, 75).wait() == 75
        assert lines_of(folder / "asked")[1:] == ["scontrol requeue 7"]
        assert start(script, 0, SLURM_RESTART_COUNT="1").wait() == 0
        assert len(lines_of(folder / "asked")) == 3

    def test_not_for_ever(self, write, start, folder):
        assert start(write("--max-restarts", 2, *TRAIN), 75, SLURM_RESTART_COUNT="2").wait() == 75
        assert "queued again 2 times already" in (folder / "said").read_text()
        assert len(lines_of(folder / "asked")) == 1

    @pytest.mark.parametrize("code", [0, 1, 65, 130, 137])
    def test_any_other_end_is_passed_on(self, write, start, folder, code):
        assert start(write(*TRAIN), code).wait() == code
        assert len(lines_of(folder / "asked")) == 1

    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
    def test_signals_reach_the_command_and_its_end_is_waited_for(self, write, start, folder, number):
        process = start(write(*TRAIN), "wait")
        while "started" not in lines_of(folder / "calls"):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(20) == 75
        assert lines_of(folder / "calls")[-1] == "saved"
        assert lines_of(folder / "asked")[-1] == "scontrol requeue 7"


class TestArray:
    def test_folds(self, write, start, folder):
        script = write("--array", 3, "--at-once", 2, *TRAIN, "--folds", 3, "--resume", "my run")
        assert "--array=1-3%2" in directives(script)
        assert "--output=genomix-train-%A_%a.log" in directives(script)
        for task in ("2", "0"):
            assert start(script, 0, SLURM_ARRAY_TASK_ID=task, SLURM_NTASKS="2").wait() == 0
        command = "train my data.fa it's.tsv --lr 1e-3 --folds 3 --resume my run"
        assert lines_of(folder / "calls") == [f"{command} --only 2", command]
        assert [line.split()[1] for line in lines_of(folder / "asked")] == ["--ntasks=2", "--ntasks=1"]

    def test_submitting_queues_the_last_task_behind_the_others(self, write, start, folder):
        script = write("--array", 3, *TRAIN, "--ensemble", 3)
        assert start(script, arguments=["submit"]).wait() == 0
        behind = "--array=0 --dependency=afterok:12 --kill-on-invalid-dep=yes"
        assert lines_of(folder / "asked") == [f"sbatch --parsable {script}", f"sbatch {behind} {script}"]
        assert not (folder / "calls").exists()

    def test_an_array_submitted_otherwise_says_how(self, write, start, folder):
        assert start(write("--array", 3, *TRAIN, "--ensemble", 3), 0).wait() != 0
        assert "bash THIS_SCRIPT submit" in (folder / "said").read_text()

    def test_shards(self, write, start, folder, genomix, kmer_run, data):
        words = ("predict", kmer_run, data.fasta, "--batch-bases", 16, "--threads", 1, "-o")
        script = write("--array", 2, *words, "o ut.csv.gz")
        genuine = f'#!/bin/bash\nexec {shlex.quote(sys.executable)} -m genomix "$@"\n'
        (folder / "bin" / "genomix").write_text(genuine)
        for task in ("2", "1", "0"):
            assert start(script, SLURM_ARRAY_TASK_ID=task).wait() == 0, (folder / "said").read_text()
        assert genomix(*words, "whole.csv.gz", directory=folder).code == 0
        assert (folder / "o ut.csv.gz").read_bytes() == (folder / "whole.csv.gz").read_bytes()


def test_the_commands_of_the_document(write, folder):
    """Each writes a script that has no faults."""
    text = (Path(__file__).parents[2] / "docs" / "slurm.md").read_text()
    lines = [line for block in text.split("```")[1::2] for line in block.splitlines()]
    commands = [line.partition(" > ")[0] for line in lines if line.startswith("genomix slurm")]
    assert len(commands) == 4
    for command in commands:
        assert write(*shlex.split(command)[2:]).read_text().startswith("#!/bin/bash\n#SBATCH --job-name=genomix-")
