"""Genomes in, tracks out, from the command line: formats, regions, kills, and what does not go together."""

import gzip
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from tiny import to_fasta

DOCUMENT = Path(__file__).parents[2] / "docs" / "tracks.md"
ONE_THREAD = ("--threads", "1", "--device", "cpu")
GRID = ("--window", "64", "--stride", "24")
REGIONS = "chr1\t100\t130\nchr1\t120\t400\nchr2\t300\t333\n"


def letters(size, seed):
    return "".join(random.Random(seed).choices("ACGT", k=size))


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """A FASTA file, and the same compressed."""
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(to_fasta({"chr2": letters(600, 1) + "N" * 200 + letters(500, 2), "chr1": letters(900, 3)}))
    path.with_name("g.fa.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.with_name("r.bed").write_text(REGIONS)
    return path


@pytest.fixture
def tracks(genomix, run):
    """Predict tracks, and return what was said."""

    def tracks(*arguments, code=0, **ways):
        done = genomix("predict", run, *arguments, *ONE_THREAD, **ways)
        assert done.code == code, done.stderr
        assert done.stdout == ""
        return done.stderr

    return tracks


def rows_of(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_the_commands_of_the_document(genomix, run, genome, tmp_path):
    (tmp_path / "run").symlink_to(run)
    for name in ("g.fa.gz", "r.bed"):
        (tmp_path / name.replace("g.fa", "genome.fa")).symlink_to(genome.with_name(name))
    commands = re.findall(r"(?m)^genomix (.*)$", DOCUMENT.read_text())
    assert len(commands) == 3
    for command in commands:
        done = genomix(*command.split(), *ONE_THREAD, directory=tmp_path)
        assert done.code == 0, done.stderr
    assert (tmp_path / "scores.phage.bw").read_bytes() == (tmp_path / "resumed.phage.bw").read_bytes()


class TestFormats:
    def test_all_hold_the_same(self, tracks, genome, tmp_path):
        for name in ("s.bw", "s.bedgraph", "s.bed", "s.tsv", "s.parquet"):
            tracks(genome, *GRID, "--out", tmp_path / name)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "s.bed",
            "s.parquet",
            "s.phage.bedgraph",
            "s.phage.bw",
            "s.plasmid.bedgraph",
            "s.plasmid.bw",
            "s.tsv",
        ]
        header, *rows = rows_of(tmp_path / "s.tsv")
        assert header == ["sequence", "start", "end", "phage", "plasmid"]
        assert len(rows) > 50
        assert rows_of(tmp_path / "s.phage.bedgraph") == [row[:4] for row in rows]
        assert [row[:3] for row in rows_of(tmp_path / "s.bed")] == [row[:3] for row in rows]
        table = parquet.read_table(tmp_path / "s.parquet").to_pylist()
        assert [np.float32(row["plasmid"]) for row in table] == [np.float32(row[4]) for row in rows]

    def test_bigwig_by_another_reader_equals_the_table(self, tracks, genome, tmp_path):
        pybigwig = pytest.importorskip("pyBigWig")
        tracks(genome, *GRID, "--out", tmp_path / "s.bw")
        tracks(genome, *GRID, "--out", tmp_path / "s.tsv")
        rows = rows_of(tmp_path / "s.tsv")[1:]
        for column, name in ((3, "phage"), (4, "plasmid")):
            with pybigwig.open(str(tmp_path / f"s.{name}.bw")) as file:
                found = [
                    (sequence, *row)
                    for sequence in dict.fromkeys(row[0] for row in rows)
                    for row in file.intervals(sequence)
                ]
            assert found == [(row[0], int(row[1]), int(row[2]), np.float32(row[column])) for row in rows]

    def test_what_is_said(self, tracks, genome, tmp_path):
        said = tracks(genome, *GRID, "--out", tmp_path / "s.tsv", "--regions", genome.with_name("r.bed"))
        assert "windows of 64 bp every 24 bp; tracks: phage, plasmid" in said
        assert "3 regions, 2 after merging" in said
        assert "333 bp with a value" in said
        said = tracks(genome, "--out", tmp_path / "s.bed")
        assert "windows of 64 bp every 16 bp" in said
        assert "windows have more than 50% unknown bases (N) and are skipped" in said
        assert tracks(genome, "--out", tmp_path / "q.bed", "--quiet").count("\n") == 1

    def test_a_chosen_class_has_the_file_for_itself(self, tracks, genome, tmp_path):
        tracks(genome, "--out", tmp_path / "s.bedgraph", "--classes", "plasmid")
        assert [path.name for path in tmp_path.iterdir()] == ["s.bedgraph"]

    def test_a_kmer_model_needs_a_window(self, genomix, kmer_run, genome, tmp_path):
        asked = ("predict", kmer_run, genome, "--out", tmp_path / "s.bed", *ONE_THREAD)
        assert "--window" in genomix(*asked).stderr
        assert genomix(*asked, "--window", 100).code == 0


class TestInput:
    def test_streams_and_compressed_files_give_the_same(self, tracks, genome, tmp_path):
        packed = genome.with_name("g.fa.gz")
        tracks(genome, *GRID, "--out", tmp_path / "a.tsv")
        tracks(packed, *GRID, "--out", tmp_path / "b.tsv")
        tracks("-", *GRID, "--out", tmp_path / "c.tsv", stdin=packed.read_bytes())
        first = (tmp_path / "a.tsv").read_bytes()
        assert first == (tmp_path / "b.tsv").read_bytes() == (tmp_path / "c.tsv").read_bytes()

    def test_regions_of_a_stream(self, tracks, genome, tmp_path):
        for name, given, stdin in (("a", genome, b""), ("b", "-", genome.read_bytes())):
            tracks(given, *GRID, "--out", tmp_path / f"{name}.tsv", "--regions", genome.with_name("r.bed"), stdin=stdin)
        assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()

    @pytest.mark.parametrize("given", ["file", "-"])
    def test_bad_regions_are_an_error(self, tracks, genome, tmp_path, given):
        bad = tmp_path / "bad.bed"
        bad.write_text("chr1\t0\t50\nchr1\t0\t9999\n")
        stdin = genome.read_bytes() if given == "-" else b""
        said = tracks(
            genome if given == "file" else "-", "--out", tmp_path / "s.bw", "--regions", bad, code=65, stdin=stdin
        )
        assert f"{bad}:2: the region ends at 9999, beyond the 900 bp of 'chr1'" in said
        assert [path.name for path in tmp_path.iterdir()] == ["bad.bed"]

    def test_unknown_sequences_of_a_stream(self, tracks, genome, tmp_path):
        bad = tmp_path / "bad.bed"
        bad.write_text("chr1\t0\t50\n1\t0\t5\n")
        stdin = genome.read_bytes()
        said = tracks("-", "--out", tmp_path / "s.bw", "--regions", bad, code=65, stdin=stdin)
        assert "did you mean 'chr1'?" in said
        assert [path.name for path in tmp_path.iterdir()] == ["bad.bed"]


class TestUsage:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--out", "s.bw", "--long", "whole"), "--long does not go with tracks"),
            (("--out", "s.bw", "--min-confidence", "0.5"), "--min-confidence does not go with tracks"),
            (("--out", "s.bw", "--coverage", "0.9"), "--coverage does not go with tracks"),
            (("--out", "s.bw", "--shard", "1/2"), "divide the work by --regions"),
            (("--window", "64"), "name it by --out"),
            (("--out", "s.csv", "--window", "64"), "names no format of tracks"),
            (("--out", "s.tsv", "--classes", "phage"), "--classes goes with tracks only"),
            (("--out", "s.tsv", "--max-unknown", "0.2"), "--max-unknown goes with tracks only"),
            (("--out", "s.bw", "--window", "64", "--stride", "65"), "--stride 65: must be 1 to 64"),
            (("--out", "s.bw", "--classes", "phag"), "no class 'phag'; it has phage, plasmid"),
            (("--out", "s.bed", "--classes", "phage"), "which may be one that is left out, such as plasmid"),
        ],
    )
    def test_what_does_not_go_together(self, tracks, genome, tmp_path, options, words):
        assert words in tracks(genome, *options, code=2, directory=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_stdin_cannot_be_resumed(self, tracks, genome, tmp_path):
        said = tracks("-", "--out", tmp_path / "s.bw", "--resume", code=2, stdin=genome.read_bytes())
        assert "name files" in said

    def test_nothing_is_replaced_unasked(self, tracks, genome, tmp_path):
        (tmp_path / "s.plasmid.bw").write_text("mine")
        assert "s.plasmid.bw: exists" in tracks(genome, "--out", tmp_path / "s.bw", code=73)
        tracks(genome, "--out", tmp_path / "s.bw", "--force")
        assert (tmp_path / "s.plasmid.bw").read_bytes() != b"mine"


@pytest.fixture(scope="module")
def long_command(run, tmp_path_factory):
    """A command of many units, and what it writes if it is left alone."""
    folder = tmp_path_factory.mktemp("killed")
    sequences = {f"chr{number}": letters(600, number) for number in range(2)}
    (folder / "g.fa").write_text(to_fasta(sequences))
    options = ("--stride", "8", "--batch-bases", "64", *ONE_THREAD)
    return [sys.executable, "-m", "genomix", "predict", str(run), str(folder / "g.fa"), *options]


@pytest.fixture(scope="module")
def whole(genomix, long_command, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    assert genomix(*long_command[3:], "--out", "s.bw", directory=path).code == 0
    return {file.name: file.read_bytes() for file in path.iterdir()}


class TestKills:
    @pytest.mark.parametrize(("kind", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)])
    def test_a_killed_run_ends_with_the_same_files(
        self, genomix, long_command, whole, environment, tmp_path, kind, code
    ):
        journal = tmp_path / "s.bw.partial" / "windows.bin"
        with subprocess.Popen(
            [*long_command, "--out", "s.bw"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE
        ) as killed:
            while killed.poll() is None and not (journal.exists() and journal.stat().st_size):
                time.sleep(0.005)
            killed.send_signal(kind)
            said = killed.stderr.read().decode()
        assert killed.returncode == code, said
        assert [path.name for path in tmp_path.iterdir()] == ["s.bw.partial"]
        assert ("--resume" in said) == (kind == signal.SIGTERM)
        resumed = genomix(*long_command[3:], "--out", "s.bw", "--resume", directory=tmp_path)
        assert resumed.code == 0, resumed.stderr
        assert " of them resumed)" in resumed.stderr
        again = genomix(*long_command[3:], "--out", "s.bw", "--resume", directory=tmp_path)
        assert again.code == 0, again.stderr
        assert "s.bw: is complete already; nothing was predicted" in again.stderr
        (tmp_path / "s.bw.complete.json").unlink()
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == whole

    @pytest.mark.skipif(sys.platform != "linux", reason="what a process listens to stands in /proc")
    @pytest.mark.parametrize("name", ["s.bw", "s.tsv"])
    def test_a_stop_before_anything_was_computed(self, run, genome, environment, tmp_path, name):
        command = [sys.executable, "-m", "genomix", "predict", run, genome, *ONE_THREAD, "--out", name]
        with subprocess.Popen(
            list(map(str, command)), env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        ) as stopped:
            while stopped.poll() is None and not listens(stopped.pid):
                time.sleep(0.002)
            stopped.send_signal(signal.SIGTERM)
            said = stopped.stderr.read()
        assert stopped.returncode == 75
        assert said.startswith("genomix: stopped by SIGTERM")
        assert list(tmp_path.iterdir()) == []


def listens(process):
    """Say whether a process has a handler for SIGTERM."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = re.search(r"(?m)^SigCgt:\s*(\w+)$", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)
