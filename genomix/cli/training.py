"""What `genomix train` does once its options are read: begin, or go on; in one process, or in several."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genomix.cli import options
from genomix.cli.resuming import Request, load, settle
from genomix.errors import PreemptedError, TrainingFailedError, UsageError

if TYPE_CHECKING:
    from genomix.data.labels import LabelledRecords
    from genomix.distributed import Ranks
    from genomix.train.begun import Begun
    from genomix.train.run import Trained, Training
    from genomix.train.several import SeveralTrained


AFTER_OTHERS_S = 5
"""Seconds that a process waits once another is gone, so that the one that has the reason ends first."""


def perform(request: Request) -> int:
    """Train as asked; return the exit code.

    Raises:
        GenomixError: Whatever keeps it from being done.
    """
    from genomix.distributed import RankLostError, find_ranks
    from genomix.distributed.launch import INTERRUPTED

    ranks = find_ranks()
    if ranks.size == 1:
        if not settle(request):
            return 0
        if request.devices is not None and request.devices > 1:
            return _launch(request)
    try:
        return _perform_as(request, ranks)
    except (RankLostError, PreemptedError, TrainingFailedError) as error:
        if ranks.is_first:
            raise
        if isinstance(error, RankLostError):
            time.sleep(AFTER_OTHERS_S)
        return error.exit_code  # the first process, or the launcher, says what happened
    except KeyboardInterrupt:
        if ranks.is_first:
            raise
        return INTERRUPTED


def _launch(request: Request) -> int:
    """Start the processes of this machine, each with this same command."""
    from genomix.config import KmerConfig
    from genomix.distributed.launch import launch

    if "-" in request.begun.inputs:
        raise UsageError("--devices: several processes cannot share stdin; name a file")
    if isinstance(request.begun.config.model, KmerConfig):
        raise UsageError(f"--devices {request.devices}: k-mer models are fitted by one process; leave it out")
    with telling_how_to_go_on(request.path):
        return launch(sys.argv[1:], request.devices or 1)


def _perform_as(request: Request, ranks: Ranks) -> int:
    from genomix.distributed import joined
    from genomix.runtime import choose_device, keep_freed_memory, set_threads, share_threads

    threads = set_threads(share_threads(ranks.local_size) if request.threads is None else request.threads)
    keep_freed_memory()
    device = choose_device(request.device)
    with telling_how_to_go_on(request.path if ranks.is_first else None), joined(ranks, device) as ranks:
        if ranks.size > 1:  # the first looks, and reads and stores what the others then find
            goes_on = ranks.share(settle(request) if ranks.is_first else None)
            request.begun = ranks.share(request.begun)
            if not goes_on:
                return 0
        with _first_before_others(ranks):
            records, hashes = load(request.begun)
        request.begun = request.begun.model_copy(update={"sequences": records.store.sha256, "complete": False})
        _train(request, records, hashes, device, threads, ranks)
    return 0


@contextlib.contextmanager
def _first_before_others(ranks: Ranks) -> Generator[None]:
    """Let the first process do what is in the block before the others do it; if it fails, they do not try."""
    if not ranks.is_first:
        ranks.barrier()
    yield
    if ranks.is_first:
        ranks.barrier()


class telling_how_to_go_on:  # noqa: N801 (used as a statement)
    """Adds to a message that work was stopped how to go on with it."""

    def __init__(self, path: Path | None, command: str = "train") -> None:
        self._path = path
        self._command = command

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from genomix.checkpoint import BEGUN, is_complete
        from genomix.distributed import RankLostError

        if self._path is None or not (self._path / BEGUN).exists() or is_complete(self._path):
            return
        advice = f"; go on with: genomix {self._command} --resume {self._path}"
        if isinstance(error, PreemptedError | RankLostError):
            raise type(error)(f"{error}{advice}") from error
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"{error or 'interrupted'}{advice}") from error


def _train(
    request: Request,
    records: LabelledRecords,
    hashes: dict[str, str],
    device: str,
    threads: int,
    ranks: Ranks,
) -> None:
    from genomix.cli.progress import TrainingProgress
    from genomix.cli.tables import print_comparison, print_levels, print_spread
    from genomix.report import write_report
    from genomix.train.checkpoints import EVERY_S
    from genomix.train.run import Training

    every_s = EVERY_S if request.checkpoint_every_s is None else request.checkpoint_every_s
    quiet = request.quiet or not ranks.is_first
    with TrainingProgress(options.start_log(quiet=request.quiet, silent=not ranks.is_first), quiet=quiet) as progress:
        training = Training(
            config=request.begun.config,
            records=records,
            path=request.path,
            device=device,
            threads=threads,
            command=["genomix", *sys.argv[1:]],
            inputs=hashes,
            force=request.force,
            on_step=progress.show,
            checks=request.begun.checks,
            begun=request.begun,
            init_from=request.begun.init_from,
            resume=request.resume,
            checkpoint_every_s=every_s,
            stop=request.stop,
            ranks=ranks,
        )
        with _first_before_others(ranks):
            trainings, run = _plan(training, request.begun)
        if not ranks.is_first:
            for one in trainings:
                one.follow()
            return
        trained = run()
    options.say(f"report: {write_report(request.path)}")
    print_comparison(trained.measured.results, trained.measured.split)
    if trained.measured.levels:
        print_levels(trained.measured.levels)
    if trained.spread:
        print_spread(trained.spread)


def _plan(training: Training, begun: Begun) -> tuple[list[Training], Callable[[], Trained | SeveralTrained]]:
    """Return the trainings that there are, in their order, and what runs them and puts them together."""
    from genomix.train.division import divide, divide_folds
    from genomix.train.several import Several

    if begun.folds is None and begun.ensemble is None:
        return [training], training.run
    several = Several(replace(training, path=training.path.parent) if begun.only else training)
    if begun.folds is not None:
        folds = divide_folds(training.records, training.config, begun.folds)
        trainings, run = several.fold_trainings(folds), lambda: several.run_folds(folds)
    else:
        count = begun.ensemble or 1
        splits = divide(training.records, training.config)
        several.training = replace(several.training, splits=splits)
        trainings = several.member_trainings(splits, count)
        run = lambda: several.run_members(count)  # noqa: E731 (the counterpart of the one above)
    if begun.only is None:
        return trainings, run
    one = replace(trainings[begun.only - 1], checks=training.checks)
    return [one], one.run
