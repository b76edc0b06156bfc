"""BigBird: softmax attention to neighbouring, first, last and random blocks (Zaheer et al. 2020, section 2).

B batch, N positions, D embedding, H heads, P head dimension D / H, A blocks of C positions, R random blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from genomix.nn.encoders.attention import Heads, Projections, attend
from genomix.nn.encoders.blocks import cut, fill_up, join, with_neighbours
from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import real_positions


class BlockAttention(nn.Module):
    """Softmax attention of each block to the first and last of its record, to itself, its neighbours and R random ones.

    The first and the last block of a record, which is the one with its last position, attend to all of it. No key
    counts twice: the random blocks are others than the rest, as far as the record has others.

    Args:
        dim: D.
        num_heads: H, a divisor of D; each has random blocks of its own.
        block: C.
        num_random: R.
        max_length: Positions for which random numbers are drawn; those of longer records use them again.
    """

    draws: Tensor

    def __init__(self, dim: int, num_heads: int, *, block: int, num_random: int, max_length: int) -> None:
        super().__init__()
        self.projections = Projections(dim, num_heads)
        self.block = block
        self.register_buffer("draws", torch.randint(1 << 62, (-(-max_length // block), num_heads, num_random)))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        num_positions = hidden.shape[1]
        size = min(self.block, num_positions)  # a longer one lets every position see every other, as this one does
        hidden = fill_up(hidden, size)
        heads, real = self.projections.split(hidden), real_positions(lengths, hidden.shape[1])
        blocks = Heads(*(cut(part, size) for part in heads))
        places = torch.arange(blocks.queries.shape[1], device=lengths.device)
        last = (lengths - 1) // size
        ends = torch.cat([blocks.queries[:, 0], take(blocks.queries, last)], 2)
        of_first, of_last = attend(ends, heads.keys, heads.values, real[:, None, None]).unsqueeze(1).chunk(2, 3)
        attended = attend_blocks(blocks, lengths, self.draws[places % len(self.draws)])
        attended = torch.where((places == last[:, None])[..., None, None, None], of_last, attended)
        attended = torch.cat([of_first, attended[:, 1:]], 1)
        return self.projections.merge(join(attended))[:, :num_positions]


def attend_blocks(blocks: Heads, lengths: Tensor, draws: Tensor) -> Tensor:
    """Attend as all blocks of a record do but its first and its last, for which this gives anything finite.

    Args:
        blocks: (B, A, H, C, P) each.
        lengths: (B,).
        draws: See `choose_blocks`.

    Returns:
        (B, A, H, C, P).
    """
    num_blocks, _, size = blocks.queries.shape[1:4]
    last = (lengths - 1) // size
    chosen, exists = choose_blocks(draws, last)
    around = torch.arange(num_blocks, device=last.device)[:, None] + torch.arange(-1, 2, device=last.device)
    inner = (around > 0) & (around < last[:, None, None])
    seen = torch.cat([inner, torch.ones_like(inner[..., :1]), exists], 2).repeat_interleave(size, 2)
    final = real_positions(lengths - last * size, size)[:, None].expand(-1, num_blocks, -1)
    allowed = torch.cat([seen, final], 2)[:, :, None, None]
    keys, values = (seen_blocks(part, last, chosen) for part in blocks[1:])
    return attend(*(part.flatten(0, 1) for part in (blocks.queries, keys, values, allowed))).unflatten(
        0, blocks.queries.shape[:2]
    )


def choose_blocks(draws: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the random blocks among those that a block does not see anyway, none twice.

    Each draw, modulo the number of blocks that are left, counts them from the record's start.

    Args:
        draws: Large random numbers (A, H, R).
        last: The last block of each record, (B,).

    Returns:
        The blocks (B, A, H, R), and which of them there are, (B, A, R); of the first and the last block of a record,
        and behind it, any blocks.
    """
    num_blocks, _, num_random = draws.shape
    place = torch.arange(num_blocks, device=last.device)
    low = (place - 2).clamp(min=0)
    left = low + (last[:, None] - place - 2).clamp(min=0)
    counted = draws.new_empty(0, *left.shape, draws.shape[1])
    for number, draw in enumerate(draws.unbind(2)):
        count = draw % (left - number).clamp(min=1).unsqueeze(2)
        for other in counted.sort(0).values:
            count = count + (count >= other)
        counted = torch.cat([counted, count[None]])
    counted = counted.movedim(0, 3)
    low, place = (part[:, None, None] for part in (low, place))
    blocks = torch.where(counted < low, 1 + counted, place + 2 + counted - low).clamp(0, num_blocks - 1)
    return blocks, torch.arange(num_random, device=last.device) < left.unsqueeze(2)


def seen_blocks(blocks: Tensor, last: Tensor, chosen: Tensor) -> Tensor:
    """Put together what each block sees: those around it, the first, the chosen ones and the last.

    Args:
        blocks: (B, A, H, C, P).
        last: (B,).
        chosen: (B, A, H, R).

    Returns:
        (B, A, H, (5 + R) C, P).
    """
    num_records, num_blocks, num_heads, size, _ = blocks.shape
    records, heads = (torch.arange(number, device=last.device) for number in (num_records, num_heads))
    rows = (records[:, None, None, None] * num_blocks + chosen) * num_heads + heads[:, None]
    random = embedding(rows, blocks.flatten(0, 2).flatten(1)).unflatten(4, (size, -1)).flatten(3, 4)
    first, final = (part.unsqueeze(1).expand_as(blocks) for part in (blocks[:, 0], take(blocks, last)))
    return with_neighbours(pad(blocks, (0, 0) * 3 + (1, 1)), first, random, final)


def take(blocks: Tensor, index: Tensor) -> Tensor:
    """Return one block of each record: (B, H, C, P) of (B, A, H, C, P), by the index (B,)."""
    return blocks[torch.arange(len(index), device=index.device), index]


class BigBird(Stack):
    """A stack of pre-norm layers of block attention; for arguments see `Stack` and `BlockAttention`."""

    MIXER = BlockAttention
