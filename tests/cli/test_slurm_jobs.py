"""The scripts for SLURM as they run: what the shell does, with srun, sbatch, squeue and scontrol made up."""

import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from job_scripts import TRAIN, directives, lines_of, make_script

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
trap 'signalled=yes; kill -s USR1 "$task"' USR1
trap 'signalled=yes; kill -s KILL "$task"' TERM
"$@" &
task=$!
signalled=yes
while [ "$signalled" = yes ]; do
    signalled=no
    wait "$task"
    code=$?
done
exit "$code"
""",
    "squeue": 'echo "squeue $*" >> asked; cat state',
    "scontrol": 'echo "scontrol $*" >> asked',
    "sbatch": """
echo "sbatch $*" >> asked
echo "12;cluster"
""",
}


@pytest.fixture
def folder(tmp_path):
    """A folder with made-up commands; the srun among them treats signals as the real one does."""
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def write(genomix, folder):
    return partial(make_script, genomix, folder)


@pytest.fixture
def start(folder):
    """Start a script as SLURM would; the made-up genomix ends with these codes, one a call."""

    def start(script, *codes, arguments=(), **variables):
        (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
        job = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4"} | variables
        environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **job}
        with (folder / "said").open("w") as said:
            command = ["bash", script, *arguments]
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)

    return start


def test_the_words_are_those_of_the_command(write, start, folder):
    assert start(write("--setup", 'echo "ready$UNSET" > setup', *TRAIN), 0).wait() == 0
    assert lines_of(folder / "calls") == ["train my data.fa it's.tsv --lr 1e-3 --resume run"]
    assert lines_of(folder / "setup") == ["ready"]
    assert lines_of(folder / "asked")[0].startswith("srun --ntasks=1 --kill-on-bad-exit=0 --cpus-per-task=4 genomix")


@pytest.mark.parametrize(("variables", "ranks"), [({}, 6), ({"SLURM_NTASKS": "4"}, 4)])
def test_ranks(write, start, folder, variables, ranks):
    assert start(write("--nodes", 3, "--gpus", 2, *TRAIN), 0, **variables).wait() == 0
    assert lines_of(folder / "asked")[0].startswith(f"srun --ntasks={ranks} ")


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

    @pytest.mark.parametrize(
        ("number", "state", "asked"),
        [
            (signal.SIGUSR1, "RUNNING", ["scontrol requeue 7"]),
            (signal.SIGTERM, "RUNNING", ["squeue --noheader --jobs=7 --format=%T", "scontrol requeue 7"]),
            (signal.SIGTERM, "COMPLETING", ["squeue --noheader --jobs=7 --format=%T"]),
        ],
        ids=["limit", "making room", "cancelled"],
    )
    def test_signals_reach_the_command_and_its_end_is_waited_for(self, write, start, folder, number, state, asked):
        (folder / "state").write_text(f"{state}\n")
        process = start(write(*TRAIN), "wait")
        while "started" not in lines_of(folder / "calls"):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(20) == 75
        assert lines_of(folder / "calls")[-1] == "saved"
        assert lines_of(folder / "asked")[1:] == asked


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

    def test_a_task_is_queued_again_without_the_others(self, write, start, folder):
        script = write("--array", 3, *TRAIN, "--ensemble", 3)
        assert start(script, 75, SLURM_ARRAY_TASK_ID="3").wait() == 75
        assert lines_of(folder / "asked")[1:] == ["scontrol requeue 7_3"]

    def test_submitting_queues_the_last_task_behind_the_others(self, write, start, folder):
        script = write("--array", 3, *TRAIN, "--ensemble", 3)
        assert start(script, arguments=["submit"]).wait() == 0
        behind = "--array=0 --dependency=afterok:12 --kill-on-invalid-dep=yes"
        assert lines_of(folder / "asked") == [f"sbatch --parsable {script}", f"sbatch {behind} {script}"]
        assert not (folder / "calls").exists()

    def test_merging_needs_no_gpu(self, write, start, folder):
        script = write("--array", 3, "--gpus", 1, "--cpus", 8, "predict", "run", "my data.fa", "-o", "all.tsv")
        assert start(script, arguments=["submit"]).wait() == 0
        assert "--kill-on-invalid-dep=yes --cpus-per-task=1 --gpus-per-node=0 " in lines_of(folder / "asked")[1]

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
        for other in ("part-3.csv.gz", "part-3.csv.gz.shard.json"):  # of an earlier array
            (folder / "o ut.csv.gz.shards" / other).write_text("another")
        assert start(script, SLURM_ARRAY_TASK_ID="0").wait() == 0, (folder / "said").read_text()
        assert "is complete already" in (folder / "said").read_text()
