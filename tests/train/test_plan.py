"""What a configuration leaves open is decided from the data and the memory, and said."""

import numpy as np
import pytest

from genomix.config import make_config
from genomix.errors import UsageError
from genomix.train import plan
from genomix.train.memory import StepMemory

SMALL = {"model.encoder.dim": 8, "model.encoder.hidden_dim": 8, "model.embedding.dim": 8}
PLENTY = 1 << 40


@pytest.fixture
def resolve(monkeypatch):
    """Resolve a small network on a machine of this much memory."""

    def resolve(lengths=(100, 200, 300), memory=PLENTY, preset=None, val_bases=100, one_strand=None, **changes):
        monkeypatch.setattr(plan, "available_memory_bytes", lambda _: memory)
        overrides = {} if preset else SMALL
        config = make_config(preset, overrides=overrides | {key.replace("__", "."): changes[key] for key in changes})
        return plan.resolve(config, np.array(lengths), val_bases, 2, "cpu", one_strand=one_strand)

    return resolve


def test_short_records_are_read_whole(resolve):
    config, said = resolve(lengths=(100, 200, 300))
    assert config.model.max_length == 300
    assert "model.max_length: 300 bp (training records: 100 to 300 bp, median 200)" in said


def test_long_records_are_cropped(resolve):
    assert resolve(lengths=(1000, 9_000_000))[0].model.max_length == plan.LONGEST_CROP


def test_what_is_stated_stays(resolve):
    stated = {
        "max_epochs": 3,
        "batch_records": 9,
        "batch_bases": 4000,
        "patience": 1,
        "validate_every": 7,
        "reverse_complement": False,
    }
    changes = {f"training__{name}": value for name, value in stated.items()}
    config, said = resolve(model__max_length=64, model__pooling="max", prediction__strands="both", **changes)
    assert (config.model.max_length, config.model.pooling, config.prediction.strands) == (64, "max", "both")
    assert {name: getattr(config.training, name) for name in stated} == stated
    assert said == []


def test_nothing_is_left_open(resolve):
    config = resolve()[0]
    for name in ("max_epochs", "batch_records", "batch_bases", "patience", "validate_every", "reverse_complement"):
        assert getattr(config.training, name) is not None
    assert config.model.pooling is not None
    assert config.prediction.strands is not None


@pytest.mark.parametrize(("max_length", "pooling", "why"), [(300, "regions", "read whole"), (299, "mean", "cropped")])
def test_what_is_read_whole_is_pooled_by_its_parts(resolve, max_length, pooling, why):
    config, said = resolve(model__max_length=max_length)
    assert config.model.pooling == pooling
    assert f"model.pooling: {pooling}, as records are {why}" in said


@pytest.mark.parametrize(("one_strand", "both"), [(None, True), (False, True), (True, False)])
def test_both_strands_are_read_unless_one_tells_more(resolve, one_strand, both):
    config, said = resolve(one_strand=one_strand)
    assert config.training.reverse_complement is both
    assert config.prediction.strands == ("both" if both else "forward")
    assert any(sentence.startswith("training.reverse_complement: false") for sentence in said) is not both


def test_prediction_reads_the_strands_that_were_learnt(resolve):
    for learnt, strands in ((True, "both"), (False, "forward")):
        for one_strand in (True, False):
            config, said = resolve(one_strand=one_strand, training__reverse_complement=learnt)
            assert config.training.reverse_complement is learnt
            assert config.prediction.strands == strands
            assert not any("reverse_complement" in sentence for sentence in said)
    stated = resolve(training__reverse_complement=False, prediction__strands="both")[0]
    assert stated.prediction.strands == "both"


def test_resolving_again_changes_nothing(resolve):
    config, _ = resolve()
    again, said = plan.resolve(config, np.array([100, 200, 300]), 100, 2, "cpu")
    assert again == config
    assert said == []


def test_what_was_asked_for_is_not_changed(monkeypatch):
    monkeypatch.setattr(plan, "available_memory_bytes", lambda _: PLENTY)
    config = make_config(overrides=SMALL)
    plan.resolve(config, np.array([100]), 100, 2, "cpu")
    assert config == make_config(overrides=SMALL)


def test_few_records_get_many_epochs_and_many_get_few(resolve):
    few = resolve(lengths=[100] * 50, training__batch_records=10)[0].training.max_epochs
    many = resolve(lengths=[100] * 1_000_000, training__batch_records=10)[0].training.max_epochs
    assert plan.MOST_EPOCHS >= few > many >= plan.FEWEST_EPOCHS


