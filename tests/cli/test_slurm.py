"""The scripts for SLURM: what is asked for, and what is wrong with the words of a command is said now."""

import shlex
from functools import partial
from pathlib import Path

import pytest
from job_scripts import TRAIN, directives, lines_of, make_script


@pytest.fixture
def write(genomix, tmp_path):
    return partial(make_script, genomix, tmp_path)


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
            (["--array", "2", "predict", "run", "new.fa", "-o", "out.bw"], "divide them by --regions"),
            (
                ["--array", "2", "predict", "run", "new.fa", "-o", "out.tsv", "--window", "99"],
                "divide them by --regions",
            ),
            (["--array", "2", "predict", "run", "new.fa", "-o", "o.tsv", "--regions", "r"], "divide them by --regions"),
            (["predict", "run", "new.fa", "-o", "out.bw", "--min-confidence", "0.9"], "does not go with tracks"),
            (["predict", "run", "new.fa", "-o", "out.bw", "--shard", "1/2"], "does not go with tracks"),
            (["predict", "run", "new.fa", "--window", "99"], "tracks need a file"),
            (["predict", "run", "new.fa", "-o", "out.tsv", "--classes", "a"], "goes with tracks only"),
            (["predict", "run", "new.fa", "-o", "out.xyz"], "names no format"),
            (["predict", "run", "new.fa", "-o", "out.tsv", "--shard", "3/2"], "--shard '3/2'"),
            (["--gpus", "many", *TRAIN], "--gpus 'many'"),
            (["--sbatch", "constraint", *TRAIN], "--sbatch 'constraint'"),
            (["--name", "a\nb", *TRAIN], "is one line"),
            (["check", "my data.fa"], "jobs of train, tune and predict, not of 'check'"),
            (["--what", *TRAIN], "No such option: --what"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_what_is_wrong_is_said_now(self, genomix, tmp_path, words, said):
        done = genomix("slurm", *words, directory=tmp_path)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr

    def test_a_file_that_is_not_there_yet(self, genomix, tmp_path):
        done = genomix("slurm", "train", "later.fa", directory=tmp_path)
        assert done.code == 0
        assert "warning: later.fa: there is no such file yet" in done.stderr
        done = genomix("slurm", "predict", "run", "later.fa", "-o", "later/all.tsv", directory=tmp_path)
        assert done.code == 0
        assert "warning: later/all.tsv: there is no directory later" in done.stderr

    def test_tracks(self, write):
        script = write("predict", "run", "my data.fa", "-o", "out.bw")
        assert "work=(genomix predict run 'my data.fa' -o out.bw --resume)" in lines_of(script)


def test_the_commands_of_the_document(write):
    """Each writes a script that has no faults."""
    text = (Path(__file__).parents[2] / "docs" / "slurm.md").read_text()
    lines = [line for block in text.split("```")[1::2] for line in block.splitlines()]
    commands = [line.partition(" > ")[0] for line in lines if line.startswith("genomix slurm")]
    assert len(commands) == 4
    for command in commands:
        assert write(*shlex.split(command)[2:]).read_text().startswith("#!/bin/bash\n#SBATCH --job-name=genomix-")
