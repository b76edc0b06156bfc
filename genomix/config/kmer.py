"""The section of the k-mer baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from genomix.config.section import Section

MOST_K = 10
"""Half a million canonical k-mers; a classifier has a weight of each for every class."""


class KmerConfig(Section):
    """Frequencies of k-mers and a linear model.

    What is open (None, `auto`) is chosen on the validation records, see `genomix.train.kmer`. Whoever states k and the
    regularisation and nothing else gets what these two used to mean, and what older runs are: logistic regression on
    standardised frequencies of canonical k-mers, each with a weight of its own.

    Attributes:
        k: Length of the k-mers in bp.
        inverse_regularisation: C of logistic regression; None for naive Bayes, which has none.
        classifier: Logistic regression, or multinomial naive Bayes.
        strands: `canonical` counts a k-mer and its reverse complement as one; `forward` counts what is read.
        features: Frequencies, or their square roots.
        mismatch: Correlation, before anything is learnt, of the weights of two k-mers that differ in one base; with d
            mismatches it is the d-th power (`genomix.train.kmer.mismatch`). 0 for none; naive Bayes has none.
    """

    kind: Literal["kmer"] = "kmer"
    k: Annotated[int, Field(ge=1, le=MOST_K)] | None = None
    inverse_regularisation: PositiveFloat | None = None
    classifier: Literal["auto", "logistic", "naive-bayes"] = "auto"
    strands: Literal["auto", "canonical", "forward"] = "auto"
    features: Literal["auto", "frequencies", "roots"] = "auto"
    mismatch: Annotated[float, Field(ge=0, lt=1)] | None = None

    @property
    def is_position_bound(self) -> bool:
        """Never: a record of any length has frequencies."""
        return False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to choose."""
        return self == self.settled()

    def settled(self) -> Self:
        """Return the configuration with what is open as it is where nothing can be chosen on: the oldest baseline."""
        chosen = self.model_dump()
        if self.classifier == "auto":
            chosen["classifier"] = "logistic"
        if self.inverse_regularisation is None and chosen["classifier"] == "logistic":
            chosen["inverse_regularisation"] = 1e-4 if self.mismatch else 1.0
        chosen["k"] = self.k or (8 if self.mismatch else 5)
        chosen["strands"] = "canonical" if self.strands == "auto" else self.strands
        usual = "roots" if self.mismatch else "frequencies"
        chosen["features"] = usual if self.features == "auto" else self.features
        chosen["mismatch"] = self.mismatch or 0.0
        return type(self)(**chosen)

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, stated: Any) -> Any:
        if not isinstance(stated, Mapping):
            return stated
        if stated.get("classifier") == "naive-bayes" and stated.get("mismatch") is None:
            return {**stated, "mismatch": 0.0}
        if stated.get("mismatch") or None in (stated.get("k"), stated.get("inverse_regularisation")):
            return stated
        return {"classifier": "logistic", "strands": "canonical", "features": "frequencies", "mismatch": 0.0, **stated}

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.classifier == "naive-bayes":
            if self.inverse_regularisation is not None:
                raise ValueError("inverse_regularisation: naive Bayes has none; leave it out, or set it to null")
            if self.features == "roots":
                raise ValueError("features: naive Bayes is of frequencies; leave it out, or state frequencies")
            if self.mismatch:
                raise ValueError("mismatch: naive Bayes has none; leave it out, or set it to 0")
        return self
