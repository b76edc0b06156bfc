"""The shape of the schedule, and which parameters the optimiser decays."""

import numpy as np
import pytest
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from genomix.config import TrainingConfig
from genomix.train.optimise import learning_rate_factor, make_optimizer, set_learning_rate

STEPS = np.linspace(0, 1, 101)


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


def test_constant_stays_after_the_warm_up():
    found = factors("constant", 0.2)
    assert (np.diff(found[:21]) > 0).all()
    assert (found[20:] == 1).all()


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_without_warm_up_it_starts_at_one(schedule):
    assert learning_rate_factor(0.0, schedule, 0.0) == 1


def test_time_that_is_over_is_the_end():
    assert learning_rate_factor(1.3, "cosine", 0.1) == pytest.approx(0, abs=1e-12)


def test_matrices_are_decayed_and_vectors_are_not():
    classifier = nn.Sequential(nn.Embedding(6, 4), nn.LayerNorm(4), weight_norm(nn.Linear(4, 2)), nn.Linear(2, 1))
    optimizer = make_optimizer(classifier, TrainingConfig(weight_decay=0.3, learning_rate=0.01))
    for group in optimizer.param_groups:
        group["params"] = [tuple(parameter.shape) for parameter in group["params"]]
    decayed, free = optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0)
    assert decayed["params"] == [(6, 4), (2, 4), (1, 2)]
    assert sorted(free["params"]) == [(1,), (2,), (2, 1), (4,), (4,)]


def test_the_learning_rate_is_that_of_every_group():
    optimizer = make_optimizer(nn.Linear(2, 2), TrainingConfig())
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
