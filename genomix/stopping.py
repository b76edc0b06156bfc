"""Being asked to stop: by a signal, or because the time that a job has is nearly up."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator
from types import FrameType

from genomix.errors import PreemptedError

MARGIN_S = 60.0
"""Seconds before the end of a job that are left to finish a step and to write a checkpoint."""
MARGIN_SHARE = 0.1
"""Where a job is short, the share of its time that is left for that instead."""
_IMPORT_WAIT_S = 0.02
"""Seconds after which to look again whether the modules that were being imported are there."""
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP", "SIGINT") if hasattr(signal, name))


class AbandonedError(KeyboardInterrupt):
    """Somebody interrupted twice and does not want to wait: work was cut in the middle, nothing of it is to be kept."""


class Stopping:
    """Says whether this process has been asked to stop, and stops it at the next good moment.

    Outside of `deferred` blocks that is at once, or as soon as no module is being imported; inside of them where
    `check` is called.

    Attributes:
        asked: What asked for it, such as `SIGTERM`; None while nothing has.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self._by_hand = False
        self._depth = 0

    def check(self, where: str = "") -> None:
        """Stop if that was asked for.

        Args:
            where: What has been done so far, for the message.

        Raises:
            PreemptedError: If a batch system or the time limit asked for it.
            KeyboardInterrupt: If a person did.
        """
        if self.asked is None:
            return
        message = f"stopped by {self.asked}" + (f" {where}" if where else "")
        if self._by_hand:
            raise KeyboardInterrupt(message)
        raise PreemptedError(message)

    def ask(self, reason: str, *, by_hand: bool = False) -> None:
        """Ask to stop; the first reason is the one that is told."""
        if self.asked is None:
            self.asked, self._by_hand = reason, by_hand

    @contextlib.contextmanager
    def deferred(self) -> Generator[None]:
        """Stop inside the block only where `check` is called, so that no work is cut in the middle."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextlib.contextmanager
    def watching(self, limit_s: float | None = None) -> Generator[Stopping]:
        """Listen, inside the block, to SIGTERM, SIGUSR1, SIGHUP and SIGINT, and to the clock; not to what is ignored.

        Args:
            limit_s: Seconds from now after which to stop; None for no limit.
        """
        heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        handlers = {number: signal.signal(number, self._on_signal) for number in heard}
        handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        if limit_s is not None:
            signal.setitimer(signal.ITIMER_REAL, max(limit_s, 1e-3))
        try:
            yield self
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._by_hand:
            raise AbandonedError("interrupted twice: what was done since the last checkpoint is lost")
        self.ask(signal.Signals(number).name, by_hand=number == signal.SIGINT)
        self._stop_if_free(frame)

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        self.ask("the time limit")
        self._stop_if_free(frame)

    def _stop_if_free(self, frame: FrameType | None) -> None:
        if self._depth:
            return
        if _imports(frame):
            # an import may swallow what is raised inside of it, and leaves half a module behind
            signal.setitimer(signal.ITIMER_REAL, _IMPORT_WAIT_S)
        else:
            self.check()


def _imports(frame: FrameType | None) -> bool:
    """Tell whether a module is being imported there."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def seconds_to_stop(max_time_s: float | None) -> float | None:
    """Return after how many seconds to stop, so as to be done before the time is up; None if there is no limit.

    Args:
        max_time_s: Most seconds this process may take from now; None for as many as it wants.

    The end of a SLURM job (`SLURM_JOB_END_TIME`, seconds since 1970) is a limit as well.
    """
    limits = [] if max_time_s is None else [max_time_s]
    with contextlib.suppress(ValueError):
        limits.append(float(os.environ.get("SLURM_JOB_END_TIME", "")) - time.time())
    return min((limit - min(MARGIN_S, MARGIN_SHARE * limit) for limit in limits), default=None)
