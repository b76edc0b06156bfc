"""Accuracy against context: the same network with its mixing on and off, reading more or less of a record at once.

    python benchmarks/context.py SETS_DIR/mito_insect_order --lengths 1024 4096 16384 whole --bases 500000000 \
        --seeds 0 1 2 --out runs --results context --plot context.png

--docs puts table and picture into docs/accuracy.md, between marks called `context SET`, or `context-epochs SET`.

Every run reads the same number of bases in training (--bases; an epoch reads one crop of each record, so that shorter
crops take more epochs and steps), has the same --budget, or takes the same number of --epochs: as many steps of as many
records, so that longer crops read more. Both read the strand that is given, without the k-mers beside the network,
which count whole records. What a training decides by the length is the same at each: the mean as pooling, no bases
hidden, 25 records a step; but a run of 40 epochs or more is judged as often as the preset's own rule says. "Mixing off"
has model.encoder.link_scale=0, which makes every factor the identity: its positions see no further than the stem and
each other's mean. Records longer than the context are covered by windows when they are judged, so that what a longer
context adds is that far positions are seen together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from candidates import SYNTAX, parse_candidates
from curves import add_picture_options, perform_curve
from measured import METRICS
from runs import Data, Run, add_run_options, leave_with, limits
from sets import add_judge_option, open_sets, runs_on

from genomix.data.labels import load_labelled
from genomix.errors import UsageError

WHOLE = "whole"
ALONE = "model.composition=null training.reverse_complement=false"
ALIKE = "model.pooling=mean training.mask_fraction=0 training.batch_records=25"
"""What a training decides by itself of about 640 records in crops of 4 or 16 kb. Of shorter crops it takes more a step;
where records are read whole it pools regions and hides bases, and that would be another network, trained otherwise."""
NETWORK = f"paramixer {ALONE} {ALIKE}"
MODELS = [f"mixing={NETWORK}", f"mixing off={NETWORK} model.encoder.link_scale=0"]


def parse_length(text: str) -> int | None:
    """Return a length in bp; None for whole records."""
    if text == WHOLE:
        return None
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of bp nor {WHOLE!r}")
    return int(text)


def read_lengths(data: Data) -> np.ndarray:
    """Return the lengths of the training records in bp (R,).

    Raises:
        NoInputError, DataError: If the data cannot be read.
    """
    records = load_labelled([str(data.sequences)], str(data.labels), warn=lambda _: None)
    return records.lengths[np.array(records.splits) == "train"]


def count_epochs(bases: int, lengths: np.ndarray, max_length: int) -> int:
    """Return the epochs in which so many bases are read, where one reads up to `max_length` of each record.

    Raises:
        UsageError: If it is less than half of one.
    """
    an_epoch = int(np.minimum(lengths, max_length).sum())
    epochs = round(bases / an_epoch)
    if not epochs:
        raise UsageError(f"--bases {bases}: one epoch of {max_length} bp a record reads {an_epoch}; give more")
    return epochs


def plan(options: argparse.Namespace) -> tuple[list[Run], dict[Path, tuple[str, int]]]:
    """Return the runs, and for each, by its path, what the table calls its context, and its length in bp.

    Raises:
        UsageError, NoInputError, DataError: If an option, a model or the set is not as it should be.
    """
    if [options.bases, options.budget, options.epochs].count(None) != 2:
        raise UsageError("give --bases, which each run reads in training, --budget, the time of each, or --epochs")
    candidates = parse_candidates(options.models)
    folder = options.set_dir.resolve()
    (one,) = open_sets(folder.parent, [folder.name], options.judge, options.out)
    lengths = read_lengths(one.data)
    runs, places = [], {}
    for length in options.lengths:
        max_length = int(lengths.max()) if length is None else length
        epochs = options.epochs if options.bases is None else count_epochs(options.bases, lengths, max_length)
        flags = ("--max-length", str(max_length), *limits(options.budget, epochs))
        limit = {} if options.bases is None else {"budget": f"{options.bases:,} bases"}
        limit |= {} if options.epochs is None else {"budget": f"{options.epochs} epochs"}
        at = f"context/{length or WHOLE}"
        added = runs_on(one, candidates, options, folder=at, flags=flags, judge=options.judge, **limit)
        places |= {run.path: (WHOLE if length is None else f"{length:,}", max_length) for run in added}
        runs += added
    return runs, places


def main() -> int:
    """Train what is not trained yet, write the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set_dir", type=Path, help="folder of the set")
    parser.add_argument(
        "--lengths", type=parse_length, nargs="+", default=[1024, 4096, 16384, None], help="bp, or whole"
    )
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="MODEL", help=SYNTAX)
    parser.add_argument("--bases", type=int, help="that each run reads in training, in place of --budget")
    parser.add_argument("--epochs", type=int, help="of each run, in place of --bases and --budget")
    parser.add_argument("--metric", choices=METRICS, default="accuracy")
    add_picture_options(parser)
    add_run_options(parser)
    add_judge_option(parser)
    options = parser.parse_args()
    kind = "context" if options.epochs is None else "context-epochs"
    return perform_curve(*plan(options), options, kind=kind, heading="context (bp)", axis="bases read at once")


if __name__ == "__main__":
    leave_with(main)
