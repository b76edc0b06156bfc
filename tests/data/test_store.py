"""The store gives back any piece of any record, is made once, and survives whatever happens to those who make it."""

import errno
import gzip
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyfaidx
import pytest
from hypothesis import given, settings

from genomix.data import store as store_module
from genomix.data import store_writer
from genomix.data.cache import default_cache_dir, usable_cache_dir
from genomix.data.store import Store, build_store
from genomix.data.vocabulary import decode
from genomix.errors import CannotWriteError, DataError, NoInputError

SEQUENCES = {"a": "ACGTNRACCA" * 30, "b": "acgu" * 25, "c": "T"}


def write_fasta(path: Path, sequences: dict[str, str] = SEQUENCES, width: int = 17) -> str:
    with path.open("w") as file:
        for name, sequence in sequences.items():
            lines = [sequence[at : at + width] for at in range(0, len(sequence), width)]
            file.write("\n".join([f">{name} the record", *lines]) + "\n")
    return str(path)


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def build(cache_dir):
    def build(*paths, **options):
        messages = []
        store = build_store([str(path) for path in paths], cache_dir=cache_dir, log=messages.append, **options)
        return store, messages

    return build


@pytest.fixture
def no_reading(monkeypatch):
    """Makes it an error to parse a file again."""

    def forbid():
        monkeypatch.setattr(store_module, "write_store", lambda *args, **options: pytest.fail("was read again"))

    return forbid


def test_a_store_knows_its_records(tmp_path, build):
    first = write_fasta(tmp_path / "x.fa")
    second = write_fasta(tmp_path / "y.fa", {"d": "GGNN"})
    store, messages = build(first, second)
    assert len(store) == 4
    assert list(store.ids) == ["a", "b", "c", "d"]
    assert store.ids[1:3] == ["b", "c"]
    assert store.headers[-1] == "d the record"
    assert store.lengths.tolist() == [300, 100, 1, 4]
    assert store.num_unknown.tolist() == [60, 0, 0, 2]
    assert store.file_indices.tolist() == [0, 0, 0, 1]
    assert [store.source(i) for i in (2, 3)] == [first, second]
    assert [store.line(i) for i in range(4)] == [1, 20, 27, 1]
    assert messages == store.report.warnings()
    assert messages[0].startswith("100 of 405 letters are lower case")
    assert decode(store.tokens(1)) == "ACGT" * 25
    assert not store.tokens(1).flags.writeable


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 5), (3, 2)])
def test_a_range_outside_the_record_is_an_error(tmp_path, build, start, end):
    store, _ = build(write_fasta(tmp_path / "x.fa", {"d": "GGNN"}))
    with pytest.raises(IndexError, match="is not within record 0 of 4 bp"):
        store.tokens(0, start, end)


def test_agrees_with_pyfaidx_on_any_slice(tmp_path):
    path = write_fasta(tmp_path / "x.fa")
    store = build_store([path], cache_dir=tmp_path, log=lambda _: None)
    with pyfaidx.Fasta(path, sequence_always_upper=True, rebuild=True) as truth:

        @settings(max_examples=60, deadline=None)
        @given(st.data())
        def check(data):
            i = data.draw(st.integers(0, len(store) - 1))
            start = data.draw(st.integers(0, int(store.lengths[i])))
            end = data.draw(st.integers(start, int(store.lengths[i])))
            expected = str(truth[store.ids[i]][start:end]) if end > start else ""
            assert decode(store.tokens(i, start, end)) == expected.replace("R", "N").replace("U", "T")

        check()


def test_the_same_content_is_read_once_under_any_name(tmp_path, build, no_reading):
    build(write_fasta(tmp_path / "x.fa"))
    renamed = str(tmp_path / "y.fa")
    Path(tmp_path / "x.fa").rename(renamed)
    no_reading()
    store, messages = build(renamed)
    assert store.files == [renamed]
    assert store.source(0) == renamed
    assert messages == store.report.warnings() != []


