"""Several processes that train one model together, started by torchrun, by srun or by `--devices`."""

from genomix.distributed.environment import find_ranks, joined
from genomix.distributed.ranks import RankLostError, Ranks

__all__ = ["RankLostError", "Ranks", "find_ranks", "joined"]
