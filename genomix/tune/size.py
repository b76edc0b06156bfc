"""How large the networks of a search space are."""

from __future__ import annotations

from typing import NamedTuple

from genomix.config import Config, NetworkConfig
from genomix.errors import UsageError
from genomix.nn.build import build_classifier
from genomix.train.plan import LONGEST_CROP
from genomix.tune.searched import Space, corners
from genomix.tune.values import with_values

NUM_CLASSES = 2


class Sizes(NamedTuple):
    """Parameters of the smallest network, of the largest, and of the one that trials start from."""

    least: int
    most: int
    own: int


def count_parameters(config: Config, space: Space) -> Sizes:
    """Count the parameters where all ranges are at their low ends, at their high ends, and as the configuration has it.

    Raises:
        UsageError: If the configuration itself cannot be built.
    """
    own = _count(config)
    counts = [own]
    for values in corners(space):
        try:
            counts.append(_count(with_values(config, values)))
        except UsageError:  # values of the user's own may not all go together
            continue
    return Sizes(min(counts), max(counts), own)


def _count(config: Config) -> int:
    model = config.model.model_copy(deep=True)
    if isinstance(model, NetworkConfig) and model.max_length is None:
        model.max_length = LONGEST_CROP
    return sum(parameter.numel() for parameter in build_classifier(model, NUM_CLASSES).parameters())
