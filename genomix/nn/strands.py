"""The other strand of a batch, for networks that read both.

B batch, N positions, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

COMPLEMENT = (3, 2, 1, 0, 4, 5)
"""Token of the paired base, by token: A C G T, unknown, padding."""


def other_strand(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Return the reverse complement of records, of which lengths (B,) positions are real; what is behind them stays.

    Args:
        inputs: Tokens (B, N), integers; or one-hot vectors of them (B, N, V), through which gradients pass.
        lengths: Of the records.
    """
    place = lengths[:, None] - 1 - torch.arange(inputs.shape[1], device=inputs.device)
    real, place = place >= 0, place.clamp(min=0)
    complement = torch.tensor(COMPLEMENT, device=inputs.device)
    if inputs.dim() == 2:
        turned = complement[inputs.long().gather(1, place)].to(inputs.dtype)
        return torch.where(real, turned, inputs)
    turned = inputs.gather(1, place[..., None].expand_as(inputs))[..., complement]
    return torch.where(real[..., None], turned, inputs)
