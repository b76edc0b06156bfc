"""Records that are mixed: drawn as they should be, and learnt as what they are mixed of."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from genomix.config import TrainingConfig, make_config
from genomix.data.dataset import Batch, Group
from genomix.errors import UsageError
from genomix.nn.build import build_classifier
from genomix.train.loss import MultiLabelLoss
from genomix.train.mixup import Mixup
from genomix.train.step import Stepper

LENGTH, NUM_RECORDS, NUM_CLASSES = 40, 9, 3
SHARE = 0.3
ORDER = torch.tensor([3, 0, 1, 2, 4, 8, 7, 5, 6])
SMALL = {"model.max_length": LENGTH, "model.encoder.dim": 8, "model.encoder.hidden_dim": 8, "model.stem.base_dim": 4}
RATE = 0.01
FIRST_STEP = 1.9
"""What a gradient is multiplied by in the first step of SGD with Nesterov's momentum, beside the learning rate."""


def make_network(norm="batch"):
    torch.manual_seed(0)
    return build_classifier(make_config(overrides=SMALL | {"model.head.norm": norm}).model, NUM_CLASSES)


def make_stepper(network, loss=None, **changes):
    config = {"optimizer": "sgd", "weight_decay": 0.0, "clip_norm": 1e9, "mixup": 0.2} | changes
    return Stepper(network, TrainingConfig(**config), "cpu", loss or np.ones(NUM_CLASSES, int))


