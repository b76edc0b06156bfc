"""The Paramixer of genomix against the published computation, or against full attention of the same width.

    python benchmarks/compare_speed.py --length 16384 --dim 32 --hidden 128 --protocol chord --batch-size 4 --rounds 5
    python benchmarks/compare_speed.py --opponent attention --lengths 1024,4096,16384

Both take turns in one run on one machine (genomix, opponent, genomix, ...), each in a process of its own with as many
threads. The opponent runs as torch does by itself; with --tuned-opponent it has the settings of threads and allocator
that genomix makes too. Where a turn takes over 10 s there is one round. A ratio is the median of the rounds' ratios.
Peak memory is that of processes that do nothing else. The bound is that of `roofline.py`, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import roofline
import torch
from contenders import ATTENTION, GENOMIX, PUBLISHED, Contender, Sizes, contender, measure_memory
from rich.console import Console
from rich.table import Table

from genomix.benchmark.machine import processor_name
from genomix.benchmark.results import Phase
from genomix.benchmark.sweep import PHASES
from genomix.benchmark.timing import LONG_REPEAT_S
from genomix.runtime import choose_device, keep_freed_memory, set_threads

WIDTH = 110
REST_S = 0.3
"""Between turns: the threads of a process spin for a moment after their work, on the cores that the next one needs."""
SECONDS: dict[Phase, str] = {"training": "train_step_s", "inference": "inference_s"}
MEMORY: dict[Phase, str] = {"training": "peak_memory_mib", "inference": "inference_peak_memory_mib"}


def compare(sizes: Sizes, opponent: str, rounds: int, *, with_memory: bool = True) -> dict[str, Any]:
    """Measure both at one length.

    Returns:
        The sizes and the machine; under the name of each contender its seconds, memory and number of rounds; `ratios`,
        the opponent's figures over those of genomix; `bounds` and `fractions`, the bound over the seconds of genomix.
    """
    bounds = _bounds(sizes)
    seconds = _take_turns(sizes, opponent, rounds)
    figures: dict[str, dict[str, float]] = {}
    for name in (GENOMIX, opponent):
        figures[name] = {SECONDS[phase]: statistics.median(seconds[name, phase]) for phase in PHASES}
        for phase in PHASES if with_memory else ():
            memory = measure_memory(name, sizes, phase)
            figures[name] |= {MEMORY[phase]: memory.peak_mib, "baseline_memory_mib": memory.baseline_mib}
    ratios = {
        SECONDS[phase]: statistics.median(
            theirs / ours for ours, theirs in zip(seconds[GENOMIX, phase], seconds[opponent, phase], strict=True)
        )
        for phase in PHASES
    } | {name: figures[opponent][name] / figures[GENOMIX][name] for name in MEMORY.values() if with_memory}
    return {
        **asdict(sizes),
        "processor": processor_name(sizes.device),
        "torch_version": torch.__version__,
        "rounds": rounds,
        "opponent": opponent,
        **figures,
        "ratios": ratios,
        "bounds": {SECONDS[phase]: asdict(bounds[phase]) for phase in PHASES},
        "fractions": {name: bounds[phase].max_s / figures[GENOMIX][name] for phase, name in SECONDS.items()},
    }


def _bounds(sizes: Sizes) -> dict[Phase, roofline.Bound]:
    counted = roofline.Sizes(sizes.length, sizes.batch_size, sizes.dim, sizes.hidden_dim, sizes.protocol)
    rates = roofline.measure_for(counted, sizes.device)
    return {phase: roofline.find_bound(counted, rates, phase) for phase in PHASES}


def _take_turns(sizes: Sizes, opponent: str, rounds: int) -> dict[tuple[str, Phase], list[float]]:
    names = (GENOMIX, opponent)
    seconds: dict[tuple[str, Phase], list[float]] = {(name, phase): [] for name in names for phase in PHASES}
    with contender(GENOMIX, sizes) as ours, contender(opponent, sizes) as theirs:
        for phase in PHASES:
            _take_turns_in(phase, {GENOMIX: ours, opponent: theirs}, rounds, seconds)
    return seconds


def _take_turns_in(
    phase: Phase, contenders: dict[str, Contender], rounds: int, seconds: dict[tuple[str, Phase], list[float]]
) -> None:
    for number in range(rounds + 1):
        took: dict[str, float] = {}
        for name, one in contenders.items():
            time.sleep(REST_S)
            took[name] = one.take_turn(phase)
        is_long = max(took.values()) > LONG_REPEAT_S
        if number or is_long:  # the first round warms up, unless one round is all there is time for
            for name, value in took.items():
                seconds[name, phase].append(value)
        if is_long:
            break


def crossing_length(compared: Sequence[dict[str, Any]], figure: str) -> float | None:
    """Return the length from which the opponent takes longer, between measured ones by a line through the logarithms.

    None where it does not at the longest length; the shortest length where it does at all.
    """
    points = sorted((one["length"], one["ratios"][figure]) for one in compared)
    longer = points[-1]
    if longer[1] <= 1:
        return None
    for shorter in reversed(points[:-1]):
        if shorter[1] <= 1:
            share = math.log(1 / shorter[1]) / math.log(longer[1] / shorter[1])
            return shorter[0] * (longer[0] / shorter[0]) ** share
        longer = shorter
    return float(longer[0])


def print_comparison(compared: dict[str, Any]) -> None:
    """Print one length as a table: both contenders, the ratios, the bounds."""
    opponent = compared["opponent"]
    table = Table(
        title=f"{compared['length']:,} bp, batch {compared['batch_size']}, D {compared['dim']}, "
        f"H {compared['hidden_dim']}, {compared['protocol']}, threads {compared['threads']}, {compared['processor']}",
        title_justify="left",
    )
    for name in ("", GENOMIX, opponent, "ratio", "bound", "bound / genomix"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in SECONDS.values():
        ours, theirs = (f"{1000 * compared[one][name]:.1f} ms" for one in (GENOMIX, opponent))
        bound = f"{1000 * compared['bounds'][name]['max_s']:.1f} ms"
        table.add_row(
            name, ours, theirs, f"{compared['ratios'][name]:.2f}", bound, f"{compared['fractions'][name]:.2f}"
        )
    measured = "baseline_memory_mib" in compared[opponent]
    for name in (*MEMORY.values(), "baseline_memory_mib") if measured else ():
        ratio = f"{compared['ratios'][name]:.2f}" if name in compared["ratios"] else ""
        table.add_row(name, *(f"{compared[one][name]:,.0f} MiB" for one in (GENOMIX, opponent)), ratio)
    if measured:
        ours, theirs = (
            compared[one]["peak_memory_mib"] - compared[one]["baseline_memory_mib"] for one in (GENOMIX, opponent)
        )
        table.add_row("peak above baseline", f"{ours:,.0f} MiB", f"{theirs:,.0f} MiB", f"{theirs / ours:.2f}")
    Console(width=max(WIDTH, Console().width)).print(table)


def main() -> None:
    """Compare at each length, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    roofline.add_sizes(parser)
    parser.add_argument("--heads", type=int, default=4, help="of the attention")
    parser.add_argument("--opponent", choices=[PUBLISHED, ATTENTION], default=PUBLISHED)
    parser.add_argument("--lengths", "--length", default="16384", help="N or N,N,...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--tuned-opponent",
        action="store_true",
        help="give the opponent genomix's settings of threads and allocator too",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave out the runs that measure the memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object a length")
    options = parser.parse_args()
    lengths = [int(length) for length in options.lengths.split(",")]
    threads = set_threads(options.threads)
    keep_freed_memory()
    sizes = Sizes(
        lengths[0],
        options.dim,
        options.hidden,
        options.heads,
        options.protocol,
        options.batch_size,
        threads,
        choose_device(options.device),
        tuned=options.tuned_opponent,
    )
    compared: list[dict[str, Any]] = []
    for length in lengths:
        compared.append(
            compare(replace(sizes, length=length), options.opponent, options.rounds, with_memory=not options.no_memory)
        )
        if options.json:
            print(json.dumps(compared[-1]), flush=True)
        else:
            print_comparison(compared[-1])
    if len(lengths) > 1 and not options.json:
        for name in SECONDS.values():
            crossing = crossing_length(compared, name)
            found = "at none of these lengths" if crossing is None else f"from {crossing:,.0f} bp on"
            print(f"{name}: {options.opponent} takes longer than genomix {found}")


if __name__ == "__main__":
    main()
