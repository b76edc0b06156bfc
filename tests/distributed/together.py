"""What the tests run in several processes at once: called as `together.py RANK SIZE MEETING_FILE OUTPUT`."""

import sys

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from genomix.config import TrainingConfig, make_config
from genomix.data.dataset import TrainingSet
from genomix.distributed import Ranks
from genomix.nn.build import build_classifier
from genomix.train.fit import Fit

NUM_RECORDS = 23
MAX_LENGTH = 40
SMALL = {
    "model.max_length": MAX_LENGTH,
    "model.embedding.dim": 8,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "model.stem.base_dim": 4,
}


class Records:
    """Stands for a store: records of 12 to 56 bp, whose classes differ in composition."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shares = ([0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1])
        self.sequences = [rng.choice(4, 12 + 2 * i, p=shares[i % 2]).astype(np.uint8) for i in range(NUM_RECORDS)]
        self.lengths = np.array([len(sequence) for sequence in self.sequences])

    def tokens(self, row, start=0, end=None):
        return self.sequences[row][start:end]


def train(ranks, *, num_shares, batch_bases, batch_records=8, padded_length=None, **changes):
    """Train in float64, so that rounding cannot hide what is wrong; return weights, history and gradients."""
    torch.manual_seed(0)
    records = Records()
    targets = (np.arange(NUM_RECORDS) % 2).astype(np.int64)
    overrides = SMALL | {key: changes.pop(key) for key in list(changes) if "." in key}
    training = TrainingConfig(learning_rate=0.01, max_epochs=2, patience=2, **changes)
    network = build_classifier(make_config(overrides=overrides).model, 2).double()

    def validate(module):
        mine = range(ranks.rank, NUM_RECORDS, ranks.size)
        with torch.no_grad():
            scored = {row: score(module, records.tokens(row)) for row in mine}
        together = {row: value for part in ranks.gather(scored) for row, value in part.items()}
        return np.stack([together[row] for row in range(NUM_RECORDS)])

    fit = Fit(
        classifier=network,
        training_set=TrainingSet(
            store=records,
            rows=np.arange(NUM_RECORDS),
            targets=targets,
            max_length=MAX_LENGTH,
            batch_records=batch_records,
            batch_bases=batch_bases,
            reverse_complement=True,
            balanced=False,
            seed=0,
            num_shares=num_shares,
            padded_length=padded_length,
        ),
        config=training,
        device="cpu",
        validate=validate,
        val_targets=targets,
        num_classes=2,
        ranks=ranks,
    )
    history = fit.run()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    return weights, [(row.epoch, row.step, row.train_loss, row.validation) for row in history]


def score(module: nn.Module, tokens: np.ndarray) -> np.ndarray:
    tokens = torch.from_numpy(tokens[:MAX_LENGTH])[None]
    return module(tokens, torch.tensor([tokens.shape[1]])).softmax(1)[0].numpy()


TRAININGS = {
    "the default network": {},
    "several batches a step": {"batch_bases": 90},
    "fewer records in a step than processes": {"batch_records": 2},
    "fewer records than the norm wants": {"batch_records": 3},
    "an average of the weights": {"ema_decay": 0.8},
    "records filled up to one length": {
        "batch_records": 2,
        "padded_length": MAX_LENGTH,
        "model.padding": "token",
        "model.max_length": MAX_LENGTH,
    },
    "a head without statistics": {"model.head.norm": "layer"},
    "a network that asks something of its weights": {
        "model.encoder.name": "tfk",
        "model.encoder.num_heads": 2,
        "model.encoder.feature_dropout": 0.0,
        "model.encoder.orthogonality": 1.0,
    },
    "weighted classes": {"classes": "weighted", "label_smoothing": 0.1},
}


def main() -> None:
    rank, size, meeting, output = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    ranks = Ranks(rank, size, rank, size, dist.group.WORLD)
    found = {
        "share": ranks.share(f"of {rank}"),
        "gather": ranks.gather(rank),
        "most": ranks.most(rank, -rank),
    }
    tensors = [torch.full((2, 2), rank + 1.0), torch.tensor(float(rank))]
    ranks.add_up(tensors)
    found["add_up"] = tensors
    point = torch.tensor([rank + 1.0], requires_grad=True)
    (ranks.sum_with_gradient(point) ** 2).backward()
    found["gradient"] = point.grad
    for name, changes in TRAININGS.items():
        options = {"batch_bases": 10**6} | changes
        found[name] = train(ranks, num_shares=size, **options)
    torch.save(found, f"{output}.{rank}")
    ranks.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
