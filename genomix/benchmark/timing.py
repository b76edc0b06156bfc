"""How often something is repeated, and how long each repeat takes."""

from __future__ import annotations

import time
from collections.abc import Callable

FEWEST_REPEATS = 3
LEAST_TOTAL_S = 1.0
LONG_REPEAT_S = 10.0
"""A repeat longer than this is the last."""
WARM_UPS = 2


def warm_up(run: Callable[[], None]) -> None:
    """Run twice, or once where that takes long: kernels are compiled and buffers are allocated."""
    for _ in range(WARM_UPS):
        if time_once(run) > LONG_REPEAT_S:
            break


def time_repeats(
    run: Callable[[], None],
    repeats: int | None = None,
    *,
    fewest: int = FEWEST_REPEATS,
    least_total_s: float = LEAST_TOTAL_S,
) -> list[float]:
    """Return the seconds of every repeat.

    Args:
        run: What to time; it returns when the device is done.
        repeats: How many; None for as many as the two limits below ask for, ended by a repeat over `LONG_REPEAT_S`.
        fewest: At least so many repeats.
        least_total_s: At least so many seconds in all.
    """
    if repeats is not None:
        return [time_once(run) for _ in range(repeats)]
    seconds = [time_once(run)]
    while (len(seconds) < fewest or sum(seconds) < least_total_s) and seconds[-1] <= LONG_REPEAT_S:
        seconds.append(time_once(run))
    return seconds


def time_once(run: Callable[[], None]) -> float:
    """Return the seconds of one run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
