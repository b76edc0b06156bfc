"""Length against error on made-up problems: how far apart two positions may lie for a network to bring them together.

    python benchmarks/length_error.py adding --models paramixer transformer performer --results adding.jsonl \
        --plot adding.svg

Each network is trained on short records first, and goes on to records twice as long as soon as it answers these, or
has used up its time at a length. Its error at a length is taken, before it goes on, on records that were never looked
at. Every step draws new records, so nothing can be learnt by heart. It ends where it gets more than `--give-up` per
cent wrong. All networks have the same embedding (linear for adding, tokens for temporal order), pooling and head, and
the learning rate of their preset. A network whose parameters belong to positions starts anew at every length. What is
in the file of results is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from problems import Problem
from torch import nn

from genomix.config import PRESETS, Config, NetworkConfig, make_config, parse_assignment
from genomix.runtime import set_threads
from genomix.train.optimise import learning_rate_factor, set_learning_rate

WARM_UP_STEPS = 50
CONDITIONS = ("seed", "minutes", "batch", "most_positions", "dim", "hidden_dim", "learning_rate", "set")
"""What an error depends on beside the model and the length."""
CHANCE = {"adding": 84.65, "temporal-order": 75.0}
"""Error in per cent of the best constant answer: 0.5 for adding, any class for temporal order."""


def network_config(preset: str, length: int, options: argparse.Namespace) -> Config:
    """Return the configuration of a preset's encoder, at the sizes of the experiment."""
    model = make_config(preset).model
    if not isinstance(model, NetworkConfig):
        raise SystemExit(f"{preset} is not a network")
    fields = type(model.encoder).model_fields
    sizes = {"dim": options.dim, "hidden_dim": options.hidden_dim}
    sizes |= {key: 0.0 for key in fields if key.endswith("dropout")}
    overrides: dict[str, Any] = {f"model.encoder.{key}": value for key, value in sizes.items() if key in fields}
    overrides |= {
        "model.max_length": length,
        "model.stem": None,
        "model.padding": "mask",
        "model.embedding.dim": options.dim,
        "model.embedding.dropout": 0.0,
        "model.embedding.position": "none",
        "model.pooling": "mean",
        "model.head.norm": "none",
    }
    overrides |= dict(map(parse_assignment, options.set))
    return make_config(preset, overrides=overrides)


