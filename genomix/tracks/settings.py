"""What a track is made with: windows, classes, and how much of a window may be unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace

from genomix.errors import UsageError
from genomix.scoring import TOO_SHORT, AnyScorer, Ensemble, Scorer
from genomix.tracks.grid import Grid

OVERLAP = 4
"""Windows that cover a base where no stride is given."""
MAX_UNKNOWN = 0.5
"""Share of unknown bases above which a window is skipped."""


@dataclass(frozen=True)
class TrackSettings:
    """How tracks are made, with nothing left open.

    Attributes:
        scorer: The model or models, made to read one window at once.
        grid: Where windows begin.
        classes: Those that get a track, as indices into the classes of the scorer.
        max_unknown: Largest share of unknown bases of a window that is scored.
    """

    scorer: AnyScorer
    grid: Grid
    classes: tuple[int, ...]
    max_unknown: float

    @property
    def names(self) -> list[str]:
        """Names of the tracks."""
        return [self.scorer.classes[index] for index in self.classes]

    @property
    def shortest(self) -> int:
        """Length in bp below which a whole sequence is not scored: far shorter than any record trained on."""
        trained = max(member.model.meta.train_lengths.min for member in self.scorer.members)
        return min(self.grid.window, int(-(-TOO_SHORT * trained // 1)))


def choose_settings(
    scorer: AnyScorer,
    *,
    window: int | None = None,
    stride: int | None = None,
    classes: str | None = None,
    max_unknown: float | None = None,
) -> TrackSettings:
    """Decide what is left open.

    Args:
        scorer: The model or models.
        window: In bp; what the model reads at once (the least of several models') where it is None.
        stride: In bp; a quarter of the window where it is None.
        classes: Names of those that get a track, separated by commas; all where it is None.
        max_unknown: Largest share of unknown bases of a window that is scored; half where it is None.

    Raises:
        UsageError: If the model cannot read such windows, the stride leaves gaps, a class is not known, or the share is
            none.
    """
    lengths = [member.model.max_length for member in scorer.members if member.model.max_length is not None]
    if window is None and not lengths:
        raise UsageError("this model reads records of any length; say how wide windows are, such as --window 1000")
    window = min(lengths) if window is None else window
    stride = max(1, window // OVERLAP) if stride is None else stride
    if window < 1 or not 1 <= stride <= window:
        raise UsageError(f"--stride {stride}: must be 1 to {window}, the size of the windows, to leave no base out")
    max_unknown = MAX_UNKNOWN if max_unknown is None else max_unknown
    if not 0 <= max_unknown <= 1:
        raise UsageError(f"--max-unknown {max_unknown}: must be between 0 and 1, such as {MAX_UNKNOWN}")
    members = [_reading(member, window) for member in scorer.members]
    chosen = Ensemble(members, scorer.calibration) if isinstance(scorer, Ensemble) else members[0]
    return TrackSettings(chosen, Grid(window, stride), _indices(scorer.classes, classes), max_unknown)


def _reading(scorer: Scorer, window: int) -> Scorer:
    """Return a scorer that reads a window of this size at once."""
    model = scorer.model
    if model.max_length is None or window <= model.max_length:
        return replace(scorer, long="window", stride=None)
    if model.config.model.is_position_bound:
        raise UsageError(
            f"--window {window}: {model.path} has a place for each of {model.max_length} bases and no more; "
            f"use --window {model.max_length} or less"
        )
    return replace(scorer, long="whole", stride=None)


def _indices(known: list[str], asked: str | None) -> tuple[int, ...]:
    if asked is None:
        return tuple(range(len(known)))
    names = [asked] if asked in known else [name.strip() for name in asked.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--classes {asked}: the model has no class {unknown[0]!r}; it has {', '.join(known)}")
    if len(set(names)) < len(names):
        raise UsageError(f"--classes {asked}: a class is named twice; name each once")
    return tuple(known.index(name) for name in names)
