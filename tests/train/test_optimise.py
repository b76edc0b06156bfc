"""The shape of the schedule, the steps of each optimiser, and which parameters it decays."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from genomix.config import TrainingConfig, make_config
from genomix.errors import UsageError
from genomix.train.optimise import learning_rate_factor, make_optimizer, set_learning_rate

STEPS = np.linspace(0, 1, 101)
OPTIMIZERS = ("adamw", "radam", "sgd")
RATE, DECAY = 0.03, 0.2


def factors(schedule, warmup):
    return np.array([learning_rate_factor(progress, schedule, warmup) for progress in STEPS])


def test_cosine_rises_to_one_in_the_warm_up_and_falls_to_zero():
    found = factors("cosine", 0.2)
    assert found.argmax() == 20
    assert found.max() == 1
    assert (np.diff(found[:21]) > 0).all()
    assert (np.diff(found[20:]) < 0).all()
    assert found[-1] == pytest.approx(0, abs=1e-12)
    assert found[60] == pytest.approx(0.5)


def test_the_warm_up_is_linear_and_never_stands_still():
    found = factors("cosine", 0.5)
    assert np.diff(found[1:51]) == pytest.approx(0.02)
    assert found[0] > 0


@pytest.mark.parametrize("fraction", [1e-5, 1e-4, 1e-3])
def test_a_warm_up_shorter_than_a_step_begins_no_higher_than_it_ends(fraction):
    assert learning_rate_factor(0.0, "cosine", fraction) <= 1


def test_constant_stays_after_the_warm_up():
    found = factors("constant", 0.2)
    assert (np.diff(found[:21]) > 0).all()
    assert (found[20:] == 1).all()


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_without_warm_up_it_starts_at_one(schedule):
    assert learning_rate_factor(0.0, schedule, 0.0) == 1


def test_time_that_is_over_is_the_end():
    assert learning_rate_factor(1.3, "cosine", 0.1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_matrices_are_decayed_and_vectors_are_not(name):
    classifier = nn.Sequential(nn.Embedding(6, 4), nn.LayerNorm(4), weight_norm(nn.Linear(4, 2)), nn.Linear(2, 1))
    optimizer = make_optimizer(classifier, TrainingConfig(optimizer=name, weight_decay=0.3, learning_rate=0.01))
    for group in optimizer.param_groups:
        group["params"] = [tuple(parameter.shape) for parameter in group["params"]]
    decayed, free = optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0)
    assert decayed["params"] == [(6, 4), (2, 4), (1, 2)]
    assert sorted(free["params"]) == [(1,), (2,), (2, 1), (4,), (4,)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_learning_rate_is_that_of_every_group(name):
    optimizer = make_optimizer(nn.Linear(2, 2), TrainingConfig(optimizer=name))
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


def adam_moments(gradients):
    """Yield the number of each step, the mean of the gradients, and that of their squares, neither started at zero."""
    first = second = 0.0
    for t, gradient in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        yield t, first / (1 - 0.9**t), second / (1 - 0.999**t)


def by_adamw(weight, gradients, decay):
    for _, mean, square in adam_moments(gradients):
        weight = weight * (1 - RATE * decay) - RATE * mean / (square**0.5 + 1e-8)
        yield weight


def by_radam(weight, gradients, decay):
    """Algorithm 2 of Liu et al. (2020), which adapts once the variance of the adaptive rate is tractable: after 5."""
    most = 2 / (1 - 0.999) - 1
    for t, mean, square in adam_moments(gradients):
        weight = weight * (1 - RATE * decay)
        free = most - 2 * t * 0.999**t / (1 - 0.999**t)
        if free > 5:
            rectified = (free - 4) * (free - 2) * most / ((most - 4) * (most - 2) * free)
            weight = weight - RATE * rectified**0.5 * mean / square**0.5
        else:
            weight = weight - RATE * mean
        yield weight


def by_sgd(weight, gradients, decay):
    velocity = 0.0
    for gradient in gradients:
        decayed = gradient + decay * weight
        velocity = 0.9 * velocity + decayed
        weight = weight - RATE * (decayed + 0.9 * velocity)
        yield weight


@pytest.mark.parametrize(("name", "plain"), [("adamw", by_adamw), ("radam", by_radam), ("sgd", by_sgd)])
def test_steps_are_those_of_the_formulas(name, plain):
    """Gradients that are given, of a matrix that is decayed and a vector that is not."""
    module = nn.Linear(3, 2).double()
    optimizer = make_optimizer(module, TrainingConfig(optimizer=name, weight_decay=DECAY, learning_rate=RATE))
    rng = np.random.default_rng(0)
    for parameter, decay in ((module.weight, DECAY), (module.bias, 0.0)):
        gradients = rng.normal(1, 1, (12, *parameter.shape))
        for gradient, expected in zip(
            gradients, plain(parameter.detach().numpy().copy(), gradients, decay), strict=True
        ):
            optimizer.zero_grad()
            parameter.grad = torch.from_numpy(gradient)
            optimizer.step()
            np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6, atol=1e-7)


def test_adamw_is_what_is_taken_if_nothing_is_said():
    assert isinstance(make_optimizer(nn.Linear(2, 2), TrainingConfig()), torch.optim.AdamW)


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"training\.optimizer"):
        make_config(overrides={"training.optimizer": "adam"})
