"""Starts the processes of a training on this machine, and ends them together: torch's elastic launcher does it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence

from genomix.distributed.ranks import RankLostError
from genomix.errors import PreemptedError

INTERRUPTED = 130
GRACE_S = 45
"""Seconds that processes are given to finish a step and to write a checkpoint when they are asked to stop."""


def launch(arguments: Sequence[str], count: int) -> int:
    """Run `genomix` with these arguments in `count` processes that know of each other; return their exit code.

    Signals that end this process are passed on to all of them. When one of them fails the others are ended.

    Raises:
        RankLostError: If one of them was killed.
    """
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE_S))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process sets its own; torchrun warns where nobody has
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # what there is to say, the processes say
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle="SIGTERM,SIGINT,SIGHUP,SIGUSR1",
    )
    try:
        elastic_launch(config, sys.executable)("-m", "genomix", *arguments)
    except ChildFailedError as error:
        return _exit_code({rank: failure.exitcode for rank, failure in error.failures.items()})
    except SignalException as error:
        return INTERRUPTED if error.sigval == signal.SIGINT else PreemptedError.exit_code
    return 0


def _exit_code(codes: dict[int, int]) -> int:
    """Return the code that tells most: that of the process that had a reason, before those that lost another one.

    Raises:
        RankLostError: If one was killed, as the system does where memory runs out.
    """
    killed = {rank: -code for rank, code in codes.items() if code < 0 and -code not in (signal.SIGTERM, signal.SIGUSR1)}
    if killed:
        rank, number = min(killed.items())
        hint = "; if memory ran out, use a smaller --batch-bases" if number == signal.SIGKILL else ""
        raise RankLostError(f"rank {rank} was killed by {signal.Signals(number).name}{hint}")
    stated = [code for _, code in sorted(codes.items()) if code > 0]
    return next((code for code in stated if code != RankLostError.exit_code), RankLostError.exit_code)