def make_batch(num=NUM_RECORDS, multi=False):
    """Records in two groups, as they are computed, the longer ones first."""
    rng = np.random.default_rng(0)
    tokens = torch.from_numpy(rng.integers(0, 4, (num, LENGTH), dtype=np.uint8))
    lengths = torch.tensor([LENGTH if i < num / 2 else LENGTH // 2 for i in range(num)])
    targets = torch.from_numpy(rng.integers(0, 2, (num, NUM_CLASSES)) if multi else rng.integers(0, NUM_CLASSES, num))
    half = int((lengths == LENGTH).sum())
    groups = [Group(tokens[:half], lengths[:half]), Group(tokens[half:, : LENGTH // 2], lengths[half:])]
    return Batch(groups[: 1 if num == 1 else 2], targets.float() if multi else targets)


def plain_logits(network, batch, norm):
    """Return the logits of mixtures: vectors standardised by those of all records, or each by itself, then mixed."""
    pooled = torch.cat([network.pool(*group) for group in batch.groups])
    linear = network.head[-1]
    if norm == "batch":
        pooled = (pooled - pooled.mean(0)) / (pooled.var(0, correction=0) + network.head[0].eps).sqrt()
        pooled = pooled * network.head[0].weight + network.head[0].bias
    mixed = SHARE * pooled + (1 - SHARE) * pooled[ORDER]
    if norm == "layer":
        mixed = nn.functional.layer_norm(mixed, mixed.shape[1:]) * network.head[0].weight + network.head[0].bias
    return mixed @ linear.weight.T + linear.bias


@pytest.fixture
def _drawn(monkeypatch):
    monkeypatch.setattr(Mixup, "draw", lambda alpha, num_records, device: Mixup(SHARE, ORDER))


@pytest.mark.usefixtures("_drawn")
@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_the_loss_is_of_a_target_between_those_of_both_records(norm, multi):
    """A target of which some belongs to either: what is linear in the target is the mean of the losses of both."""
    network, twin, batch = make_network(norm), make_network(norm), make_batch(multi=multi)
    whole = batch.targets if multi else nn.functional.one_hot(batch.targets, NUM_CLASSES).float()
    between = SHARE * whole + (1 - SHARE) * whole[ORDER]
    logits = plain_logits(twin, batch, norm)
    if multi:
        each = nn.functional.softplus(logits) - between * logits
        expected = each.mean(1).sum() / NUM_RECORDS
    else:
        expected = -(between * logits.log_softmax(1)).sum() / NUM_RECORDS
    stepper = make_stepper(network, MultiLabelLoss(None, 0.0) if multi else None)
    found = stepper.run([batch], NUM_RECORDS, RATE)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-6)
    expected.backward()
    for (name, ours), theirs in zip(network.named_parameters(), twin.parameters(), strict=True):
        moved = theirs.detach() - RATE * FIRST_STEP * theirs.grad
        torch.testing.assert_close(ours.detach(), moved, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("multi", [False, True])
def test_a_record_alone_is_mixed_with_itself(multi):
    mixed, plain, batch = make_network(), make_network(), make_batch(1, multi=multi)
    losses = [
        make_stepper(network, MultiLabelLoss(None, 0.0) if multi else None, mixup=alpha).run([batch], 1, RATE)
        for network, alpha in ((mixed, 0.5), (plain, 0.0))
    ]
    torch.testing.assert_close(losses[0], losses[1])
    for ours, theirs in zip(mixed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_batch_of_no_records_is_mixed_too():
    """Where several processes share a batch, some may have none of it."""
    network = make_network("layer")
    loss = make_stepper(network).run([Batch([], torch.empty(0, dtype=torch.int64))], 1, RATE)
    assert loss == 0


def test_steps_depend_on_the_state_of_torch_alone_and_mix_others_each_time():
    losses = []
    for seed in (1, 1, 2, 3):
        stepper = make_stepper(make_network(), mixup=1.0)
        torch.manual_seed(seed)
        losses.append(float(stepper.run([make_batch()], NUM_RECORDS, RATE)))
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3


def test_batches_of_a_step_are_mixed_each_by_itself(monkeypatch):
    drawn, draw = [], Mixup.draw
    monkeypatch.setattr(Mixup, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    make_stepper(make_network()).run([make_batch(4), make_batch(6)], 10, RATE)
    assert [len(mixup.order) for mixup in drawn] == [4, 6]
    assert drawn[0].share != drawn[1].share


def test_without_mixup_nothing_is_drawn():
    network = make_network()
    before = torch.get_rng_state()
    make_stepper(network, mixup=0.0).run([make_batch()], NUM_RECORDS, RATE)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_pools_no_vectors_is_refused():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, NUM_CLASSES)

    make_stepper(Counts(), mixup=0.0)
    with pytest.raises(UsageError, match=r"training\.mixup: Counts has no pooled vectors to mix"):
        make_stepper(Counts())


@given(alpha=st.floats(1e-9, 1e9), num_records=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_what_is_drawn_is_a_share_and_a_permutation_that_the_seed_decides(alpha, num_records, seed):
    drawn = []
    for _ in range(2):
        torch.manual_seed(seed)
        drawn.append(Mixup.draw(alpha, num_records, "cpu"))
    assert drawn[0].share == drawn[1].share
    assert torch.equal(drawn[0].order, drawn[1].order)
    assert 0 <= drawn[0].share <= 1
    assert sorted(drawn[0].order.tolist()) == list(range(num_records))


@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.2, 1.0, 8.0])
def test_the_share_is_of_the_beta_distribution(alpha):
    """Its mean is 1 / 2, and its variance 1 / (4 (2 alpha + 1))."""
    torch.manual_seed(0)
    shares = np.array([Mixup.draw(alpha, 1, "cpu").share for _ in range(4000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert shares.mean() == pytest.approx(0.5, abs=4 * (variance / len(shares)) ** 0.5)
    assert shares.var() == pytest.approx(variance, rel=0.1)


def test_records_are_mixed_with_any_other():
    torch.manual_seed(0)
    partners = {int(Mixup.draw(1.0, 5, "cpu").order[0]) for _ in range(100)}
    assert partners == set(range(5))


@pytest.mark.parametrize("alpha", [-0.1, "inf", "nan", "much"])
def test_an_alpha_that_is_none_is_refused(alpha):
    with pytest.raises(UsageError, match=r"training\.mixup"):
        make_config(overrides={"training.mixup": alpha})
