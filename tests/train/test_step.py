"""A step is the same however its records are cut into batches, and what it is told of precision and classes holds."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from genomix.config import TrainingConfig, make_config
from genomix.data.dataset import Batch, Group
from genomix.nn.build import build_classifier
from genomix.train.step import Stepper, choose_precision

CLIP_NORM = 0.1
PLAIN = {"learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": CLIP_NORM}
COUNTS = np.array([18, 6, 0])
LENGTH, NUM_RECORDS = 40, 12
RATES = (0.01, 0.02, 0.005)


class Composition(nn.Module):
    """Logits from the share of each base; notes in which type it was computed."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.head = nn.Linear(4, num_classes)

    def forward(self, tokens, lengths):
        logits = self.head(nn.functional.one_hot(tokens.long(), 4).sum(1) / lengths[:, None])
        self.computed_in = logits.dtype
        return logits


def network():
    """A whole network without a head that would see its batch."""
    small = {"model.max_length": LENGTH, "model.encoder.dim": 16, "model.encoder.hidden_dim": 16}
    return build_classifier(make_config(overrides=small | {"model.head.norm": "layer"}).model, 3)


def make_records(seed=0, num=NUM_RECORDS):
    rng = np.random.default_rng(seed)
    tokens = torch.from_numpy(rng.integers(0, 4, (num, LENGTH), dtype=np.uint8))
    return tokens, torch.full((num,), LENGTH), torch.from_numpy(rng.integers(0, 3, num))


def cut(records, *sizes, groups=1):
    """Cut records into batches of these sizes, each of some groups."""
    parts = (tensor.split(sizes) for tensor in records)
    return [
        Batch([Group(*group) for group in zip(tokens.chunk(groups), lengths.chunk(groups), strict=True)], targets)
        for tokens, lengths, targets in zip(*parts, strict=True)
    ]


