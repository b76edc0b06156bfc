"""Vectors from the command line."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from tiny import to_fasta

ROOT = Path(__file__).parent.parent.parent
ONE_THREAD = ("--threads", "1", "--device", "cpu")


def test_records(genomix, run, data, tmp_path):
    done = genomix("embed", run, data.fasta, "-o", tmp_path / "v.npz", *ONE_THREAD)
    assert done.code == 0, done.stderr
    assert "30 vectors of 64 numbers, one a record, strands: both" in done.stderr
    assert done.stdout == ""
    archive = np.load(tmp_path / "v.npz")
    assert archive["ids"].tolist() == list(data.sequences)
    assert archive["lengths"].tolist() == [len(sequence) for sequence in data.sequences.values()]
    assert archive["vectors"].shape == (30, 64)
    assert np.isfinite(archive["vectors"]).all()


def test_windows_from_stdin(genomix, run, data, tmp_path):
    options = ("--per", "window", "--stride", 32, "--strands", "forward", "--quiet")
    stdin = data.fasta.read_bytes()
    done = genomix("embed", run, "-", "-o", tmp_path / "v.parquet", *options, *ONE_THREAD, stdin=stdin)
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["sequences", "starts", "ends", "vectors"]
    assert list(dict.fromkeys(table["sequences"].to_pylist())) == list(data.sequences)
    assert set(np.subtract(table["ends"], table["starts"])) == {64}


def test_skipped_records_have_none(genomix, kmer_run, data, tmp_path):
    (tmp_path / "x.fa").write_text(to_fasta({"a": "ACGTACGT", "b": "AC!T", "c": "GGTTCCAA"}))
    done = genomix("embed", kmer_run, tmp_path / "x.fa", "-o", tmp_path / "v.npz", "--on-invalid", "skip", *ONE_THREAD)
    assert done.code == 0, done.stderr
    assert "1 records with invalid letters" in done.stderr
    assert np.load(tmp_path / "v.npz")["ids"].tolist() == ["a", "c"]


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (("embed", "{run}", "{data}", "-o", "v.csv"), 2, "use .npz or .parquet"),
            (("embed", "{run}", "none.fa", "-o", "v.npz"), 66, "none.fa: there is no such file"),
            (("embed", "nowhere", "{data}", "-o", "v.npz"), 66, "nowhere: no such run"),
            (("embed", "{run}", "bad.fa", "-o", "v.npz"), 65, "bad.fa:2"),
            (("embed", "{run}", "{data}", "-o", "old.npz"), 73, "--force"),
            (("embed", "{run}", "{run}", "{data}", "-o", "v.npz"), 2, "takes one model"),
            (("embed", "several", "{data}", "-o", "v.npz"), 2, "holds 2 models"),
            (("embed", "{run}", "{data}", "-o", "none/v.npz"), 73, "mkdir"),
            (("embed", "{run}", "{data}", "-o", "v.npz", "--stride", "65"), 2, "gaps"),
        ],
    )
    def test_with_its_code(self, genomix, run, data, tmp_path, arguments, code, message):
        (tmp_path / "bad.fa").write_text(">a\nAC!T\n")
        (tmp_path / "old.npz").write_text("mine")
        for member in ("member-1", "member-2"):
            (tmp_path / "several").mkdir(exist_ok=True)
            (tmp_path / "several" / member).symlink_to(run)
        words = [word.format(run=run, data=data.fasta) for word in arguments]
        done = genomix(*words, *ONE_THREAD, directory=tmp_path)
        assert (done.code, done.stdout) == (code, "")
        assert message in done.stderr
        assert not list(tmp_path.glob("v.*"))
        assert (tmp_path / "old.npz").read_text() == "mine"


def test_the_document(genomix, run, data, tmp_path, monkeypatch):
    """Its commands run as they stand, and its code after them."""
    (tmp_path / "run").symlink_to(run)
    (tmp_path / "new.fa").symlink_to(data.fasta)
    text = (ROOT / "docs" / "embed.md").read_text()
    commands = re.findall(r"^genomix (.*)$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = genomix(*shlex.split(command), *ONE_THREAD, directory=tmp_path)
        assert done.code == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    assert names["nearest"] in names["archive"]["ids"]
