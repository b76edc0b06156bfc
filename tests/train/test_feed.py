"""Batches come as planned: read on the spot for a CPU, and by a thread some batches ahead for every other device."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from genomix.data.dataset import TrainingSet
from genomix.data.store import build_store
from genomix.train import feed as feeding
from genomix.train.feed import AHEAD, feed

NUM_RECORDS = 60
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Watched(TrainingSet):
    """Notes by which thread each batch is read, and fails at the batch it is told to."""

    fails_at: int = -1
    read: list[int] = field(default_factory=list)

    def load(self, batch):
        self.read.append(threading.get_ident())
        if len(self.read) - 1 == self.fails_at:
            raise OSError("the disk is gone")
        return super().load(batch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("feed")
    rng = np.random.default_rng(0)
    sequences = ("".join(rng.choice(list("ACGT"), size=length)) for length in rng.integers(5, 90, NUM_RECORDS))
    (directory / "data.fa").write_text("".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


@pytest.fixture
def watch(store):
    def watch(fails_at=-1):
        return Watched(
            store=store,
            rows=np.arange(NUM_RECORDS),
            targets=np.arange(NUM_RECORDS) % 3,
            max_length=50,
            batch_records=NUM_RECORDS,
            batch_bases=200,
            reverse_complement=True,
            balanced=False,
            seed=0,
            fails_at=fails_at,
        )

    return watch


@pytest.fixture
def nowhere(monkeypatch):
    """Let batches stay where they are, so that a device need not exist; return the devices they were to be sent to."""
    asked = []

    def stay(batch, device):
        asked.append(device)
        return batch

    monkeypatch.setattr(feeding, "_sent", stay)
    return asked


def assert_same(found, expected):
    assert torch.equal(found.targets, expected.targets)
    assert len(found.groups) == len(expected.groups)
    for group, other in zip(found.groups, expected.groups, strict=True):
        assert torch.equal(group.tokens, other.tokens)
        assert torch.equal(group.lengths, other.lengths)


def wait_for(things, number):
    deadline = time.monotonic() + 10
    while len(things) < number:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("device", ["cpu", ELSEWHERE])
def test_batches_come_as_planned(watch, nowhere, device):
    training_set = watch()
    (batches,) = training_set.plan(1)
    found = list(feed(training_set, batches, device))
    assert len(found) == len(batches) > 3 * AHEAD
    for batch, planned in zip(found, batches, strict=True):
        assert_same(batch, TrainingSet.load(training_set, planned))
    assert len(training_set.read) == len(batches)


@pytest.mark.parametrize("device", ["cpu", ELSEWHERE])
@pytest.mark.parametrize("number", range(AHEAD + 2))
def test_few_batches_come_as_well(watch, nowhere, device, number):
    training_set = watch()
    batches = training_set.plan(1)[0][:number]
    for batch, planned in zip(feed(training_set, batches, device), batches, strict=True):
        assert_same(batch, TrainingSet.load(training_set, planned))


def test_every_tensor_is_sent(watch):
    training_set = watch()
    (batches,) = training_set.plan(1)
    for batch, planned in zip(feed(training_set, batches, "meta"), batches, strict=True):
        expected = TrainingSet.load(training_set, planned)
        assert batch.targets.is_meta
        assert batch.targets.shape == expected.targets.shape
        for group, other in zip(batch.groups, expected.groups, strict=True):
            assert group.tokens.is_meta
            assert group.lengths.is_meta
            assert group.tokens.shape == other.tokens.shape


def test_a_cpu_reads_when_it_computes(watch):
    training_set = watch()
    batches = feed(training_set, training_set.plan(1)[0], "cpu")
    for number, _ in enumerate(batches, 1):
        assert training_set.read == [threading.get_ident()] * number


def test_one_thread_reads_ahead_but_not_far(watch, nowhere):
    training_set = watch()
    (batches,) = training_set.plan(1)
    for number, _ in enumerate(feed(training_set, batches, ELSEWHERE), 1):
        wait_for(training_set.read, min(number + AHEAD, len(batches)))
        time.sleep(0.01)  # room for a reader that knows no limit
        assert len(training_set.read) <= number + AHEAD
        assert len(nowhere) == number
    assert nowhere == [ELSEWHERE] * len(batches)
    assert len(set(training_set.read) | {threading.get_ident()}) == 2


@pytest.mark.parametrize("device", ["cpu", ELSEWHERE])
@pytest.mark.parametrize("fails_at", [0, 1, 5])
def test_an_error_of_the_reader_is_passed_on_in_its_turn(watch, nowhere, device, fails_at):
    training_set = watch(fails_at)
    batches = feed(training_set, training_set.plan(1)[0], device)
    for _ in range(fails_at):
        next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)


def test_the_reader_stops_when_nobody_waits(watch, nowhere):
    training_set = watch()
    batches = feed(training_set, training_set.plan(1)[0], ELSEWHERE)
    next(batches)
    batches.close()
    (reader,) = set(training_set.read)
    assert reader not in {thread.ident for thread in threading.enumerate()}
    assert len(training_set.read) <= 1 + AHEAD
