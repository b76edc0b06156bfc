"""What a training would do and need, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from genomix.config import Config, KmerConfig
from genomix.data.labels import LabelledRecords
from genomix.data.splits import Splits
from genomix.nn.build import build_classifier
from genomix.runtime import available_memory_bytes, resident_memory_bytes
from genomix.train.division import divide, make_training_set
from genomix.train.memory import StepMemory, measure_step_memory, telling_out_of_memory
from genomix.train.optimise import make_optimizer
from genomix.train.plan import resolve


@dataclass(frozen=True)
class DryRun:
    """What a training would do and need.

    Attributes:
        config: Resolved.
        said: A sentence for each value that was decided from the data and the machine.
        undecided: A sentence for each value that is here as it mostly is, and that the training decides otherwise
            where the data ask for it.
        splits: The division of the records.
        num_parameters: Of the network; 0 for a k-mer model, which has no training steps.
        num_steps: Steps of the optimiser in an epoch.
        batch_bases: Most bases that any step of the first epoch computes at once, padding included.
        step: What steps need.
        process_bytes: Memory of the process before the first step: on a GPU none of this counts.
        available_bytes: Free memory of the device.
    """

    config: Config
    said: list[str]
    undecided: list[str]
    splits: Splits
    num_parameters: int
    num_steps: int
    batch_bases: int
    step: StepMemory
    process_bytes: int
    available_bytes: int

    @property
    def peak_bytes(self) -> float:
        """The most memory that training is expected to need on its device."""
        return self.process_bytes + self.step.total(self.batch_bases)


def dry_run(config: Config, records: LabelledRecords, device: str) -> DryRun:
    """Divide the records, decide what is open, and estimate the memory by small steps on random bases.

    Raises:
        DataError: If the records cannot be divided into train, val and test.
        UsageError: If the configuration does not fit the data or the machine.
    """
    splits = divide(records, config)
    lengths = records.lengths[splits.train]
    num_classes = len(records.classes)
    asked = config
    config, said = resolve(config, lengths, int(records.lengths[splits.val].sum()), num_classes, device)
    if isinstance(config.model, KmerConfig):
        nothing = StepMemory(0, 0)
        return DryRun(
            config, said, [], splits, 0, 0, 0, nothing, _process_bytes(device), available_memory_bytes(device)
        )
    training_set = make_training_set(records, splits, config)
    steps = training_set.as_predicted().plan(1)
    longest = training_set.padded_length or int(min(lengths.max(), training_set.max_length))
    with telling_out_of_memory(device):
        classifier = build_classifier(config.model, num_classes).to(device)
        make_optimizer(classifier, config.training)  # torch loads its compiler for it, part of the process from then on
        need = measure_step_memory(classifier, config.training, longest, device)
    return DryRun(
        config=config,
        said=said,
        undecided=_undecided(asked),
        splits=splits,
        num_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        num_steps=len(steps),
        batch_bases=max(training_set.count_padded(batch) for step in steps for batch in step),
        step=need,
        process_bytes=_process_bytes(device),
        available_bytes=available_memory_bytes(device),
    )


def _undecided(asked: Config) -> list[str]:
    model = asked.model
    if isinstance(model, KmerConfig) or model.both_strands or asked.training.reverse_complement is not None:
        return []
    return ["training.reverse_complement: true here; the k-mers that training searches first may say otherwise"]


def _process_bytes(device: str) -> int:
    return resident_memory_bytes() if device == "cpu" else 0