class Course:
    """A network on its way through the lengths."""

    def __init__(self, problem: Problem, network: nn.Module, learning_rate: float, options: argparse.Namespace) -> None:
        self.problem, self.network, self.learning_rate, self.options = problem, network, learning_rate, options
        self.optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=0.0)
        self.generators = [np.random.default_rng([options.seed, use]) for use in range(3)]
        self.steps = 0

    @property
    def num_parameters(self) -> int:
        """Numbers of the network that are trained."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def pass_length(self, length: int) -> dict[str, Any]:
        """Train at a length until enough answers are right or the time is used up, and take the error."""
        options, began, clean = self.options, time.monotonic(), 0
        drawing, checking, testing = self.generators
        first = self.steps
        batch = int(np.clip(options.most_positions // length, options.fewest, options.batch))
        while (progress := (time.monotonic() - began) / (60 * options.minutes)) < 1 and clean < options.enough:
            self.step(length, batch, drawing, progress)
            if (self.steps - first) % options.validate_every == 0:
                error = self.problem.error(self.network, options.validated, length, batch, checking)
                clean = clean + 1 if error <= options.good else 0
                print(f"  length {length} step {self.steps} error {error:.1f} %", file=sys.stderr, flush=True)
        minutes = (time.monotonic() - began) / 60
        error = self.problem.error(self.network, options.tested, length, batch, testing)
        return {"length": length, "error": round(error, 2), "steps": self.steps - first, "taken": round(minutes, 2)}

    def step(self, length: int, num_records: int, generator: np.random.Generator, progress: float) -> None:
        """Make one step of the optimiser; the learning rate falls while the time at a length (0 to 1) is used up."""
        self.steps += 1
        falling = learning_rate_factor(progress, "cosine", 0.0)
        set_learning_rate(self.optimizer, self.learning_rate * falling * min(1.0, self.steps / WARM_UP_STEPS))
        inputs, lengths, targets = self.problem.batch(num_records, length, generator, self.options.device)
        loss = self.problem.loss(self.network(inputs, lengths), targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()


def begin(task: str, model: str, max_length: int, options: argparse.Namespace) -> Course:
    """Return an untrained network at the start of its way."""
    torch.manual_seed(options.seed)
    config = network_config(model, max_length, options)
    problem = Problem(task)
    network = problem.build(config.model).to(options.device)
    return Course(problem, network, options.learning_rate or config.training.learning_rate, options)


def run(task: str, model: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train one model through all lengths, and yield a row for each."""
    course = begin(task, model, max(options.lengths), options)
    is_bound = network_config(model, max(options.lengths), options).model.is_position_bound
    for length in sorted(options.lengths):
        print(f"{model}, length {length}", file=sys.stderr, flush=True)
        if is_bound:
            course = begin(task, model, length, options)
        row = {"model": model, "parameters": course.num_parameters}
        row |= course.pass_length(length)
        yield row
        if row["error"] > options.give_up:
            break


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Draw error against length, a line a model."""
    import matplotlib.figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure = matplotlib.figure.Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    task = rows[0]["task"]
    for i, model in enumerate(dict.fromkeys(row["model"] for row in rows)):
        points = sorted((row["length"], row["error"]) for row in rows if row["model"] == model)
        axes.plot(*zip(*points, strict=True), marker="osD^vP*X<>"[i % 10], label=model, alpha=0.85)
    axes.axhline(CHANCE[task], color="grey", linestyle=":", label="best constant answer")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(sorted({row["length"] for row in rows}))
    axes.set(xlabel="length (positions)", ylabel="wrong answers (%)", ylim=(-3, 100), title=f"{task}: error by length")
    axes.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what is not in the file of results yet, print all of it, and plot it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(CHANCE))
    parser.add_argument("--models", nargs="+", default=["paramixer"], choices=[*PRESETS], metavar="PRESET")
    parser.add_argument("--lengths", type=int, nargs="+", default=[2**power for power in range(6, 15)])
    parser.add_argument("--minutes", type=float, default=2.0, help="longest training of one model at one length")
    parser.add_argument("--batch", type=int, default=32, help="records a step")
    parser.add_argument("--most-positions", type=int, default=1 << 16, help="of a step; batches of long records shrink")
    parser.add_argument("--fewest", type=int, default=4, help="records a step")
    parser.add_argument("--learning-rate", type=float, help="that of the preset by default")
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--hidden-dim", type=int, default=32)
    parser.add_argument("--validate-every", type=int, default=25, help="steps")
    parser.add_argument("--validated", type=int, default=100, help="records a validation")
    parser.add_argument("--good", type=float, default=1.0, help="error in per cent that is good enough to go on")
    parser.add_argument("--enough", type=int, default=2, help="good validations in a row before a network goes on")
    parser.add_argument("--tested", type=int, default=1000, help="records the error is taken on")
    parser.add_argument("--give-up", type=float, default=50.0, help="error in per cent at which a network ends")
    parser.add_argument("--set", action="append", default=[], help="key=value of the configuration, for all models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", required=True, help="file of results, one JSON object a line, added to")
    parser.add_argument("--plot", help="picture to write (.svg, .png, .pdf)")
    options = parser.parse_args()
    set_threads(options.threads)
    path = Path(options.results)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    conditions = {"task": options.task} | {name: getattr(options, name) for name in CONDITIONS}
    for model in options.models:
        before = [row for row in rows if row["model"] == model and conditions.items() <= row.items()]
        if any(row["length"] == max(options.lengths) or row["error"] > options.give_up for row in before):
            continue
        rows = [row for row in rows if row not in before]  # of a run that was interrupted
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for row in run(options.task, model, options):
            rows.append(row | conditions)
            with path.open("a") as lines:
                lines.write(json.dumps(rows[-1]) + "\n")
    rows = [row for row in rows if conditions.items() <= row.items()]
    columns = ("model", "length", "error", "steps", "taken", "parameters")
    print("\t".join(columns))
    for row in sorted(rows, key=lambda row: (row["model"], row["length"])):
        print("\t".join(str(row[column]) for column in columns))
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
