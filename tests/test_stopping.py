"""Being asked to stop: at once outside of deferred blocks, at the next check inside."""

import importlib
import os
import signal
import time

import pytest

from genomix.errors import PreemptedError
from genomix.stopping import AbandonedError, Stopping, seconds_to_stop


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("SIGTERM", PreemptedError),
        ("SIGUSR1", PreemptedError),
        ("SIGHUP", PreemptedError),
        ("SIGINT", KeyboardInterrupt),
    ],
)
class TestSignals:
    def test_outside_of_deferred_blocks_it_is_at_once(self, name, error):
        with Stopping().watching(), pytest.raises(error, match=f"stopped by {name}"):
            send(getattr(signal, name))

    def test_inside_it_is_where_that_is_asked(self, name, error):
        done = []
        with Stopping().watching() as stop, stop.deferred():
            stop.check()
            send(getattr(signal, name))
            done.append("the step")
            with pytest.raises(error, match=f"stopped by {name} in the middle"):
                stop.check("in the middle")
        assert done == ["the step"]
        assert stop.asked == name

    def test_afterwards_signals_are_what_they_were(self, name, error):
        before = signal.getsignal(getattr(signal, name))
        with Stopping().watching():
            assert signal.getsignal(getattr(signal, name)) != before
        assert signal.getsignal(getattr(signal, name)) == before


def test_an_import_is_not_cut_in_the_middle(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nwhole = True\n")
    (tmp_path / "swallowing.py").write_text("try:\n    import half\nexcept BaseException:\n    half = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = []

    def load_and_wait():
        loaded.append(importlib.import_module("swallowing"))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pass

    with Stopping().watching(), pytest.raises(PreemptedError, match="stopped by SIGTERM"):
        load_and_wait()
    assert loaded[0].half.whole


def test_what_is_ignored_is_not_heard():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stopping().watching() as stop:
            send(signal.SIGHUP)
            stop.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_reason_is_told():
    with Stopping().watching() as stop, stop.deferred():
        send(signal.SIGUSR1)
        send(signal.SIGTERM)
        with pytest.raises(PreemptedError, match="SIGUSR1"):
            stop.check()


def test_who_interrupts_twice_does_not_want_to_wait():
    with Stopping().watching() as stop, stop.deferred():
        send(signal.SIGINT)
        with pytest.raises(AbandonedError, match="lost"):
            send(signal.SIGINT)


def test_the_time_limit_is_a_reason_like_others():
    with Stopping().watching(0.05) as stop, stop.deferred():
        deadline = time.monotonic() + 10
        while stop.asked is None:
            assert time.monotonic() < deadline
        with pytest.raises(PreemptedError, match="stopped by the time limit"):
            stop.check()


def test_a_limit_that_has_not_come_leaves_no_alarm():
    with Stopping().watching(3600):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


class TestSecondsToStop:
    @pytest.fixture(autouse=True)
    def _no_job(self, monkeypatch):
        monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)

    def test_without_a_limit_there_is_none(self):
        assert seconds_to_stop(None) is None

    def test_a_minute_is_left_of_a_long_time_and_a_tenth_of_a_short_one(self):
        assert seconds_to_stop(7200) == 7140
        assert seconds_to_stop(100) == 90

    def test_the_end_of_the_job_counts_if_it_comes_first(self, monkeypatch):
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 1000))
        assert seconds_to_stop(None) == pytest.approx(940, abs=1)
        assert seconds_to_stop(7200) == pytest.approx(940, abs=1)
        assert seconds_to_stop(500) == 450

    @pytest.mark.parametrize("text", ["", "soon"])
    def test_what_is_no_time_is_no_limit(self, monkeypatch, text):
        monkeypatch.setenv("SLURM_JOB_END_TIME", text)
        assert seconds_to_stop(None) is None
