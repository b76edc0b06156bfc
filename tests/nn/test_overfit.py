"""A network that cannot learn sixteen records by heart learns nothing."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from genomix.config import make_config
from genomix.nn.build import build_classifier


@pytest.mark.parametrize("preset", ["paramixer", "paramixer-cdil"])
def test_default_preset_learns_sixteen_random_records_by_heart(preset):
    torch.manual_seed(0)
    config = make_config(preset, overrides={"model.max_length": 64})
    network = build_classifier(config.model, 2)
    tokens = torch.randint(0, 4, (16, 64))
    lengths = torch.randint(40, 65, (16,))
    targets = torch.arange(16) % 2
    optimizer = torch.optim.AdamW(network.parameters(), config.training.learning_rate)
    for _ in range(200):
        loss = cross_entropy(network(tokens, lengths), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
    with torch.inference_mode():
        assert torch.equal(network.eval()(tokens, lengths).argmax(1), targets)
