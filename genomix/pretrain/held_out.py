"""How well hidden bases of what was held out are said: by a network, by the neighbours, and by the composition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import nn

from genomix.config import MaskingConfig
from genomix.data.dataset import collate
from genomix.data.store import Store
from genomix.errors import DataError
from genomix.pretrain.context import NOTHING_SAID, ContextModel, Said
from genomix.pretrain.division import Regions
from genomix.pretrain.masking import IGNORED, Masked, hide
from genomix.pretrain.windows import stack_targets

AT_ONCE = 1024
"""Windows that are hidden, put in order of length and said together."""


@dataclass
class HeldOut:
    """Windows of held-out regions, in which the same bases are always hidden.

    All chosen bases are shown as unknown, none as itself or as another: a network that is shown the base half of the
    time knows more than neighbours tell.

    Attributes:
        store: The encoded bases.
        regions: What is held out, cut into windows side by side.
        window: Most bases of a window.
        masking: What is hidden.
        seed: What it depends on.
        batch_bases: Most bases computed at once.
        padded_length: Bases that every window is filled up to, if the network does that.
        check: Called between batches; may raise to stop.
    """

    store: Store
    regions: Regions
    window: int
    masking: MaskingConfig
    seed: int
    batch_bases: int
    padded_length: int | None = None
    check: Callable[[], None] = lambda: None

    @cached_property
    def num_hidden(self) -> int:
        """Bases that are hidden.

        Raises:
            DataError: If there are none.
        """
        count = sum(int((one.targets != IGNORED).sum()) for one in self.windows())
        if not count:
            raise DataError(
                f"{', '.join(self.store.report.files)}: no base of what is held out can be hidden; give longer "
                "records, with fewer unknown bases, or hide more (--set masking.fraction=0.3)"
            )
        return count

    def windows(self) -> Iterator[Masked]:
        """Yield the windows, hidden as the seed and their place say."""
        for row, start, end in zip(*(bounds.tolist() for bounds in self.regions), strict=True):
            for first in range(start, end, self.window):
                tokens = self.store.tokens(row, first, min(end, first + self.window))
                yield hide(tokens, self.masking, np.random.default_rng((self.seed, row, first)))

    @torch.no_grad()
    def say(self, module: nn.Module, device: str) -> Said:
        """Let a network say the hidden bases; it maps tokens (B, N) and lengths (B,) to logits (B, N, 4)."""
        was_training = module.training
        module.eval()
        said = NOTHING_SAID
        for windows in self._turns():
            for batch in self._batches(windows):
                self.check()
                tokens, lengths = collate([one.shown for one in batch])
                logits = module(tokens.to(device), lengths.to(device)).float().cpu().flatten(0, 1)
                targets = stack_targets(batch)
                hidden = targets != IGNORED
                truth, scores = targets[hidden], logits[hidden].double().log_softmax(1)
                nats = -scores.gather(1, truth[:, None]).sum()
                right = int((scores.argmax(1) == truth).sum())
                said = said.plus(Said(len(truth), float(nats), right))
        module.train(was_training)
        return said

    def say_by_neighbours(self, model: ContextModel) -> tuple[Said, Said]:
        """Let the neighbours, and the composition alone, say the hidden bases."""
        by_context = by_composition = NOTHING_SAID
        for windows in self._turns():
            by_context = by_context.plus(model.say(windows))
            by_composition = by_composition.plus(model.say_by_composition(windows))
        return by_context, by_composition

    def _turns(self) -> Iterator[list[Masked]]:
        windows = self.windows()
        while turn := list(islice(windows, AT_ONCE)):
            yield turn

    def _batches(self, windows: Iterable[Masked]) -> Iterator[list[Masked]]:
        batch: list[Masked] = []
        for one in sorted(windows, key=lambda one: -len(one.shown)):
            longest = self.padded_length or len((batch or [one])[0].shown)
            if batch and (len(batch) + 1) * longest > self.batch_bases:
                yield batch
                batch = []
            batch.append(one)
        if batch:
            yield batch
