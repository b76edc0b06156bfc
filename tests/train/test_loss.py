"""The losses, and what classes weigh in them."""

import numpy as np
import pytest
import torch

from genomix.config import TrainingConfig
from genomix.train.loss import make_loss

WEIGHTED = TrainingConfig(classes="weighted")


def test_a_label_that_all_records_have_is_learnt_too():
    logits = torch.zeros(4, 2, requires_grad=True)
    loss = make_loss(WEIGHTED, np.array([100, 25]), 100)(logits, torch.ones(4, 2))
    loss.backward()
    assert logits.grad[:, 0].tolist() == pytest.approx([-0.25] * 4)  # as where nothing is weighted
    assert logits.grad[:, 1].tolist() == pytest.approx([-0.75] * 4)  # three times as many records lack it


def test_a_label_that_a_quarter_has_weighs_three_times_as_much():
    logits = torch.zeros(2, 1)
    weighted, plain = (make_loss(one, np.array([25]), 100) for one in (WEIGHTED, TrainingConfig()))
    there, not_there = torch.ones(2, 1), torch.zeros(2, 1)
    assert float(weighted(logits, there)) == pytest.approx(3 * float(plain(logits, there)))
    assert float(weighted(logits, not_there)) == pytest.approx(float(plain(logits, not_there)))


def test_classes_of_one_label_weigh_alike_in_all():
    targets = torch.tensor([0] * 9 + [1])
    logits = torch.zeros(10, 2, requires_grad=True)
    make_loss(WEIGHTED, np.array([9, 1]))(logits, targets).backward()
    by_class = [logits.grad[targets == label, label].sum().item() for label in (0, 1)]
    assert by_class[0] == pytest.approx(by_class[1])
