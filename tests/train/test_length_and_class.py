"""Where length goes with class, the standardised head must still see the class."""

import numpy as np
import pytest
import torch

from genomix.config import TrainingConfig, make_config
from genomix.data import dataset
from genomix.data.dataset import TrainingSet, collate
from genomix.data.store import build_store
from genomix.nn.build import build_classifier
from genomix.nn.pooling import PooledNorm
from genomix.train.fit import Fit

SMALL = {
    "model.max_length": 256,
    "model.embedding.dim": 4,
    "model.stem.base_dim": 8,
    "model.stem.widths": [5],
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
}
RANGES = ((80, 100), (180, 220))
SHARES = ((0.35, 0.15, 0.15, 0.35), (0.2, 0.3, 0.3, 0.2))


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Each class in tensors of its own."""
    monkeypatch.setattr(dataset, "TENSOR_COST", 300)
    rng = np.random.default_rng(0)
    targets = np.arange(64) % 2
    sequences = ["".join(rng.choice(list("ACGT"), size=rng.integers(*RANGES[t]), p=SHARES[t])) for t in targets]
    (tmp_path / "data.fa").write_text("".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    store = build_store([str(tmp_path / "data.fa")], cache_dir=tmp_path / "cache")
    training_set = TrainingSet(
        store=store,
        rows=np.arange(64),
        targets=targets,
        max_length=256,
        batch_records=16,
        batch_bases=10**6,
        reverse_complement=True,
        balanced=False,
        seed=0,
    )
    tokens, lengths = collate([store.tokens(row) for row in range(64)])

    def validate(module):
        with torch.inference_mode():
            return module(tokens, lengths).softmax(1).numpy()

    torch.manual_seed(0)
    return Fit(
        classifier=build_classifier(make_config(overrides=SMALL).model, 2),
        training_set=training_set,
        config=TrainingConfig(max_epochs=25, learning_rate=0.01, batch_records=16),
        device="cpu",
        validate=validate,
        val_targets=targets,
        num_classes=2,
    )


def test_classes_of_different_lengths_are_learnt(fit):
    (batch,) = fit.training_set.plan(1)[0]
    lengths = [group.lengths for group in fit.training_set.load(batch).groups]
    assert [(group.min() >= RANGES[1][0], group.max() < RANGES[0][1]) for group in lengths] == [
        (True, False),
        (False, True),
    ]
    history = fit.run()
    assert history[-1].train_loss < 0.3
    assert max(row.validation["accuracy"] for row in history) > 0.95


def test_the_statistics_a_model_is_judged_with_are_those_of_the_training_records(fit):
    fit.config.max_epochs = 1
    fit.run()
    (norm,) = (part for part in fit.classifier.modules() if isinstance(part, PooledNorm))
    with torch.inference_mode():
        pooled = [
            fit.classifier.pool(*group)
            for step in fit.training_set.plan(1)
            for b in step
            for group in fit.training_set.load(b).groups
        ]
    exact = torch.cat(pooled).double()
    torch.testing.assert_close(norm.running_mean.double(), exact.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_var.double(), exact.var(0), rtol=1e-3, atol=1e-8)
