"""The process that makes one measurement: `python -m genomix.benchmark.worker SETTING`; setting and answer are JSON."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from genomix.benchmark.results import Measurement, Setting
from genomix.runtime import is_out_of_memory, keep_freed_memory, set_threads

EXIT_OUT_OF_MEMORY = 77


def main() -> int:
    """Make the measurement that the first argument asks for, and write it as the last line of stdout."""
    setting = Setting(**json.loads(sys.argv[1]))
    _be_the_first_to_go()
    try:
        set_threads(setting.threads)
        keep_freed_memory()
        measured = measure(setting)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return EXIT_OUT_OF_MEMORY
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")
    return 0


def measure(setting: Setting) -> Measurement:
    """Build the network with random weights, and measure it.

    Raises:
        UsageError: If the model cannot be built.
    """
    import torch

    from genomix.benchmark.machine import peak_memory_mib, processor_name
    from genomix.benchmark.timing import time_repeats, warm_up
    from genomix.benchmark.workload import NUM_CLASSES, SEED, Workload
    from genomix.config import make_config
    from genomix.nn.build import build_classifier
    from genomix.train.optimise import make_optimizer

    config = make_config(setting.model, overrides={"model.max_length": setting.length})
    torch.manual_seed(SEED)
    baseline = peak_memory_mib(setting.device)
    classifier = build_classifier(config.model, NUM_CLASSES)
    workload = Workload(
        classifier,
        lambda network: make_optimizer(network, config.training),
        length=setting.length,
        batch_size=setting.batch_size,
        clip_norm=config.training.clip_norm,
        dtype=setting.dtype,
        device=setting.device,
    )
    work = workload.prepare(setting.phase)
    warm_up(work)
    seconds = time_repeats(work, setting.repeats)
    return Measurement(
        seconds=statistics.median(seconds),
        repeats=len(seconds),
        peak_memory_mib=peak_memory_mib(setting.device),
        baseline_memory_mib=baseline,
        num_parameters=sum(parameter.numel() for parameter in classifier.parameters() if parameter.requires_grad),
        torch_version=torch.__version__,
        processor=processor_name(setting.device),
    )


def _be_the_first_to_go() -> None:
    """Make Linux end this process, and no other, where the memory of the machine is used up."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main())