def test_many_records_that_look_the_same_each_time_are_read_less_often(resolve):
    few, many = ([100] * number for number in (plan.FEW_RECORDS, plan.FEW_RECORDS + 1))
    assert resolve(lengths=few)[0].training.max_epochs == plan.MOST_PASSES
    assert resolve(lengths=many)[0].training.max_epochs == plan.MOST_PASSES_OF_MANY
    for changes in ({"training__mask_fraction": 0}, {"training__first_length": 50}, {"model__max_length": 99}):
        for lengths in (few, many):
            config = resolve(lengths=lengths, **changes)[0]
            assert config.training.mask_fraction == 0
            assert config.training.max_epochs in (plan.MOST_PASSES, plan.MOST_PASSES + 1)


def test_a_batch_holds_its_records_where_there_is_memory(resolve):
    training = resolve(training__batch_records=8)[0].training
    assert training.batch_bases == 8 * 300


def test_for_want_of_memory_batches_are_small_and_add_up(resolve):
    config, said = resolve(lengths=[256] * 64, memory=4_000_000, training__batch_records=64)
    training = config.training
    assert 256 <= training.batch_bases < 64 * 256
    assert any("for want of memory" in sentence for sentence in said)


def test_too_little_memory_for_one_record_is_told_before_training(resolve):
    with pytest.raises(UsageError, match=r"not enough memory to train on 300 bp at once .* --max-length"):
        resolve(memory=1000)


@pytest.mark.parametrize("length", [1 << 40, 1 << 60])
def test_what_the_machine_refuses_is_told(resolve, length):
    with pytest.raises(UsageError, match=r"^out of memory on cpu; use a smaller --max-length .* smaller network"):
        resolve(preset="transformer", model__max_length=100, model__encoder__hidden_dim=length)


def test_a_model_with_a_place_for_each_base_reads_no_record_whole(resolve):
    with pytest.raises(UsageError, match=r"a place for each of 300 bases and no more; use prediction.long=window or"):
        resolve(preset="linformer", prediction__long="whole")


class TestRecompute:
    """Records of 300 bp, 16 in a step; a base needs 100 bytes, or 60 where link weights are made again."""

    @pytest.fixture
    def resolve(self, resolve, monkeypatch):
        def measure(classifier, config, length, device):
            (layer,) = classifier.encoder.layers
            return StepMemory(9000, 60 if layer.recompute else 100)

        monkeypatch.setattr(plan, "measure_step_memory", measure)

        def resolve_with_room(needed, **changes):
            return resolve(memory=needed / plan.MEMORY_SHARE, training__batch_records=16, **changes)

        return resolve_with_room

    def test_with_enough_memory_link_weights_are_kept(self, resolve):
        config, said = resolve(needed=9001 + 300 * 16 * 100)
        assert config.model.encoder.recompute is None
        assert config.training.batch_bases == 300 * 16
        assert not any("memory" in sentence for sentence in said)

    def test_memory_for_one_record_is_enough(self, resolve):
        config, said = resolve(needed=9001 + 300 * 100)
        assert config.model.encoder.recompute is None
        assert config.training.batch_bases == 300
        (sentence,) = (sentence for sentence in said if "memory" in sentence)
        assert sentence == "training.batch_bases: 300, less than wanted (4800), for want of memory"

    @pytest.mark.parametrize(("needed", "room"), [(9001 + 300 * 60, 300), (8900 + 300 * 100, 498)])
    def test_where_it_helps_link_weights_are_made_again_and_that_is_said(self, resolve, needed, room):
        config, said = resolve(needed)
        assert config.model.encoder.recompute is True
        assert config.training.batch_bases == room
        recompute, bases = (sentence for sentence in said if "memory" in sentence)
        assert recompute.startswith("model.encoder.recompute: true, link weights are made again")
        assert bases == f"training.batch_bases: {room}, less than wanted (4800), for want of memory"

    def test_where_it_does_not_help_it_is_told_before_training(self, resolve):
        with pytest.raises(UsageError, match=r"300 bp at once \(room for about 299\); use a smaller --max-length"):
            resolve(needed=8999 + 300 * 60)

    def test_what_is_stated_is_respected(self, resolve):
        with pytest.raises(UsageError, match=r"300 bp at once \(room for about 299\); use a smaller --max-length"):
            resolve(needed=8900 + 300 * 100, model__encoder__recompute=False)
        config, said = resolve(needed=9001 + 300 * 16 * 100, model__encoder__recompute=True)
        assert config.model.encoder.recompute is True
        assert not any("recompute" in sentence for sentence in said)

    def test_resolving_again_changes_nothing(self, resolve):
        config, _ = resolve(needed=9001 + 300 * 60)
        again, said = plan.resolve(config, np.array([100, 200, 300]), 100, 2, "cpu")
        assert again == config
        assert said == []