def test_other_content_order_or_treatment_is_another_store(tmp_path, build):
    first, second = write_fasta(tmp_path / "x.fa"), write_fasta(tmp_path / "y.fa", {"d": "GGNN"})
    stores = [build(first, second)[0], build(second, first)[0], build(first)[0], build(first, on_invalid="mask")[0]]
    assert len({store.directory for store in stores}) == 4
    assert len({store.sha256 for store in stores}) == 3


def test_stdin_and_pipes_are_copied_and_the_copies_removed(tmp_path, build, cache_dir, monkeypatch, no_reading):
    text = Path(write_fasta(tmp_path / "x.fa")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(text, mtime=0))))
    store, _ = build("-")
    assert (store.files, store.source(0), store.sha256) == (["-"], "stdin", store.sha256)
    assert [entry.name for entry in (cache_dir / "store").iterdir()] == [store.directory.name]
    no_reading()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"gzip -nc {tmp_path}/x.fa > {tmp_path}/z; cat {tmp_path}/z > {pipe}"]):
        monkeypatch.undo()
        assert list(build(pipe)[0].ids) == ["a", "b", "c"]


def test_repeated_ids_are_an_error_with_both_places(tmp_path, build):
    first, second = write_fasta(tmp_path / "x.fa"), write_fasta(tmp_path / "y.fa", {"n": "A", "b": "GGNN"})
    expected = f'{second}:3: record "b": the record at {first}:20 has the same id; ids end at the first blank'
    for _ in range(2):
        with pytest.raises(DataError, match=expected):
            build(first, second)
    assert len(build(first, second, unique_ids=False)[0]) == 5


def test_equal_hashes_of_different_ids_are_no_repetition(tmp_path, build, monkeypatch):
    monkeypatch.setattr(store_writer, "hash", lambda _: 7, raising=False)
    monkeypatch.setattr(store_module, "hash", lambda _: 7, raising=False)
    assert len(build(write_fasta(tmp_path / "x.fa"))[0]) == 3


def test_bad_records_are_reported_together_and_leave_nothing(tmp_path, build, cache_dir):
    bad = tmp_path / "bad.fa"
    bad.write_text(">a\nACJT\n>b\nAC\n>b\nAC\n>c\n")
    with pytest.raises(DataError) as caught:
        build(bad, write_fasta(tmp_path / "x.fa", {"e": "AEA"}))
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in str(caught.value).splitlines()] == [
        "bad.fa:2",
        "bad.fa:7",
        "x.fa:2",
        "bad.fa:5",
    ]
    assert list((cache_dir / "store").iterdir()) == []


def test_skipped_records_are_left_out_and_known(tmp_path, build):
    bad = tmp_path / "bad.fa"
    bad.write_text(">a\nACJT\n>b x\nAC\n>c\n")
    store, messages = build(bad, on_invalid="skip")
    assert list(store.ids) == ["b"]
    assert store.skipped_ids == {"a", "c"}
    assert messages == ["2 records with invalid letters or no sequence are left out (--on-invalid skip)"]
    bad.write_text(">a\nACJT\n")
    with pytest.raises(NoInputError, match="no record is left"):
        build(bad, on_invalid="skip")


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path, build, monkeypatch):
    path = write_fasta(tmp_path / "x.fa")
    original = store_module.write_store

    def change(*args, **options):
        with Path(path).open("a") as file:
            file.write(">late\nA\n")
        return original(*args, **options)

    monkeypatch.setattr(store_module, "write_store", change)
    with pytest.raises(DataError, match="changed while it was read"):
        build(path)