def make_stepper(make=Composition, **changes):
    torch.manual_seed(0)
    return Stepper(make(), TrainingConfig(**(PLAIN | changes)), "cpu", COUNTS)


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("make", [Composition, network])
@pytest.mark.parametrize("classes", ["natural", "weighted"])
@pytest.mark.parametrize(("sizes", "groups"), [((5, 4, 3), 1), ((1, 10, 1), 1), ((12,), 3)])
def test_records_in_several_batches_are_one_batch(make, classes, sizes, groups):
    whole, parts = make_stepper(make, classes=classes), make_stepper(make, classes=classes)
    for seed, rate in enumerate(RATES):
        records = make_records(seed)
        one = whole.run(cut(records, NUM_RECORDS), NUM_RECORDS, rate)
        other = parts.run(cut(records, *sizes, groups=groups), NUM_RECORDS, rate)
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
    before = weights(make_stepper(make).classifier)
    moved = weights(whole.classifier) - before
    assert moved.abs().max() > 0.01
    torch.testing.assert_close(weights(parts.classifier) - before, moved, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("classes", ["natural", "weighted"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_steps_are_those_of_adam_on_the_mean_loss(classes, label_smoothing):
    """Against torch's own optimiser, with the loss written out: clipped, and vectors not decayed."""
    stepper = make_stepper(classes=classes, label_smoothing=label_smoothing)
    twin = copy.deepcopy(stepper.classifier)
    groups = [{"params": [twin.head.weight], "weight_decay": 0.1}, {"params": [twin.head.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    clipped = []
    costs = torch.tensor([24 / (3 * 18), 24 / (3 * 6), 24 / 3]) if classes == "weighted" else torch.ones(3)
    for seed, rate in enumerate(RATES):
        tokens, lengths, targets = make_records(seed)
        logarithms = twin(tokens, lengths).log_softmax(1)
        wanted = nn.functional.one_hot(targets, 3) * (1 - label_smoothing) + label_smoothing / 3
        loss = -(wanted * costs * logarithms).sum() / NUM_RECORDS
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([parameter.grad.flatten() for parameter in twin.parameters()]).norm()
        clipped.append(bool(norm > CLIP_NORM))
        for parameter in twin.parameters():
            parameter.grad *= min(1.0, CLIP_NORM / float(norm))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        found = stepper.run(cut((tokens, lengths, targets), 7, 5), NUM_RECORDS, rate)
        torch.testing.assert_close(found, loss.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weights(stepper.classifier), weights(twin), rtol=1e-4, atol=1e-5)
    assert any(clipped)


def test_weighted_classes_count_alike_in_the_loss():
    """At equal logits each record costs log C; a weight of R / (C * R_c) makes the sum over each class the same."""
    weight = make_stepper(classes="weighted").loss.weight
    assert (weight * torch.from_numpy(COUNTS)).tolist() == pytest.approx([8, 8, 0])
    assert weight.isfinite().all()


@pytest.mark.parametrize("classes", ["natural", "sampled"])
def test_other_classes_are_not_weighted(classes):
    assert make_stepper(classes=classes).loss.weight is None


def test_nothing_is_left_of_gradients_behind_a_step():
    stepper = make_stepper()
    stepper.run(cut(make_records(), 6, 6), NUM_RECORDS, 0.01)
    assert all(parameter.grad is None for parameter in stepper.classifier.parameters())


def test_gradients_that_are_forgotten_do_not_count():
    interrupted, straight = make_stepper(), make_stepper()

    def fail_halfway():
        yield from cut(make_records(seed=5), NUM_RECORDS)
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        interrupted.run(fail_halfway(), 2 * NUM_RECORDS, 0.01)
    assert all(parameter.grad is not None for parameter in interrupted.classifier.parameters())
    interrupted.forget()
    for stepper in (interrupted, straight):
        stepper.run(cut(make_records(), NUM_RECORDS), NUM_RECORDS, 0.01)
    assert torch.equal(weights(interrupted.classifier), weights(straight.classifier))


def test_the_average_of_the_weights_is_judged():
    """At first it keeps less of itself, so that the first weights are soon forgotten."""
    stepper = make_stepper(ema_decay=0.2)
    expected = None
    for number in range(5):
        stepper.run(cut(make_records(number), NUM_RECORDS), NUM_RECORDS, 0.1)
        now = weights(stepper.classifier)
        kept = (0, 2 / 11, 0.2, 0.2, 0.2)[number]
        expected = now if expected is None else kept * expected + (1 - kept) * now
        torch.testing.assert_close(weights(stepper.judged), expected)
    assert stepper.judged is not stepper.classifier
    assert not torch.allclose(expected, now)


def test_without_an_average_the_classifier_is_judged():
    stepper = make_stepper(ema_decay=0)
    assert stepper.judged is stepper.classifier


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_precision_is_what_its_name_says(name, device):
    assert choose_precision(name, device) is getattr(torch, name)


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch, has_it):
    def is_bf16_supported(including_emulation=True):
        return has_it or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert choose_precision("auto", "cuda") is (torch.bfloat16 if has_it else torch.float32)
    assert choose_precision("auto", "cpu") is choose_precision("auto", "mps") is torch.float32


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_steps_are_computed_in_the_precision(precision):
    exact, stepper = make_stepper(precision="float32"), make_stepper(precision=precision)
    for seed, rate in enumerate(RATES):
        for own in (exact, stepper):
            loss = own.run(cut(make_records(seed), 6, 6), NUM_RECORDS, rate)
            assert loss.dtype is torch.float32
    assert stepper.classifier.computed_in is choose_precision(precision, "cpu")
    moved = weights(exact.classifier) - weights(make_stepper().classifier)
    difference = weights(stepper.classifier) - weights(exact.classifier)
    assert difference.norm() < 0.2 * moved.norm()
    assert all(parameter.dtype is torch.float32 for parameter in stepper.classifier.parameters())
