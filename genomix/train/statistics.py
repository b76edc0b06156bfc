"""What is taken of whole passes: running statistics of pooled features, and how an epoch ranks by its scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.data.dataset import TrainingSet
from genomix.distributed import Ranks
from genomix.metrics import HIGHER_IS_BETTER
from genomix.nn.classifier import Classifier
from genomix.nn.pooling import STATISTICS_RECORDS, PooledNorm
from genomix.train.feed import feed


@torch.no_grad()
def refresh_statistics(module: nn.Module, training_set: TrainingSet, epoch: int, device: str, ranks: Ranks) -> None:
    """Take the running statistics of pooled features anew, with the weights as they are now.

    While the weights move, a running mean lags behind by more than the deviation it is divided by.

    Args:
        module: In evaluation mode afterwards.
        training_set: Whose records are read, as many as suffice, at full length as in prediction.
        epoch: Whose plan is followed.
        device: Where the module is.
        ranks: The processes that share the work.
    """
    module.eval()
    norms = [part for part in module.modules() if isinstance(part, PooledNorm)]
    if not isinstance(module, Classifier) or not norms or len(training_set.rows) < PooledNorm.FEWEST:
        return
    pooled: list[Tensor] = []
    num_records = 0
    for step in training_set.at_full_length().plan(epoch):
        num_records += sum(len(batch) for batch in step)
        shares = [share for batch in step if (share := training_set.share(batch, ranks.rank))]
        for batch in feed(training_set, shares, device):
            pooled += [module.pool(tokens, lengths).cpu() for tokens, lengths in batch.groups]
        if num_records >= STATISTICS_RECORDS:
            break
    everything = torch.cat([part for parts in ranks.gather(pooled) for part in parts])
    for norm in norms:
        norm.take_statistics(everything.to(norm.weight.device))


def rank(scores: dict[str, float], metric: str) -> tuple[float, float]:
    """Return how good an epoch is, to be compared with others: by its metric, then by its log loss."""
    value = scores[metric]
    return (value if HIGHER_IS_BETTER[metric] else -value), -scores["log_loss"]
