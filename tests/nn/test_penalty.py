"""Penalties of weights: what they add up to, and that a training step differentiates their sum once."""

import numpy as np
import pytest
import torch
from networks import make_batch
from torch import nn

from genomix.config import TrainingConfig, make_config
from genomix.data.dataset import Batch, Group
from genomix.nn.build import build_classifier
from genomix.nn.encoders.feature_maps import OrthogonalLinear
from genomix.nn.penalty import total_penalty
from genomix.train.optimise import make_optimizer, set_learning_rate
from genomix.train.step import Stepper

NUM_RECORDS, NUM_CLASSES, LENGTH = 12, 3, 20
COUNTS = np.array([4, 4, 4])
RATES = (0.01, 0.02, 0.005)
PLAIN = {"weight_decay": 0.1, "clip_norm": 0.5, "precision": "float32"}


class Shrinking(nn.Linear):
    """A linear layer that costs something times the squares of its weights."""

    def __init__(self, inputs, outputs, cost):
        super().__init__(inputs, outputs)
        self.cost = cost

    def penalty(self):
        return self.cost * self.weight.square().sum()


class Composition(nn.Module):
    """Logits from the share of each base."""

    def __init__(self, cost=None):
        super().__init__()
        self.inner = nn.Linear(4, 5) if cost is None else Shrinking(4, 5, cost)
        self.head = nn.Linear(5, NUM_CLASSES) if cost is None else Shrinking(5, NUM_CLASSES, 2 * cost)

    def forward(self, tokens, lengths):
        return self.head(self.inner(nn.functional.one_hot(tokens.long(), 4).sum(1) / lengths[:, None]))


def make_records(seed=0):
    rng = np.random.default_rng(seed)
    tokens = torch.from_numpy(rng.integers(0, 4, (NUM_RECORDS, LENGTH), dtype=np.uint8))
    return tokens, torch.full((NUM_RECORDS,), LENGTH), torch.from_numpy(rng.integers(0, NUM_CLASSES, NUM_RECORDS))


def cut(records, *sizes):
    parts = (tensor.split(sizes) for tensor in records)
    return [Batch([Group(tokens, lengths)], targets) for tokens, lengths, targets in zip(*parts, strict=True)]


def make_stepper(cost=None, **changes):
    torch.manual_seed(0)
    return Stepper(Composition(cost), TrainingConfig(**(PLAIN | changes)), "cpu", COUNTS)


def train_by_hand(cost=None, penalise=lambda network: 0.0):
    """The steps of a Stepper on whole batches, written out; returns the network and the losses of the records."""
    torch.manual_seed(0)
    network = Composition(cost)
    config = TrainingConfig(**PLAIN)
    optimizer = make_optimizer(network, config)
    losses = []
    for seed, rate in enumerate(RATES):
        tokens, lengths, targets = make_records(seed)
        logits = network(tokens, lengths)
        loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / NUM_RECORDS
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad()
        (loss + penalise(network)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(loss.detach())
    return network, losses


def train(stepper, *sizes):
    return [stepper.run(cut(make_records(seed), *sizes), NUM_RECORDS, rate) for seed, rate in enumerate(RATES)]


def weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_penalties_of_all_modules_add_up():
    network = nn.Sequential(Shrinking(2, 3, 1.0), nn.Sequential(nn.ReLU(), Shrinking(3, 1, 10.0)))
    inner, outer = network[0].weight.square().sum(), network[1][1].weight.square().sum()
    torch.testing.assert_close(total_penalty(network), inner + 10 * outer)
    (gradient,) = torch.autograd.grad(total_penalty(network), network[1][1].weight)
    torch.testing.assert_close(gradient, 20 * network[1][1].weight)


def test_a_module_in_two_places_is_penalised_once():
    shared = Shrinking(2, 2, 1.0)
    torch.testing.assert_close(total_penalty(nn.Sequential(shared, shared)), shared.weight.square().sum())


def test_without_such_modules_there_is_none():
    assert total_penalty(Composition()) is None


@pytest.mark.parametrize("sizes", [(12,), (5, 4, 3), (1, 10, 1)])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_step_differentiates_the_penalty_once_and_reports_the_loss_of_the_records(sizes, precision):
    """However many batches a step is made of, and whatever the scaler multiplies gradients by."""
    cost = 0.3
    expected, losses = train_by_hand(
        cost, lambda network: cost * (network.inner.weight.square().sum() + 2 * network.head.weight.square().sum())
    )
    stepper = make_stepper(cost, precision=precision)
    assert stepper.scaler.is_enabled() == (precision == "float16")
    tolerance = 1e-5 if precision == "float32" else 2e-3
    found = train(stepper, *sizes)
    torch.testing.assert_close(found, losses, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(weights(stepper.classifier), weights(expected), rtol=tolerance, atol=tolerance)
    unpenalised, _ = train_by_hand(cost)
    assert (weights(stepper.classifier) - weights(unpenalised)).abs().max() > 0.01


def test_without_penalties_steps_are_the_same_to_the_last_bit():
    expected, losses = train_by_hand()
    stepper = make_stepper()
    assert torch.equal(torch.stack(train(stepper, NUM_RECORDS)), torch.stack(losses))
    assert torch.equal(weights(stepper.classifier), weights(expected))


def deviation(network):
    """The largest entry of W W^T - I over all layers."""
    linears = [module.weight.detach() for module in network.modules() if isinstance(module, OrthogonalLinear)]
    return max(float((weight @ weight.mT - torch.eye(weight.shape[-1])).abs().max()) for weight in linears)


@pytest.mark.parametrize("orthogonality", [0.0, 1000.0])
def test_training_with_a_large_penalty_makes_weights_orthogonal(orthogonality):
    torch.manual_seed(0)
    overrides = {"model.encoder.dim": 8, "model.encoder.hidden_dim": 8, "model.encoder.num_heads": 2}
    overrides |= {"model.encoder.feature_layers": 2, "model.encoder.orthogonality": orthogonality}
    overrides |= {"model.max_length": LENGTH, "model.stem": None, "model.embedding.dim": 8}
    overrides |= {"model.pooling": "mean"}
    network = build_classifier(make_config("tfk", overrides=overrides).model, NUM_CLASSES)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, OrthogonalLinear):
                module.weight += torch.randn_like(module.weight) * 0.3
    before = deviation(network)
    stepper = Stepper(network, TrainingConfig(**(PLAIN | {"weight_decay": 0.0})), "cpu", COUNTS)
    tokens, lengths = make_batch([LENGTH] * NUM_RECORDS)
    targets = torch.arange(NUM_RECORDS) % NUM_CLASSES
    for step in range(120):
        loss = stepper.run([Batch([Group(tokens, lengths)], targets)], NUM_RECORDS, 0.02 * 0.96**step)
    assert loss < 3
    assert before > 0.5
    assert (deviation(network) < 0.02) == (orthogonality > 0)
