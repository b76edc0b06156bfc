"""Running statistics of pooled features, taken anew of whole passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genomix.data.dataset import TrainingSet
from genomix.distributed import Ranks
from genomix.nn.classifier import Classifier
from genomix.nn.pooling import STATISTICS_RECORDS, PooledNorm
from genomix.train.feed import feed


@torch.no_grad()
def refresh_statistics(
    module: nn.Module,
    training_set: TrainingSet,
    epoch: int,
    device: str,
    ranks: Ranks,
    most_records: int = STATISTICS_RECORDS,
) -> None:
    """Take the running statistics of pooled features anew, with the weights as they are now.

    While the weights move, a running mean lags behind by more than the deviation it is divided by.

    Args:
        module: In evaluation mode afterwards.
        training_set: Whose records are read, as many as suffice, as in prediction: at full length, nothing hidden.
        epoch: Says which records are read first.
        device: Where the module is.
        ranks: The processes that share the work.
        most_records: How many suffice, about.
    """
    module.eval()
    norms = [part for part in module.modules() if isinstance(part, PooledNorm)]
    if not isinstance(module, Classifier) or not norms or len(training_set.rows) < PooledNorm.FEWEST:
        return
    pooled: list[Tensor] = []
    num_records = 0
    for step in training_set.as_predicted().plan(epoch):
        num_records += sum(len(batch) for batch in step)
        shares = [share for batch in step if (share := training_set.share(batch, ranks.rank))]
        for batch in feed(training_set, shares, device):
            pooled += [module.pool(tokens, lengths).cpu() for tokens, lengths in batch.groups]
        if num_records >= most_records:
            break
    everything = torch.cat([part for parts in ranks.gather(pooled) for part in parts])
    for norm in norms:
        norm.take_statistics(everything.to(norm.weight.device))
