"""Why a training ended is said in a sentence."""

import pytest

from genomix.config import TrainingConfig
from genomix.train.history import Epoch, describe_end


@pytest.mark.parametrize(
    ("epoch", "seconds", "limits", "said"),
    [
        (2, 4.2, {"budget_s": 4}, "training ended: the time is up (4 s), in epoch 2 of 9"),
        (9, 4.2, {}, "training ended: all 9 epochs are done"),
        (9, 3.0, {"budget_s": 4}, "training ended: all 9 epochs are done"),
        (5, 3.0, {"patience": 3}, "training ended: no better f1_macro or log loss for 3 epochs, in epoch 5 of 9"),
        (
            5,
            3.0,
            {"patience": 3, "metric": "log_loss"},
            "training ended: no better log_loss for 3 epochs, in epoch 5 of 9",
        ),
    ],
)
def test_end(epoch, seconds, limits, said):
    last = Epoch(epoch, 1, 0.5, {}, 1e-3, 1.0, seconds, best=False)
    assert describe_end(last, TrainingConfig(max_epochs=9, **limits)) == said
