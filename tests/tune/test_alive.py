"""Whether a process is gone: known at once on this machine, after a silence on another."""

import os
import subprocess
import sys
import time

import pytest

from genomix.tune import alive


@pytest.fixture
def folder(tmp_path):
    alive.claim(tmp_path)
    return tmp_path


def write(folder, host, number):
    (folder / alive.ALIVE).write_text(f"{host} {number}\n")


def test_one_that_lives(folder):
    assert not alive.is_deserted(folder)


def test_one_that_has_ended(folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write(folder, alive.socket.gethostname(), ended.pid)
    assert alive.is_deserted(folder)


@pytest.mark.parametrize(
    ("silence_s", "deserted"), [(0, False), (alive.SILENT_S - 20, False), (alive.SILENT_S + 20, True)]
)
def test_one_on_another_machine(folder, silence_s, deserted):
    write(folder, "elsewhere", 1)
    last = time.time() - silence_s
    os.utime(folder / alive.ALIVE, (last, last))
    assert alive.is_deserted(folder) == deserted
    assert [path.name for path in folder.iterdir()] == [alive.ALIVE]


def test_nobody_was_ever_there(tmp_path):
    assert alive.is_deserted(tmp_path)


def test_its_last_sign_is_a_beat_or_a_file_that_it_wrote(folder):
    assert alive.last_sign(folder / "none") is None
    (folder / "log").touch()
    for beat, written, last in ((20, 10, 20), (20, 30, 30)):
        os.utime(folder / alive.ALIVE, (beat, beat))
        os.utime(folder / "log", (written, written))
        assert (alive.last_sign(folder), alive.last_sign(folder, "log", "none")) == (beat, last)


def test_it_beats_and_then_leaves(folder, monkeypatch):
    monkeypatch.setattr(alive, "BEAT_S", 0.01)
    os.utime(folder / alive.ALIVE, (1, 1))
    with alive.beating(folder):
        deadline = time.monotonic() + 10
        while (folder / alive.ALIVE).stat().st_mtime < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not (folder / alive.ALIVE).exists()
