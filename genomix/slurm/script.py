"""The sbatch script: what is asked of SLURM, and a shell that passes signals on and queues the job again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from genomix.errors import PreemptedError, UsageError
from genomix.slurm.commands import Work

MAX_RESTARTS = 100


@dataclass
class Job:
    """What is asked of SLURM; None leaves it to the cluster.

    Attributes:
        name: Of the job, and of its log.
        time: Limit, as sbatch takes it, such as 1-12:00:00.
        cpus: Cores a task.
        memory: A node, such as 64G.
        gpus: A node, such as 2 or a100:2.
        nodes: How many.
        tasks: Tasks a node; with GPUs one for each of them, where it is None.
        partition, account: Where to queue, and who pays.
        grace_s: Seconds before the limit at which the job is told to stop.
        at_once: Most tasks of an array that run at the same time.
        max_restarts: How often it is queued again.
        extra: Further options of sbatch, such as --constraint=a100.
        setup: Lines of shell to run first, such as `module load cuda`.
    """

    name: str = "genomix"
    time: str | None = None
    cpus: int | None = None
    memory: str | None = None
    gpus: str | None = None
    nodes: int = 1
    tasks: int | None = None
    partition: str | None = None
    account: str | None = None
    grace_s: int = 120
    at_once: int | None = None
    max_restarts: int = MAX_RESTARTS
    extra: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)

    @property
    def tasks_per_node(self) -> int:
        """Processes on a node."""
        return self.tasks or max(1, self._num_gpus)

    @property
    def _num_gpus(self) -> int:
        count = (self.gpus or "0").rpartition(":")[2]
        if not count.isdigit():
            raise UsageError(f"--gpus {self.gpus!r}: write it as a number, or as a kind and a number, such as a100:2")
        return int(count)


def write_script(job: Job, work: Work) -> str:
    """Return the script.

    Raises:
        UsageError: If what is asked for does not go together.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if not work.has_ranks and job.nodes * job.tasks_per_node > 1:
        raise UsageError(
            f"genomix {work.command} runs in one process: leave out --nodes and --tasks, and share the work by --array"
        )
    environment = Environment(
        loader=PackageLoader("genomix.slurm"),
        autoescape=False,  # noqa: S701 (shell, not HTML; shlex quotes what users gave)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("job.sh").render(
        directives=_directives(job, work),
        title=f"genomix {work.command}",
        work=work.line,
        collect=work.collect_line,
        collect_options=_collect_options(job, work),
        ranks=job.nodes * job.tasks_per_node,
        purpose=work.purpose,
        directory=work.directory and shlex.quote(work.directory),
        count=work.count,
        setup=job.setup,
        again=PreemptedError.exit_code,
        max_restarts=job.max_restarts,
    )


def _directives(job: Job, work: Work) -> list[str]:
    array = None if work.count is None else f"1-{work.count}" + (f"%{job.at_once}" if job.at_once else "")
    options = {
        "job-name": job.name,
        "output": f"{job.name}-{'%j' if array is None else '%A_%a'}.log",
        "open-mode": "append",
        "requeue": "",
        "signal": f"B:USR1@{job.grace_s}",
        "time": job.time,
        "nodes": job.nodes,
        "ntasks-per-node": job.tasks_per_node,
        "cpus-per-task": job.cpus,
        "mem": job.memory,
        "gpus-per-node": job.gpus,
        "partition": job.partition,
        "account": job.account,
        "array": array,
    }
    stated = [
        f"--{name}={_quoted(value)}" if value != "" else f"--{name}"
        for name, value in options.items()
        if value is not None
    ]
    for line in job.extra:
        if not line.startswith("-") or "\n" in line:
            raise UsageError(f"--sbatch {line!r}: give one option of sbatch, such as --sbatch=--constraint=a100")
    return stated + job.extra


def _collect_options(job: Job, work: Work) -> str:
    """Return what the task behind an array asks for in place of what its script does, each with a blank before it."""
    if not work.collects_alone:
        return ""
    return " --cpus-per-task=1" * (job.cpus is not None) + " --gpus-per-node=0" * (job.gpus is not None)


def _quoted(value: object) -> str:
    text = str(value)
    if "\n" in text:
        raise UsageError(f"{text!r}: an option of sbatch is one line")
    return f'"{text}"' if set(text) & set(" \t#'") else text
