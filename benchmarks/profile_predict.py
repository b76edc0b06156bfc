"""How much of the wall time of `genomix predict` is spent in the network.

    python benchmarks/profile_predict.py models/primate-suborder big.fa --strands forward

All arguments are those of the command; the predictions are thrown away. The rest of the time is starting, reading the
file twice (once for its errors, once to compute), cutting windows, and writing rows.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from typing import Any

began = time.perf_counter()

from genomix.cli.main import main as run_command  # noqa: E402 (the clock starts before anything is imported)
from genomix.nn.classifier import Classifier  # noqa: E402


def main() -> None:
    """Run the command with a clock around the network, and print the shares."""
    spent = 0.0
    forward = Classifier.forward

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        entered = time.perf_counter()
        logits = forward(*arguments)
        spent += time.perf_counter() - entered
        return logits

    setattr(Classifier, "forward", timed)  # noqa: B010 (a stand-in of another signature)
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["genomix", "predict", *sys.argv[1:], "--device", "cpu", "--output", f"{folder}/predictions.tsv"]
        with contextlib.suppress(SystemExit):
            run_command()
    wall = time.perf_counter() - began
    print(f"wall {wall:.1f} s, in the network {spent:.1f} s: {spent / wall:.1%}")


if __name__ == "__main__":
    main()
