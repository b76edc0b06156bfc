"""The sections of a configuration, their keys, defaults and limits.

`None` stands for "decide from the data and the machine"; training fills such values in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from genomix.config.encoders import AnyEncoderConfig, ParamixerConfig
from genomix.config.kmer import KmerConfig
from genomix.config.section import Fraction, Section

SCHEMA_VERSION = 1


class EmbeddingConfig(Section):
    """Tokens to vectors."""

    dim: PositiveInt = 8
    position: Literal["none", "learned", "sinusoidal"] = "none"
    dropout: Fraction = 0.0


class StemConfig(Section):
    """Convolutions before the encoder: the first over bases, the others where `stride` bases are one position.

    Attributes:
        base_dim: Channels of each convolution over bases.
        widths: What the convolutions span, the first in bp, the others in positions.
        beside: What further convolutions over bases span, in bp, that read what the first one reads; none as a rule.
    """

    base_dim: PositiveInt = 32
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (9, 5, 5)
    beside: tuple[PositiveInt, ...] = ()
    stride: PositiveInt = 4

    @field_validator("widths", "beside")
    @classmethod
    def _odd(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width % 2 == 0 for width in widths):
            raise ValueError("widths of convolutions must be odd")
        return widths


class HeadConfig(Section):
    """From the pooled vector to one logit a class."""

    norm: Literal["none", "layer", "batch"] = "batch"
    dropout: Fraction = 0.0


class NetworkConfig(Section):
    """A network: embedding, stem, encoder, pooling, head; and the k-mer classifier that speaks beside it.

    Attributes:
        pooling: None for `regions` where the training records are read whole, and `mean` where they are cropped.
        composition: None for the network alone.
        both_strands: Read each record on both strands, with the same weights, and pool the mean.
    """

    kind: Literal["network"] = "network"
    max_length: PositiveInt | None = None
    padding: Literal["mask", "token"] = "mask"
    embedding: EmbeddingConfig = EmbeddingConfig()
    stem: StemConfig | None = StemConfig()
    encoder: Annotated[AnyEncoderConfig, Field(discriminator="name")] = ParamixerConfig()
    pooling: Literal["mean", "max", "mean-max", "regions", "attention", "cls", "flatten"] | None = None
    head: HeadConfig = HeadConfig()
    composition: KmerConfig | None = KmerConfig()
    both_strands: bool = False

    @property
    def is_position_bound(self) -> bool:
        """Whether the positions, the encoder, the head or the padding have room for `max_length` bases and no more."""
        return (
            self.embedding.position == "learned"
            or self.encoder.POSITION_BOUND
            or self.pooling == "flatten"
            or self.padding == "token"
        )

    @field_validator("encoder", mode="before")
    @classmethod
    def _name_the_default(cls, encoder: Any) -> Any:
        return {"name": "paramixer", **encoder} if isinstance(encoder, Mapping) else encoder


class DataConfig(Section):
    """What the labels are, and how the records are divided.

    Attributes:
        labels: One class a record, or several, or none (`multi`), written `a;b`.
        levels: Names of the levels of hierarchical labels, from the top down; None for plain ones.
        positive: The class that is looked for, where there are two; None where neither is.
        split: What is kept together: as the labels say, nothing, groups, sequences, or clusters of similar records.
        similarity: From which on records belong to the same cluster; 1 for exact copies, and pieces of a record.
        val_fraction, test_fraction: Shares of the records.
        min_per_class: Fewer records of a class are an error.
    """

    labels: Literal["single", "multi"] = "single"
    levels: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    positive: str | None = None
    split: Literal["auto", "given", "random", "group", "sequence", "similarity"] = "auto"
    similarity: Annotated[float, Field(gt=0, le=1)] = 0.9
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test_fraction: Fraction = 0.15
    min_per_class: PositiveInt = 3

    @model_validator(mode="after")
    def _leave_some_to_train_on(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction must sum to less than 1, to leave records to train on")
        return self

    @model_validator(mode="after")
    def _be_of_one_kind(self) -> Self:
        if sum((self.labels == "multi", self.levels is not None, self.positive is not None)) > 1:
            raise ValueError("labels are either several a record (multi-label), or have levels, or a positive class")
        return self


class TrainingConfig(Section):
    """How the weights are found.

    Attributes:
        reverse_complement: Read half of the pieces from the other strand; None for yes, unless k-mers counted on the
            strand that is given tell the classes apart better than k-mers of both.
        mask_fraction: Share of the bases that a network does not see, up to a half, others in each step; None for a
            fifth where up to 10,000 training records are read whole, and none where they are more, or cropped, which
            is other bases anyway.
        mixup: Alpha of Beta(alpha, alpha), of which the share is drawn that a record keeps where the pooled vectors,
            and the losses, of the records that are computed at once are mixed by twos; 0 for records as they are.
        first_length: Crops are so long in the first epoch, in bp, and double at equal shares of the epochs; None for
            `model.max_length` all the time.
        full_length_share: With `first_length`, the share of `max_epochs`, the last ones, in which crops are of
            `model.max_length`; patience counts from there. A training that `budget_s` ends before has none of them.
        ema_decay: What the average of the weights, which is judged and kept, keeps of itself in a step, or (n + 1) /
            (n + 10) in step n while that is less; 0 for the weights as they are.
        optimizer: AdamW; RAdam, AdamW with a warm-up of its own; or SGD with Nesterov's momentum, which wants a higher
            `learning_rate`.
    """

    max_epochs: PositiveInt | None = None
    budget_s: PositiveFloat | None = None
    patience: PositiveInt | None = None
    metric: Literal["f1_macro", "accuracy", "balanced_accuracy", "mcc", "roc_auc", "log_loss"] = "f1_macro"
    validate_every: PositiveInt | None = None
    optimizer: Literal["adamw", "radam", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_fraction: Fraction = 0.1
    clip_norm: PositiveFloat = 1.0
    label_smoothing: Fraction = 0.0
    ema_decay: Fraction = 0.995
    batch_records: PositiveInt | None = None
    batch_bases: PositiveInt | None = None
    classes: Literal["natural", "weighted", "sampled"] = "natural"
    reverse_complement: bool | None = None
    mask_fraction: Annotated[float, Field(ge=0, le=0.5)] | None = None
    mixup: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    first_length: PositiveInt | None = None
    full_length_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    calibrate: bool = True
    baselines: bool = True
    freeze: Literal["none", "features"] = "none"
    freeze_epochs: PositiveInt | None = None

    @property
    def awaited(self) -> str:
        """What patience waits for, in words: a better metric or log loss."""
        return "log_loss" if self.metric == "log_loss" else f"{self.metric} or log loss"

    @model_validator(mode="after")
    def _freeze_something(self) -> Self:
        if self.freeze_epochs is not None and self.freeze == "none":
            raise ValueError("freeze_epochs: needs training.freeze=features, as nothing is frozen now")
        return self


class MaskingConfig(Section):
    """What is hidden in pretraining, for the network to say.

    Attributes:
        fraction: Of the real bases of a window, those that are to be said.
        span: Neighbours that are hidden together, in bp.
        unknown, random: Shares of the spans that are shown as N, and as bases drawn at random; the others are shown as
            they are.
        val_fraction: Share of the records, or of their regions, that is held out.
    """

    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    span: PositiveInt = 3
    unknown: Annotated[float, Field(ge=0, le=1)] = 0.8
    random: Annotated[float, Field(ge=0, le=1)] = 0.1
    val_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.05

    @model_validator(mode="after")
    def _be_shares(self) -> Self:
        if self.unknown + self.random > 1 + 1e-9:
            raise ValueError("unknown and random are shares of the same spans: together they must be 1 at most")
        return self


class PredictionConfig(Section):
    """How records are scored.

    Attributes:
        strands: None for both where the network has learnt from both, and forward otherwise.
    """

    long: Literal["window", "whole", "crop"] = "window"
    stride: PositiveInt | None = None
    strands: Literal["forward", "both"] | None = None
    batch_bases: PositiveInt | None = None


class Config(Section):
    """Everything about a run but its data and its machine.

    `masking` is that of a pretraining, and None for a classifier.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    preset: str = "paramixer"
    model: Annotated[NetworkConfig | KmerConfig, Field(discriminator="kind")] = NetworkConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    prediction: PredictionConfig = PredictionConfig()
    masking: MaskingConfig | None = None
