"""Where a network's first weights come from, if not from chance: embedding, stem and encoder of another run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from torch import nn

from genomix.checkpoint import (
    CONFIG,
    META,
    WEIGHTS,
    find_members,
    has_more_to_do,
    is_of_features,
    load_features,
    load_meta,
)
from genomix.config import Config, KmerConfig, make_config
from genomix.errors import DataError, NoInputError, UsageError
from genomix.files import hash_file


class InitFrom(BaseModel):
    """What the first weights are.

    Attributes:
        path: The run directory.
        sha256: Of its weights.
        kind: Whether it is pretrained, or a classifier.
        num_tensors, num_parameters: Taken from there: tensors, and numbers in them.
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    sha256: str
    kind: str
    num_tensors: int
    num_parameters: int

    def located(self) -> InitFrom:
        """Return the same with a path that holds from anywhere."""
        return self.model_copy(update={"path": str(Path.cwd() / self.path)})

    def describe(self) -> str:
        """Return where the weights come from as a sentence."""
        return (
            f"starting from {self.path} ({self.kind}): {self.num_parameters:,} parameters in {self.num_tensors} "
            f"tensors of embedding, stem and encoder, sha256 {self.sha256}; pooling, head and k-mers begin anew"
        )


class Source(NamedTuple):
    """A run to start from, its configuration, and the shape of each tensor that is taken, by name."""

    init_from: InitFrom
    config: Config
    shapes: dict[str, list[int]]


def read_source(path: str) -> Source:
    """Look at the run that a training is to start from.

    Raises:
        NoInputError, DataError: If it is missing or damaged.
        UsageError: If it is no network that one could start from.
    """
    import safetensors

    folder = Path(path)
    if members := find_members(folder):
        raise UsageError(
            f"--init-from {path}: holds {len(members)} models, each with weights of its own; choose one of them, such "
            f"as {members[0]}"
        )
    if has_more_to_do(folder):
        raise UsageError(f"--init-from {path}: this training has not ended; go on with it (--resume {path}) first")
    missing = [name for name in (CONFIG, WEIGHTS, META) if not (folder / name).is_file()]
    if missing:
        raise NoInputError(f"--init-from {path}: not a run directory or model: {', '.join(missing)} missing")
    config, meta = make_config(path=folder / CONFIG), load_meta(folder)
    if isinstance(config.model, KmerConfig):
        raise UsageError(f"--init-from {path}: is a k-mer model, which has no layers to start from; choose a network")
    try:
        with safetensors.safe_open(folder / WEIGHTS, "pt") as file:
            names = [name for name in file.keys() if is_of_features(name)]  # noqa: SIM118 (not a mapping)
            shapes = {name: file.get_slice(name).get_shape() for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise DataError(f"{folder / WEIGHTS}: damaged or not a safetensors file ({error}); copy it again") from error
    counts = {"num_tensors": len(shapes), "num_parameters": sum(math.prod(shape) for shape in shapes.values())}
    return Source(InitFrom(path=path, sha256=hash_file(folder / WEIGHTS), kind=meta.kind, **counts), config, shapes)


def check_freezing(config: Config, init_from: InitFrom | None) -> None:
    """Check that what is to be frozen has learnt something.

    Raises:
        UsageError: If it has not.
    """
    if config.training.freeze != "none" and init_from is None:
        raise UsageError(
            f"training.freeze: {config.training.freeze} would keep random weights as they are; name a run to start "
            "from (--init-from), or leave it out"
        )


def start_from(network: nn.Module, init_from: InitFrom) -> None:
    """Give a network the weights that it is to start from.

    Raises:
        NoInputError: If the run is gone.
        DataError: If its weights are not those any more that the training was begun with, or do not fit.
    """
    path = Path(init_from.path) / WEIGHTS
    if not path.is_file():
        raise NoInputError(f"{path}: is gone, and this training has no checkpoint yet; bring it back, or train anew")
    if hash_file(path) != init_from.sha256:
        raise DataError(f"{path}: not the weights any more that this training was begun with; restore them")
    load_features(network, path)