@pytest.mark.parametrize(("number", "length"), [(300, 100_000), (40, 1_000_000), (480, 50_000)])
def test_patience_spans_several_validations_however_long_the_records(resolve, number, length):
    training = resolve(lengths=[length] * number, val_bases=number * length // 7)[0].training
    assert training.patience >= 5 * training.validate_every
    assert training.max_epochs >= 10 * training.validate_every


@pytest.mark.parametrize(("metric", "awaited"), [("mcc", "mcc or log loss"), ("log_loss", "log_loss")])
def test_what_patience_waits_for_is_said_once(resolve, metric, awaited):
    assert resolve(training__metric=metric)[1][-1].endswith(f"a better {awaited}")


def test_patience_lasts_until_the_steps_are_smaller(resolve):
    """With the largest steps little may be learnt for long, and much once they are halved, in the middle."""
    training = resolve(lengths=[16_000] * 103, val_bases=240_000)[0].training
    assert training.max_epochs > 200
    assert training.patience >= training.max_epochs // 2


def test_a_long_validation_is_done_less_often(resolve):
    short, long = (
        resolve(val_bases=bases, training__max_epochs=200)[0].training.validate_every for bases in (100, 100_000)
    )
    assert 1 <= short < long


def test_padding_to_a_full_length_counts_in_full(resolve):
    config, _ = resolve(model__padding="token", model__max_length=512, training__batch_records=4)
    assert config.training.batch_bases == 4 * 512


@pytest.mark.parametrize(("key", "value"), [("model__pooling", "flatten"), ("model__embedding__position", "learned")])
def test_a_network_bound_to_its_length_cannot_read_whole_records(resolve, key, value):
    with pytest.raises(UsageError, match=r"prediction.long: whole: this model has a place for each of"):
        resolve(**{key: value, "prediction__long": "whole"})


def test_a_kmer_model_has_nothing_to_decide(resolve):
    config, said = resolve(preset="kmer", memory=0)
    assert config == make_config("kmer")
    assert config.prediction.strands == "forward"
    assert said == []


def test_bases_are_hidden_where_records_are_read_whole(resolve):
    config, said = resolve()
    assert config.training.mask_fraction == plan.HIDDEN
    assert f"training.mask_fraction: {plan.HIDDEN}, as records are few and read whole" in said
    assert resolve(model__max_length=299)[0].training.mask_fraction == 0
    for number, fraction in ((plan.FEW_RECORDS, plan.HIDDEN), (plan.FEW_RECORDS + 1, 0)):
        assert resolve(lengths=[100] * number)[0].training.mask_fraction == fraction
    assert resolve(training__mask_fraction=0.1)[0].training.mask_fraction == 0.1


def test_crops_cannot_begin_longer_than_they_end(resolve):
    with pytest.raises(
        UsageError, match=r"training.first_length: 301 bp are more than model.max_length, the 300 bp that"
    ):
        resolve(training__first_length=301, memory=0)
    with pytest.raises(UsageError, match=r"65 bp are more than model.max_length, the 64 bp .* make it smaller"):
        resolve(training__first_length=65, model__max_length=64)
    assert resolve(training__first_length=300)[0].training.first_length == 300


def test_short_crops_change_nothing_else_that_is_decided(resolve):
    plain, said = resolve(model__max_length=256)
    short, said_too = resolve(model__max_length=256, training__first_length=32)
    assert said == said_too
    short.training.first_length = None
    assert short == plain


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_at_full_length_is_over_0_and_at_most_1(resolve, share):
    with pytest.raises(UsageError, match=r"training\.full_length_share"):
        resolve(training__full_length_share=share)


def test_kmers_cannot_be_mixed(resolve):
    with pytest.raises(UsageError, match=r"training.mixup: k-mer models have no vectors to mix"):
        resolve(preset="kmer", training__mixup=0.2)
    assert resolve(training__mixup=0.2)[0].training.mixup == 0.2
