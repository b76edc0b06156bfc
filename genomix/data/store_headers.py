"""The headers of a store, decoded one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np


class StoredHeaders(Sequence[str]):
    """Headers, or the ids they begin with, each decoded when it is asked for."""

    def __init__(self, text: np.ndarray, index: np.ndarray, *, only_id: bool) -> None:
        self._text = text
        self._starts = index["header_offset"]
        self._lengths = index["header_length"]
        self._only_id = only_id

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        start = int(self._starts[i])
        header = self._text[start : start + int(self._lengths[i])].tobytes()
        return (header.split(None, 1)[0] if self._only_id else header).decode()
