"""What the meta data say of the network, its records and its epochs."""

import numpy as np
import pytest
from torch import nn

from genomix.train.history import Epoch
from genomix.train.meta import end_meta, make_meta


@pytest.fixture
def meta():
    stated = {"classes": ["a", "b"], "inputs": {"labels": "00"}, "command": ["genomix"], "training": {"device": "cpu"}}
    return make_meta(nn.Linear(3, 2), np.array([9, 2, 4, 3]), **stated)


def test_numbers_are_those_of_the_network_and_the_records(meta):
    assert meta.num_parameters == 3 * 2 + 2
    assert (meta.train_lengths.min, meta.train_lengths.median, meta.train_lengths.max) == (2, 3, 9)
    assert meta.kind == "classifier"


@pytest.mark.parametrize(("bests", "found"), [((1, 1, 0, 1, 0), 4), ((1, 0, 0), 1), ((), 0)])
def test_the_best_epoch_is_the_last_that_was_better(meta, bests, found):
    epochs = [Epoch(i, i, 0.5, {}, 1e-3, 1.0, 1.0, best=bool(best)) for i, best in enumerate(bests, 1)]
    end_meta(meta, epochs, 12.345)
    assert meta.training == {"device": "cpu", "seconds": 12.3, "epochs": len(bests), "best_epoch": found}
