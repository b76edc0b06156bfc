"""The encoders with heads of attention: their values and limits, where each comes from and what it costs.

The class of `genomix.nn.encoders` that is built from a section explains each value.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from genomix.config.section import Count, Fraction, LayeredConfig, Odd, divisors, odd


class AttentionConfig(LayeredConfig):
    """What encoders with heads of attention have."""

    num_heads: PositiveInt = 4

    @model_validator(mode="after")
    def _share_out(self) -> Self:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads: {self.num_heads} does not divide dim ({self.dim}); use {divisors(self.dim)}")
        return self


class TransformerConfig(AttentionConfig):
    """Softmax attention, every position to every other."""

    SOURCE = "Vaswani et al. 2017 (NeurIPS)"
    COST = "N^2"

    name: Literal["transformer"] = "transformer"


class SparseTransformerConfig(AttentionConfig):
    """Softmax attention on a strided or fixed pattern.

    `stride` counts positions behind the stem, not bp.
    """

    SOURCE = "Child, Gray, Radford, Sutskever 2019 (arXiv 1904.10509)"
    COST = "N (s + N / s), stride s"

    name: Literal["sparse-transformer"] = "sparse-transformer"
    pattern: Literal["strided", "fixed"] = "strided"
    stride: PositiveInt = 128
    num_summaries: PositiveInt = 32

    @model_validator(mode="after")
    def _summarise_less_than_all(self) -> Self:
        if self.num_summaries > self.stride:
            raise ValueError(f"num_summaries: {self.num_summaries} exceeds stride ({self.stride}); use at most that")
        return self


class LongformerConfig(AttentionConfig):
    """Softmax attention in a sliding window, and a few global positions.

    `window` counts positions behind the stem, not bp.
    """

    SOURCE = "Beltagy, Peters, Cohan 2020 (arXiv 2004.05150)"
    COST = "N w, window w"

    name: Literal["longformer"] = "longformer"
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 512
    num_global: Count = 1


class BigBirdConfig(AttentionConfig):
    """Softmax attention to neighbouring, first, last and random blocks.

    `block` counts positions behind the stem, not bp.
    """

    SOURCE = "Zaheer et al. 2020 (NeurIPS)"
    COST = "N b, block b"

    name: Literal["bigbird"] = "bigbird"
    block: PositiveInt = 64
    num_random: Count = 3


class LinformerConfig(AttentionConfig):
    """Softmax attention to keys and values projected along the sequence."""

    SOURCE = "Wang, Li, Khabsa, Fang, Ma 2020 (arXiv 2006.04768)"
    COST = "N k, projected length k"
    POSITION_BOUND = True

    name: Literal["linformer"] = "linformer"
    projected_length: PositiveInt = 256


class ReformerConfig(AttentionConfig):
    """Softmax attention among positions whose keys hash alike.

    `chunk` counts positions behind the stem, not bp.
    """

    SOURCE = "Kitaev, Kaiser, Levskaya 2020 (ICLR)"
    COST = "N c, chunk c, and N^2 / c to hash"

    name: Literal["reformer"] = "reformer"
    chunk: PositiveInt = 64
    num_hashes: PositiveInt = 2


class PerformerConfig(AttentionConfig):
    """Softmax attention approximated by positive orthogonal random features."""

    SOURCE = "Choromanski et al. 2021 (ICLR)"
    COST = "N m, features m"

    name: Literal["performer"] = "performer"
    num_features: PositiveInt = 64


class LinearTransformerConfig(AttentionConfig):
    """Linear attention with the feature map elu + 1."""

    SOURCE = "Katharopoulos, Vyas, Pappas, Fleuret 2020 (ICML)"
    COST = "N"

    name: Literal["linear-transformer"] = "linear-transformer"


class RfaConfig(AttentionConfig):
    """Softmax attention approximated by random Fourier features of a Gaussian kernel."""

    SOURCE = "Peng et al. 2021 (ICLR)"
    COST = "N m, features m"

    name: Literal["rfa"] = "rfa"
    num_features: PositiveInt = 64


class NystromformerConfig(AttentionConfig):
    """Softmax attention approximated from landmarks."""

    SOURCE = "Xiong et al. 2021 (AAAI)"
    COST = "N m, landmarks m"

    name: Literal["nystromformer"] = "nystromformer"
    num_landmarks: PositiveInt = 64
    num_iterations: Annotated[int, Field(ge=1, le=12)] = 6
    width: Annotated[int, Field(ge=0), AfterValidator(odd(" or 0 for no convolution,"))] = 33


class TransformerLsConfig(AttentionConfig):
    """Softmax attention to a window and to a few learned summaries of the record.

    `window` counts positions behind the stem, not bp.
    """

    SOURCE = "Zhu et al. 2021 (NeurIPS)"
    COST = "N (w + r), window w, rank r"

    name: Literal["transformer-ls"] = "transformer-ls"
    window: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    rank: PositiveInt = 32


class TfkConfig(AttentionConfig):
    """Linear attention whose feature map is a trainable feedforward kernel."""

    SOURCE = "Yorsh, Kovalenko 2022 (ICANN, arXiv 2211.04076)"
    COST = "N"

    name: Literal["tfk"] = "tfk"
    feature_map: Literal["ffn", "linear", "oglu", "a-oglu", "elu", "relu", "hedgehog"] = "oglu"
    feature_layers: Annotated[int, Field(ge=1, le=4)] = 1
    feature_dropout: Fraction = 0.1
    orthogonality: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="after")
    def _stack_what_has_layers(self) -> Self:
        if self.feature_map == "elu" and self.feature_layers > 1:
            raise ValueError(f"feature_layers: {self.feature_layers}, but feature_map elu has no layers; use 1")
        return self


class MemoryCompressedConfig(AttentionConfig):
    """Softmax attention to keys and values shortened by a strided convolution."""

    SOURCE = "Liu et al. 2018 (ICLR)"
    COST = "N^2 / c, compression c"

    name: Literal["memory-compressed"] = "memory-compressed"
    compression: PositiveInt = 3


class InducedConfig(AttentionConfig):
    """Softmax attention through a few learned inducing points."""

    SOURCE = "Lee et al. 2019 (ICML)"
    COST = "N m, inducing points m"

    name: Literal["induced"] = "induced"
    num_inducing: PositiveInt = 32


class ConvTransformerConfig(AttentionConfig):
    """Strided convolutions, softmax attention over the shorter sequence, and back to the full length."""

    SOURCE = "Avsec et al. 2021 (Nature Methods), in small"
    COST = "N^2 / 4^c, convolutions c"

    name: Literal["conv-transformer"] = "conv-transformer"
    num_convolutions: Annotated[int, Field(ge=1, le=16)] = 3
    width: Annotated[Odd, Field(ge=3)] = 5
