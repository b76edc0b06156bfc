"""Short crops before long ones: how much of a record is read in which epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Curriculum:
    """Crops that double in length, epoch by epoch, and are whole in the end.

    Attributes:
        first_length: Of the crops of the first epoch, in bp.
        full_share: Share of the epochs, the last ones, in which crops are as long as they may be; over 0, at most 1.
        num_epochs: Of the training.
    """

    first_length: int
    full_share: float
    num_epochs: int

    def length(self, epoch: int, max_length: int) -> int:
        """Return how long the crops of an epoch are, counted from 1, in bp.

        Each of `first_length`, twice that, and so on below `max_length`, lasts an equal share of the epochs before the
        last ones. Where there are fewer such epochs than lengths, some lengths are left out.
        """
        num_short = self.num_epochs - math.ceil(self.full_share * self.num_epochs)
        if epoch > num_short:
            return max_length
        num_lengths = ((max_length - 1) // self.first_length).bit_length()
        doublings = (epoch - 1) * num_lengths // num_short
        return min(self.first_length << doublings, max_length)
