"""What every section of a configuration is made of, and what the sections of encoders share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationInfo


def odd(unless: str = "") -> Callable[[int, ValidationInfo], int]:
    """Return a check that a number is odd; where `unless` says what 0 stands for, that is right as well."""

    def check(number: int, info: ValidationInfo) -> int:
        if number % 2 == 0 and (number or not unless):
            raise ValueError(f"{info.field_name} must be odd,{unless} not {number}")
        return number

    return check


def divisors(number: int) -> str:
    """Return the divisors of a number, as in `1, 2 or 4`."""
    *others, last = [str(one) for one in range(1, number + 1) if number % one == 0]
    return f"{', '.join(others)} or {last}" if others else last


Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Odd = Annotated[int, Field(ge=1), AfterValidator(odd())]


class Section(BaseModel):
    """A part of the configuration; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())


class EncoderConfig(Section):
    """What every encoder has.

    Attributes:
        SOURCE: The paper an encoder comes from.
        COST: How the computation of a layer grows with the positions N of a record.
        POSITION_BOUND: Whether its parameters belong to positions, so that records longer than `max_length` do not fit.
    """

    SOURCE: ClassVar[str]
    COST: ClassVar[str]
    POSITION_BOUND: ClassVar[bool] = False

    dim: PositiveInt = 64
    dropout: Fraction = 0.0


class LayeredConfig(EncoderConfig):
    """What encoders made of pre-norm residual layers have: a mixer of positions and a two-layer network."""

    hidden_dim: PositiveInt = 128
    num_layers: PositiveInt = 2
    position: Literal["none", "sinusoidal"] = "sinusoidal"
