"""A dry run decides and counts what a training would, and leaves no trace."""

import dataclasses

import numpy as np
import pytest

from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.errors import DataError, UsageError
from genomix.nn.build import build_classifier
from genomix.runtime import resident_memory_bytes
from genomix.train import dry_run as rehearsal
from genomix.train import plan
from genomix.train.division import divide, make_training_set
from genomix.train.dry_run import dry_run
from genomix.train.memory import StepMemory, measure_step_memory
from genomix.train.run import Training

SMALL = {"model.encoder.dim": 8, "model.encoder.hidden_dim": 8, "training.batch_records": 7, "training.seed": 3}
NUM_RECORDS = 60


@pytest.fixture
def load(tmp_path):
    """Read records of these lengths (lowest, highest + 1); every third is of class b."""

    def load(lengths=(100, 300), splits=None):
        rng = np.random.default_rng(0)
        sequences = ("".join(rng.choice(list("ACGT"), size=rng.integers(*lengths))) for _ in range(NUM_RECORDS))
        (tmp_path / "data.fa").write_text("".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
        columns = ["id\tlabel" + ("\tsplit" if splits else "")]
        columns += [
            f"r{i}\t{'aab'[i % 3]}" + (f"\t{splits[i % len(splits)]}" if splits else "") for i in range(NUM_RECORDS)
        ]
        (tmp_path / "labels.tsv").write_text("\n".join(columns) + "\n")
        files = ([str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"))
        return load_labelled(*files, cache_dir=tmp_path / "cache", warn=lambda _: None)

    return load


def look(records, preset=None, **changes):
    overrides = SMALL if preset is None else {}
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return dry_run(make_config(preset, overrides=overrides | changes), records, "cpu")


def loaded_sizes(records, found):
    """The real and the padded bases of each batch of the first epoch, as training would read them."""
    training_set = make_training_set(records, found.splits, found.config)
    batches = [training_set.load(batch) for step in training_set.plan(1) for batch in step]
    real = [sum(int(group.lengths.sum()) for group in batch.groups) for batch in batches]
    return real, [sum(group.tokens.numel() for group in batch.groups) for batch in batches]


def test_records_are_divided_as_for_a_training(load):
    records = load()
    found = look(records)
    expected = divide(records, found.config)
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(found.splits, part), getattr(expected, part))


def test_what_is_open_is_decided_as_for_a_training(load, tmp_path, caplog):
    caplog.set_level("INFO", "genomix")
    records = load((30, 50))
    asked = make_config(overrides=SMALL | {"training.max_epochs": 1, "training.baselines": False})
    found = dry_run(asked, records, "cpu")
    trained = Training(asked, records, tmp_path / "run").run().model
    assert trained.config.model.composition.is_settled
    trained.config.model.composition = asked.model.composition  # what is beside the network is searched for only then
    assert found.config == trained.config
    beside = sum(parameter.numel() for parameter in trained.composition.parameters())
    assert found.num_parameters == trained.meta.num_parameters - beside
    log = (tmp_path / "run" / "train.log").read_text()
    assert found.said
    assert all(f"decided {sentence}\n" in log for sentence in found.said)
    (row,) = (tmp_path / "run" / "history.csv").read_text().splitlines()[1:]
    assert row.startswith(f"1,{found.num_steps},")


def test_a_long_validation_counts_in_what_is_decided(load):
    records = load(splits=["train", "val", "val", "val"])
    found = look(records, training__max_epochs=200)
    lengths, val_bases = records.lengths[found.splits.train], int(records.lengths[found.splits.val].sum())
    asked = make_config(overrides=SMALL | {"training.max_epochs": 200})
    assert (found.config, found.said) == plan.resolve(asked, lengths, val_bases, 2, "cpu")
    assert found.config.training.validate_every > 4


@pytest.mark.parametrize("max_length", [64, 250])
@pytest.mark.parametrize("batch_bases", [None, 500, 10])
def test_steps_and_batches_are_those_of_the_first_epoch(load, max_length, batch_bases):
    records = load()
    found = look(records, model__max_length=max_length, training__batch_bases=batch_bases)
    real, padded = loaded_sizes(records, found)
    assert found.num_steps == -(-len(found.splits.train) // 7)
    assert max(real) <= found.batch_bases <= max(padded)
    if max_length == 64:  # every record is cropped, and there is no padding
        assert found.batch_bases == max(padded) == 64 * max(1, min(7, (batch_bases or 10**6) // 64))


def test_records_that_are_filled_up_count_in_full(load):
    found = look(load(), model__max_length=512, model__padding="token")
    assert found.batch_bases == 7 * 512


def test_the_memory_is_that_of_the_steps_beside_the_process(load):
    records = load((500, 501))
    found = look(records)
    network = build_classifier(found.config.model, 2)
    expected = measure_step_memory(network, found.config.training, 500, "cpu")
    assert found.batch_bases == 7 * 500
    assert found.step.bytes_per_base == pytest.approx(expected.bytes_per_base, rel=0.05)
    assert found.num_parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.process_bytes == pytest.approx(resident_memory_bytes(), rel=0.1)
    assert found.peak_bytes == found.process_bytes + found.step.total(7 * 500)
    assert found.available_bytes > 0


def test_the_peak_is_the_process_and_the_largest_batch(load):
    found = dataclasses.replace(look(load()), step=StepMemory(100, 7), batch_bases=30, process_bytes=5000)
    assert found.peak_bytes == 5000 + 100 + 7 * 30
    assert rehearsal._process_bytes("cuda") == 0


def test_a_kmer_model_has_no_steps(load):
    records = load()
    found = look(records, preset="kmer")
    assert (found.num_steps, found.batch_bases, found.step) == (0, 0, StepMemory(0, 0))
    assert found.said == []
    assert len(found.splits.train) == len(divide(records, found.config).train)


def test_nothing_is_written_or_changed(load, tmp_path):
    records = load()
    asked = make_config(overrides=SMALL)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    dry_run(asked, records, "cpu")
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert asked == make_config(overrides=SMALL)


def test_a_class_without_training_records_is_an_error(load):
    with pytest.raises(DataError, match="no training record of class 'b'"):
        look(load(splits=["train", "val", "test"]))


def test_too_little_memory_is_an_error(load, monkeypatch):
    monkeypatch.setattr(plan, "available_memory_bytes", lambda _: 1000)
    with pytest.raises(UsageError, match="not enough memory to train on 299 bp at once"):
        look(load((299, 300)))


def test_want_of_memory_is_told_and_counted(load, monkeypatch):
    records = load((1000, 1001))
    need = look(records).step
    memory = (need.fixed_bytes + 3500 * need.bytes_per_base) / plan.MEMORY_SHARE
    monkeypatch.setattr(plan, "available_memory_bytes", lambda _: memory)
    found = look(records)
    assert any(sentence.startswith("training.batch_bases: ") for sentence in found.said)
    assert found.batch_bases == 3000
    assert found.num_steps == look(records, training__batch_bases=7000).num_steps


@pytest.mark.parametrize("batch_bases", [None, 1000])
def test_what_the_machine_refuses_is_told(load, batch_bases):
    with pytest.raises(UsageError, match=r"^out of memory on cpu; "):
        look(load(), "transformer", model__encoder__hidden_dim=1 << 40, training__batch_bases=batch_bases)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, ["training.reverse_complement"]),
        ({"training.reverse_complement": False}, []),
        ({"model.both_strands": True}, []),
        ({"model.composition.strands": "canonical"}, ["training.reverse_complement"]),
    ],
)
def test_what_the_search_of_kmers_decides_is_named(load, changes, named):
    found = dry_run(make_config(overrides=SMALL | changes), load((30, 50)), "cpu")
    assert [sentence.partition(":")[0] for sentence in found.undecided] == named
