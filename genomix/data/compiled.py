"""How the loops over sketches are compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that runs without the interpreter's lock, and keep the machine code where there is a place."""
    try:
        dispatcher = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither beside this file nor at home is there a place to keep the machine code
        return numba.njit(nogil=True)(function)
    # numba looks at the file of the function alone; what it calls may lie in another one of them
    dispatcher._cache._cache_file._source_stamp = _stamp_sources()  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]
    return dispatcher


def _stamp_sources() -> tuple[tuple[str, float, int], ...]:
    states = ((path.name, path.stat()) for path in sorted(Path(__file__).parent.glob("*_kernels.py")))
    return tuple((name, state.st_mtime, state.st_size) for name, state in states)
