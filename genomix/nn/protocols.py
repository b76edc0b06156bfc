"""Who mixes with whom: the two link protocols of Paramixer (Yu et al., CVPR 2022).

Both are circulant: row i of a factor is linked to the rows `i + offset` modulo the length, so that a list of offsets
says all there is to know. N positions, K links, M factors.
"""

from __future__ import annotations

from typing import Literal

Protocol = Literal["chord", "cdil"]
CDIL_REACH = 4


def count_factors(max_length: int) -> int:
    """Return M = ceil(log2 N), the factors it takes until every position depends on every other; at least 1.

    Raises:
        ValueError: If `max_length` is below 1.
    """
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, not {max_length}")
    return max(1, (max_length - 1).bit_length())


def link_offsets(protocol: Protocol, num_factors: int, *, reach: int = CDIL_REACH) -> list[list[int]]:
    """Return the offsets of the links of every factor, M lists of K; the first is 0, the link to oneself.

    Args:
        protocol: `"chord"`: 0, 1, 2, 4, ..., 2^(M-1), the same in every factor, K = M + 1.
            `"cdil"`: factor m links to 0, +1..+reach and -1..-reach times 2^m, K = 2 * reach + 1.
        num_factors: M.
        reach: How many links to each side CDIL has (4 in the published code, hence K = 9).

    Raises:
        ValueError: If the protocol is not one of the two.
    """
    if protocol == "chord":
        return [[0] + [1 << k for k in range(num_factors)] for _ in range(num_factors)]
    if protocol == "cdil":
        steps = list(range(1, reach + 1))
        return [[0] + [s << m for s in steps] + [-(s << m) for s in steps] for m in range(num_factors)]
    raise ValueError(f"unknown protocol {protocol!r}: use 'chord' or 'cdil'")
