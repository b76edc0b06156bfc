"""What a record must have to be scored."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from genomix.data.store import Store


class Scorable(Protocol):
    """A record as the scorer wants it."""

    @property
    def id(self) -> str:
        """First word of the header."""
        ...

    @property
    def tokens(self) -> np.ndarray:
        """Tokens (N,) uint8."""
        ...

    @property
    def problem(self) -> str | None:
        """Why the record cannot be read; None if it can."""
        ...


class StoredRecord:
    """A record of a store, to be scored."""

    problem = None

    def __init__(self, store: Store, row: int) -> None:
        self.id = store.ids[row]
        self.tokens = store.tokens(row)
