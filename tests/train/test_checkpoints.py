"""Checkpoints: two are kept, a damaged one is seen, and none is taken for that of another training."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix import checkpoint, files
from genomix.config import make_config, to_yaml
from genomix.errors import CannotWriteError, DataError
from genomix.train.checkpoints import CONFIGURATION, Checkpoints

STATE = {
    "weights": {"a": torch.arange(40.0), "b": torch.tensor(3, dtype=torch.int64)},
    "numbers": [1, 2.5, None, "text", True],
    "best": (0.5, -0.25),
}


def state(number):
    return STATE | {"number": number}


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, 0, {"sequences": "abc", "configuration": "def"})


def test_what_was_written_is_read(checkpoints):
    checkpoints.write(state(1))
    read = checkpoints.read()
    assert torch.equal(read["weights"]["a"], STATE["weights"]["a"])
    assert {key: read[key] for key in ("numbers", "best", "number")} == {
        "numbers": STATE["numbers"],
        "best": STATE["best"],
        "number": 1,
    }


def test_there_may_be_none(checkpoints):
    assert checkpoints.read() is None


def test_the_last_two_are_kept(checkpoints, tmp_path):
    for number in range(4):
        checkpoints.write(state(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-before.pt", "checkpoint.pt"]
    assert checkpoints.read()["number"] == 3
    (tmp_path / "checkpoint.pt").unlink()
    assert checkpoints.read()["number"] == 2


def test_in_the_end_there_is_none(checkpoints, tmp_path):
    checkpoints.write(state(0))
    checkpoints.write(state(1))
    checkpoint.end(tmp_path)
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_torn_or_changed_one_is_seen_and_the_one_before_it_is_taken(data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("torn")
    checkpoints = Checkpoints(directory)
    checkpoints.write(state(1))
    checkpoints.write(state(2))
    newest = directory / "checkpoint.pt"
    content = bytearray(newest.read_bytes())
    if data.draw(st.booleans(), label="torn"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
        newest.write_bytes(content)
        assert checkpoints.read()["number"] == 1
    else:
        content[data.draw(st.integers(0, len(content) - 1), label="place")] ^= data.draw(st.integers(1, 255))
        newest.write_bytes(content)
        read = checkpoints.read()  # bytes between the parts mean nothing: then the newest is whole all the same
        if read["number"] == 2:
            assert torch.equal(read["weights"]["a"], STATE["weights"]["a"])


def test_it_is_said_that_one_is_damaged(checkpoints, tmp_path, caplog):
    checkpoints.write(state(1))
    checkpoints.write(state(2))
    (tmp_path / "checkpoint.pt").write_bytes(b"half")
    with caplog.at_level(logging.WARNING, "genomix"):
        logging.getLogger("genomix").propagate = True
        checkpoints.read()
    assert f"{tmp_path / 'checkpoint.pt'}: damaged" in caplog.text
    assert "checkpoint-before.pt" in caplog.text


def test_where_all_are_damaged_it_is_an_error_with_its_mend(checkpoints, tmp_path):
    for name in ("checkpoint.pt", "checkpoint-before.pt"):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(
        DataError, match=r"checkpoint-before\.pt: damaged[\s\S]*remove them to train from the beginning"
    ):
        checkpoints.read()


def test_that_of_another_training_is_refused(checkpoints, tmp_path):
    checkpoints.write(state(1))
    with pytest.raises(DataError, match="belongs to a training with other sequences;"):
        Checkpoints(tmp_path, 0, {"sequences": "xyz", "configuration": "def"}).read()


def test_that_of_a_version_without_some_keys_is_the_same(tmp_path):
    config = make_config(overrides={"training.learning_rate": 0.01})
    text = to_yaml(config)
    older = "".join(line for line in text.splitlines(keepends=True) if "mixup" not in line and "beside" not in line)
    assert older != text
    Checkpoints(tmp_path, 0, {CONFIGURATION: older}).write(state(1))
    assert Checkpoints(tmp_path, 0, {CONFIGURATION: text}).read()["number"] == 1
    for other in (text.replace("0.01", "0.02"), text.replace("mixup: 0.0", "mixup: 0.5"), "nonsense", "{"):
        assert other != text
        with pytest.raises(DataError, match="other configuration"):
            Checkpoints(tmp_path, 0, {CONFIGURATION: other}).read()


def test_nobodys_code_is_run(checkpoints, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"schema_version": 1, "fingerprint": {}, "training": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match="damaged"):
        checkpoints.read()


@pytest.mark.parametrize("fails", ["while it is written", "when it is put down on the disk"])
def test_a_full_disk_leaves_the_last_one(checkpoints, tmp_path, monkeypatch, fails):
    checkpoints.write(state(1))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    if fails.startswith("while"):
        monkeypatch.setattr(torch, "save", full)
    else:
        monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(CannotWriteError, match=r"No space left on device.*checkpoint before it is kept.*--resume"):
        checkpoints.write(state(2))
    assert not list(tmp_path.glob(".*"))
    assert checkpoints.read()["number"] == 1


def test_a_directory_that_vanished_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path / "gone")
    with pytest.raises(CannotWriteError, match="there is none"):
        checkpoints.write(state(1))


class TestWhen:
    def test_the_first_is_due_at_once(self, tmp_path):
        checkpoints = Checkpoints(tmp_path, 3600)
        assert checkpoints.is_due
        checkpoints.write(state(1))
        assert not checkpoints.is_due

    def test_with_no_time_between_them_each_is_due(self, checkpoints):
        checkpoints.write(state(1))
        assert checkpoints.is_due
