"""A process that has everything imported and runs each command in a fork of its own: a command costs milliseconds.

It reads one request a line on its stdin and answers with the exit code. A request has the arguments, the directory, and
the files that are the command's stdin, stdout and stderr.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import jinja2
import matplotlib.backends.backend_svg
import matplotlib.figure
import numba
import pyarrow.parquet
import safetensors.torch
import sklearn.discriminant_analysis
import sklearn.linear_model
import sklearn.model_selection
import sklearn.preprocessing
import sklearn.tree
import torch
import torch._dynamo

import genomix.evaluate
import genomix.predict
import genomix.report
import genomix.train.kmer.mismatch
import genomix.train.run
import genomix.train.several
from genomix.cli.main import build_command, main

IMPORTED = (jinja2, matplotlib, numba, pyarrow.parquet, safetensors.torch, sklearn, torch, genomix)
"""Without the compiled kernels: their threads begin with the import, and a process that has them must not fork."""


def serve() -> None:
    _stay_on_one_core()
    build_command()
    gc.collect()
    gc.freeze()  # lest a collection in a fork touches, and so copies, what it shares
    requests = os.fdopen(os.dup(0), "r")
    answers = os.fdopen(os.dup(1), "w")
    for line in requests:
        child = os.fork()
        if not child:
            _take_over(json.loads(line))
            _leave_with_the_code_of(main)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=answers, flush=True)


def _stay_on_one_core() -> None:
    """Run on a core of this worker's own: threads of commands that run beside each other would wait for each other."""
    if hasattr(os, "sched_setaffinity"):
        worker, cores = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def _take_over(request: dict[str, Any]) -> None:
    os.chdir(request["directory"])
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if name == "stdin" else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(request[name], flags), descriptor)
    sys.argv = ["genomix", *request["arguments"]]


def _leave_with_the_code_of(command: Callable[[], None]) -> None:
    """Run a command and leave at once: taking down all that was imported would cost more than most commands do."""
    try:
        command()
    except SystemExit as left:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(left.code)


if __name__ == "__main__":
    serve()
