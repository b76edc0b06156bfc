"""Shards, merging and resuming from the command line; predictions that are killed and asked to stop."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import make_sequences, to_fasta

ONE_THREAD = ("--threads", "1", "--device", "cpu")
SMALL = ("--batch-bases", "64")
"""A chunk then ends after 1,024 bases."""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Records enough to be killed between two of them."""
    path = tmp_path_factory.mktemp("many") / "many.fa"
    path.write_text(to_fasta(make_sequences(150)[0]))
    return path


@pytest.fixture(scope="module")
def whole(genomix, run, many, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.tsv"
    done = genomix("predict", run, many, *SMALL, *ONE_THREAD, "-o", path)
    assert done.code == 0, done.stderr
    return path


def test_shards_are_merged_to_the_whole_table(genomix, kmer_run, many, tmp_path):
    assert genomix("predict", kmer_run, many, *SMALL, *ONE_THREAD, "-o", tmp_path / "whole.tsv").code == 0
    for count in (1, 3, 16):
        tables = [tmp_path / f"{count}-{number}.tsv" for number in range(1, count + 1)]
        for number, table in enumerate(tables, 1):
            shard = ("--shard", f"{number}/{count}", "-o", table)
            assert genomix("predict", kmer_run, many, *SMALL, *ONE_THREAD, *shard).code == 0
        done = genomix("merge", *tables, "-o", tmp_path / f"{count}.tsv")
        assert done.code == 0, done.stderr
        assert f"150 records of {count} shards" in done.stderr
        assert (tmp_path / f"{count}.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    again = genomix("merge", *tables, "-o", tmp_path / "16.tsv")
    assert (again.code, "16.tsv: is complete already" in again.stderr) == (0, True)
    (tmp_path / "16.tsv").write_text("another")
    assert genomix("merge", *tables, "-o", tmp_path / "16.tsv").code == 73
    assert (tmp_path / "16.tsv").read_text() == "another"
    assert genomix("merge", *tables).stdout == (tmp_path / "whole.tsv").read_text()
    missing = genomix("merge", *tables[1:], "-o", tmp_path / "merged.tsv")
    assert missing.code == 65
    assert "shard 1/16 is missing; predict it by --shard 1/16" in missing.stderr


@pytest.mark.parametrize("shard", ["0/3", "4/3", "x"])
def test_shards_that_are_none(genomix, kmer_run, many, tmp_path, shard):
    done = genomix("predict", kmer_run, many, "--shard", shard, "-o", tmp_path / "out.tsv")
    assert done.code == 2
    assert "--shard" in done.stderr


def test_stdin_has_no_shards(genomix, kmer_run, many, tmp_path):
    words = ("--shard", "1/2", "-o", tmp_path / "out.tsv")
    done = genomix("predict", kmer_run, "-", *words, stdin=many.read_bytes())
    assert done.code == 2
    assert "--shard: stdin and pipes can be read only once; name files" in done.stderr


class TestStopped:
    @pytest.fixture
    def stop(self, environment, run, many, tmp_path):
        """Start a prediction, and send it a signal when some of its parts are there; return how it ended."""

        def stop(number, num_parts=3):
            words = ["predict", run, many, *SMALL, *ONE_THREAD, "-o", tmp_path / "out.tsv"]
            command = [sys.executable, "-m", "genomix", *map(str, words)]
            with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
                while len(list(tmp_path.glob("out.tsv.partial/*.json"))) < num_parts:
                    assert process.poll() is None
                    time.sleep(0.002)
                os.kill(process.pid, number)
                said = process.communicate(timeout=30)[1]
            return process.returncode, said

        return stop

    @pytest.fixture
    def resume(self, genomix, run, many, tmp_path):
        def resume(*words):
            return genomix("predict", run, many, *SMALL, *ONE_THREAD, "-o", tmp_path / "out.tsv", *words)

        return resume

    def test_kill(self, stop, resume, whole, tmp_path):
        code, _ = stop(signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert not (tmp_path / "out.tsv").exists()
        again = resume()
        assert again.code == 73
        assert "go on with it by --resume" in again.stderr
        other = resume("--resume", "--strands", "forward")
        assert other.code == 2
        assert "--strands: both there, forward here" in other.stderr
        done = resume("--resume")
        assert done.code == 0, done.stderr
        assert "parts are there already" in done.stderr
        assert (tmp_path / "out.tsv").read_bytes() == whole.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv", "out.tsv.shard.json"]
        again = resume("--resume")
        assert (again.code, "is complete already" in again.stderr) == (0, True)

    def test_being_asked_to_stop(self, stop, resume, whole, tmp_path):
        code, said = stop(signal.SIGUSR1)
        assert code == 75
        assert "stopped by SIGUSR1" in said
        assert "go on with them by --resume" in said
        assert resume("--resume").code == 0
        assert (tmp_path / "out.tsv").read_bytes() == whole.read_bytes()

    def test_the_end_of_a_job(self, environment, run, many, tmp_path):
        words = ["predict", run, many, "--batch-bases", "16", *ONE_THREAD, "-o", tmp_path / "out.tsv"]
        ending = environment | {"SLURM_JOB_END_TIME": str(int(time.time()))}
        command = [sys.executable, "-m", "genomix", *map(str, words)]
        done = subprocess.run(command, env=ending, capture_output=True, text=True)
        assert done.returncode == 75
        assert "stopped by the time limit" in done.stderr


def test_the_commands_of_the_document(genomix, kmer_run, many, tmp_path):
    document = (Path(__file__).parents[2] / "docs" / "merge.md").read_text()
    commands = [line.split()[1:] for block in document.split("```")[1::2] for line in block.splitlines()]
    (tmp_path / "run").symlink_to(kmer_run)
    (tmp_path / "new.fa").symlink_to(many)
    assert [words[0] for words in filter(None, commands)] == ["predict"] * 3 + ["merge", "predict"]
    for words in filter(None, commands):
        done = genomix(*words, *ONE_THREAD * (words[0] == "predict"), "--force", directory=tmp_path)
        assert done.code == 0, done.stderr
