"""Models by lengths, each measured in processes of its own, one after another."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from genomix.benchmark.results import FAILED, OK, OUT_OF_MEMORY, Measurement, Phase, Result, Setting
from genomix.benchmark.worker import EXIT_OUT_OF_MEMORY
from genomix.config import NetworkConfig, make_config
from genomix.errors import UsageError

LOG = logging.getLogger("genomix")
PHASES: tuple[Phase, ...] = ("training", "inference")
TRIED_LENGTH = 64
"""Whether the parts of a network fit together does not depend on its length."""


@dataclass(frozen=True)
class Sweep:
    """What to measure.

    Attributes:
        models: Presets and models' folders.
        lengths: Bases of the records.
        batch_size, threads, dtype, device, repeats: As in `Setting`.
        phases: Training steps, inference, or both.
    """

    models: list[str]
    lengths: list[int]
    batch_size: int
    threads: int
    dtype: str
    device: str
    repeats: int | None = None
    phases: tuple[Phase, ...] = PHASES

    def check(self) -> None:
        """Find out, before anything is measured, whether every model is a network that can be built.

        Raises:
            UsageError: If one is not.
        """
        from genomix.nn.build import build_classifier

        for model in self.models:
            if not isinstance(make_config(model).model, NetworkConfig):
                raise UsageError(f"--model {model}: k-mer counts are not a network; choose another model to benchmark")
            config = make_config(model, overrides={"model.max_length": TRIED_LENGTH})
            build_classifier(config.model, num_classes=2)

    def run(self) -> Iterator[Result]:
        """Yield one result for each model and length, in that order, as soon as it is there."""
        for model in self.models:
            for length in self.lengths:
                yield self._result(model, length)

    def _result(self, model: str, length: int) -> Result:
        common = (length, self.batch_size, self.threads, self.dtype, self.device)
        outcomes = {phase: measure_apart(Setting(model, phase, *common, self.repeats)) for phase in self.phases}
        measured = {phase: one for phase, one in outcomes.items() if isinstance(one, Measurement)}
        problems = [one for one in outcomes.values() if isinstance(one, str)]
        training, inference = measured.get("training"), measured.get("inference")
        either = training or inference
        num_bases = self.batch_size * length
        return Result(
            model,
            *common,
            status=FAILED if FAILED in problems else OUT_OF_MEMORY if problems else OK,
            num_parameters=either and either.num_parameters,
            train_step_s=training and training.seconds,
            train_bases_per_s=training and num_bases / training.seconds,
            inference_s=inference and inference.seconds,
            inference_bases_per_s=inference and num_bases / inference.seconds,
            peak_memory_mib=training and training.peak_memory_mib,
            inference_peak_memory_mib=inference and inference.peak_memory_mib,
            baseline_memory_mib=either and either.baseline_memory_mib,
            repeats=training and training.repeats,
            inference_repeats=inference and inference.repeats,
            torch_version=either and either.torch_version,
            processor=either and either.processor,
        )


def measure_apart(setting: Setting) -> Measurement | str:
    """Make one measurement in a process of its own.

    Returns:
        What was measured; or `"out of memory"` or `"failed"`, what that process said being on stderr.

    Raises:
        KeyboardInterrupt: If the process was interrupted.
    """
    command = [sys.executable, "-m", "genomix.benchmark.worker", json.dumps(asdict(setting))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 (our own module)
    if done.returncode == 0:
        return Measurement(**json.loads(done.stdout.splitlines()[-1]))
    place = f"{setting.model}, {setting.length} bp, {setting.phase}"
    if done.returncode in (130, -signal.SIGINT):
        raise KeyboardInterrupt
    # Linux kills a process that no memory is left for.
    if done.returncode in (EXIT_OUT_OF_MEMORY, -signal.SIGKILL):
        LOG.warning("%s: out of memory", place)
        return OUT_OF_MEMORY
    LOG.warning("%s: failed with exit code %d", place, done.returncode)
    return FAILED