@pytest.mark.parametrize("name", ["bases.u8", "index.npy", "headers.bin", "meta.json"])
@pytest.mark.parametrize("harm", ["cut", "remove"])
def test_a_torn_store_is_made_again(tmp_path, build, name, harm):
    path = write_fasta(tmp_path / "x.fa")
    torn = build(path)[0].directory / name
    if harm == "cut":
        os.truncate(torn, torn.stat().st_size // 2)
    else:
        torn.unlink()
    with pytest.raises(DataError, match="is no whole store"):
        Store.open(torn.parent, [path])
    store, _ = build(path)
    assert decode(store.tokens(1)) == "ACGT" * 25
    assert [entry.name for entry in store.directory.parent.iterdir()] == [store.directory.name]


def test_a_store_can_be_pickled(tmp_path, build):
    store, _ = build(write_fasta(tmp_path / "x.fa"))
    copy = pickle.loads(pickle.dumps(store))
    assert copy.files == store.files
    assert np.array_equal(copy.tokens(0), store.tokens(0))


BUILDER = """
import sys
from pathlib import Path
from genomix.data import store_writer
from genomix.data.store import build_store

mode, path, cache_dir = sys.argv[1:]
if mode == "stop":
    def stop(path):
        print("half-way", flush=True)
        sys.stdin.read()
    store_writer.sync = stop
if mode == "wait":
    sys.stdin.readline()
store = build_store([path], cache_dir=Path(cache_dir), log=lambda _: None)
print(store.directory, int(store.tokens(0).sum()))
"""


def start_builder(mode, path, cache_dir):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, mode, path, str(cache_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_may_build_the_same_store_at_once(tmp_path, cache_dir):
    path = write_fasta(tmp_path / "x.fa", {f"r{i}": "ACGT" * 500 for i in range(500)})
    with start_builder("wait", path, cache_dir) as first, start_builder("wait", path, cache_dir) as second:
        for builder in (first, second):
            builder.stdin.write("go\n")
            builder.stdin.flush()
        answers = {builder.communicate()[0] for builder in (first, second)}
    assert (first.returncode, second.returncode, len(answers)) == (0, 0, 1)
    assert len(list((cache_dir / "store").iterdir())) == 1


def test_a_builder_killed_half_way_leaves_a_usable_cache(tmp_path, build, cache_dir):
    path = write_fasta(tmp_path / "x.fa")
    with start_builder("stop", path, cache_dir) as builder:
        assert builder.stdout.readline() == "half-way\n"
        builder.send_signal(signal.SIGKILL)
    (leftover,) = (cache_dir / "store").iterdir()
    store, _ = build(path)
    assert list(store.ids) == ["a", "b", "c"]
    assert leftover.exists()
    two_days_ago = time.time() - 2 * 24 * 3600
    for entry in [*leftover.iterdir(), leftover]:
        os.utime(entry, (two_days_ago, two_days_ago))
    build(path)
    assert not leftover.exists()
    assert store.directory.exists()


def test_when_another_job_was_first_its_store_is_used(tmp_path, build, monkeypatch):
    path = write_fasta(tmp_path / "x.fa")
    original = store_module.write_store
    theirs = []

    def be_late(*args, **options):
        monkeypatch.setattr(store_module, "write_store", original)
        theirs.append(build(path)[0].directory.stat().st_ino)
        return original(*args, **options)

    monkeypatch.setattr(store_module, "write_store", be_late)
    assert [build(path)[0].directory.stat().st_ino] == theirs


def test_a_full_disk_is_said_with_the_place_and_the_mend(tmp_path, build, cache_dir, monkeypatch):
    def fail(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_writer, "sync", fail)
    with pytest.raises(
        CannotWriteError, match=r"cache/store: cannot write .*No space left on device.*set GENOMIX_CACHE"
    ):
        build(write_fasta(tmp_path / "x.fa"))
    assert list((cache_dir / "store").iterdir()) == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("GENOMIX_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache_dir() == Path("/home/me/.cache/genomix")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache_dir() == Path("/x/genomix")
    monkeypatch.setenv("GENOMIX_CACHE", "/fast")
    assert default_cache_dir() == Path("/fast")


def test_a_home_that_cannot_be_written_is_no_obstacle_unless_it_was_chosen(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.delenv("GENOMIX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    messages = []
    assert usable_cache_dir(None, messages.append) == tmp_path / f"genomix-{os.getuid()}"
    assert len(messages) == 1
    assert "set GENOMIX_CACHE to choose another place" in messages[0]
    monkeypatch.setenv("GENOMIX_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(CannotWriteError, match="file/below: cannot write"):
        usable_cache_dir(None, pytest.fail)


def test_the_meta_data_are_plain(tmp_path, build):
    store, _ = build(write_fasta(tmp_path / "x.fa"))
    meta = json.loads((store.directory / "meta.json").read_text())
    assert meta["sha256"] == [store.sha256]
    assert meta["report"]["num_records"] == 3
