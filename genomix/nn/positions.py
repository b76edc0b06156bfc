"""Which positions of a batch are real.

B batch, N positions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def real_positions(lengths: Tensor, num_positions: int) -> Tensor:
    """Return the mask (B, N) of `num_positions` positions: True where they lie within the record's length (B,)."""
    return torch.arange(num_positions, device=lengths.device) < lengths[:, None]


def inside_records(values: Tensor, lengths: Tensor) -> Tensor:
    """Return which rows of values (B, N, ...) are real, (B, N, 1)."""
    return real_positions(lengths, values.shape[1]).unsqueeze(2)
