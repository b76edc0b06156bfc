"""Who explains: a model, a method, and how it is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from genomix.checkpoint import Model
from genomix.data.vocabulary import reverse_complement
from genomix.errors import UsageError
from genomix.explain.gradient import Baseline, gradient, over_one_hot
from genomix.explain.mixing import check_mixing, mixing
from genomix.explain.mutagenesis import mutagenesis
from genomix.explain.reading import Reading
from genomix.explain.saliency import Saliency, mean_of_strands
from genomix.explain.score import Score, find_class, logits, make_score
from genomix.scoring import DEFAULT_BATCH_BASES

Method = Literal["mutagenesis", "gradient", "mixing"]


@dataclass(frozen=True)
class Explainer:
    """A method, and how it is applied.

    Attributes:
        model: What is explained.
        method: `mutagenesis`, `gradient` or `mixing`; see the modules of these names.
        label: The class; None for the one that the model chooses, record by record.
        against: The class it is held against; None for all others.
        strands: `forward`, the strand as given; `both`, the mean of what is found on it and on the other.
        baseline, steps: Of `gradient`, see there.
        device: Where the model is.
        batch_bases: Bases computed at once.

    Raises:
        UsageError: If the model has no such class, or the method is not for such models.
    """

    model: Model
    method: Method
    label: str | None = None
    against: str | None = None
    strands: Literal["forward", "both"] = "forward"
    baseline: Baseline = "shuffled"
    steps: int = 32
    device: str = "cpu"
    batch_bases: int = DEFAULT_BATCH_BASES

    def __post_init__(self) -> None:
        """Check that model, method and classes go together."""
        if self.label is not None:
            make_score(self.model, self.label, self.against)
        elif self.against is not None:
            find_class(self.model.classes, self.against, "--against")
            raise UsageError(f"--against {self.against}: name the class that is explained as well, with --class")
        if self.method == "mixing":
            check_mixing(self.model)
        elif self.method == "gradient":
            over_one_hot(self.model)

    @property
    def num_strands(self) -> int:
        """How many strands are read."""
        return 2 if self.strands == "both" else 1

    @property
    def is_of_network(self) -> bool:
        """Whether only the network is explained, and not the k-mers that speak beside it: they have no gradient."""
        return self.model.composition is not None and self.method != "mutagenesis"

    def explain(self, reading: Reading) -> tuple[Score, float, Saliency]:
        """Return what is explained, its value for this reading (mean over strands), and what was found."""
        strands = [reading.tokens, reverse_complement(reading.tokens)][: self.num_strands]
        found = logits(self.model, strands, self.device, self.batch_bases).mean(0)
        label = self.model.classes[int(found.argmax())] if self.label is None else self.label
        score = make_score(self.model, label, self.against)
        if self.is_of_network:
            found = logits(self.model, strands, self.device, self.batch_bases, alone=True).mean(0)
        within = reading.explained
        forward = self._apply(strands[0], score, within.start, within.stop)
        value = float(found @ score.weights)
        if len(strands) == 1:
            return score, value, forward
        size = len(reading.tokens)
        other = self._apply(strands[1], score, size - within.stop, size - within.start)
        return score, value, mean_of_strands(forward, other.flipped())

    def _apply(self, tokens: np.ndarray, score: Score, start: int, end: int) -> Saliency:
        where: dict[str, Any] = {"device": self.device}
        match self.method:
            case "mutagenesis":
                return mutagenesis(self.model, tokens, score, start, end, batch_bases=self.batch_bases, **where)
            case "gradient":
                ways: dict[str, Any] = {"baseline": self.baseline, "steps": self.steps, "batch_bases": self.batch_bases}
                return gradient(self.model, tokens, score, **ways, **where)
            case _:
                return mixing(self.model, tokens, score, **where)
