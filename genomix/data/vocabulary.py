"""The letters of DNA and their tokens."""

from __future__ import annotations

import numpy as np

BASES = "ACGTN"
UNKNOWN = 4
PAD = 5
VOCABULARY_SIZE = 6
INVALID = 255
AMBIGUITY_CODES = "RYSWKMBDHV"

_table = np.full(256, INVALID, dtype=np.uint8)
for _token, _letters in enumerate(("A", "C", "G", "TU", "N" + AMBIGUITY_CODES)):
    for _letter in _letters + _letters.lower():
        _table[ord(_letter)] = _token

ENCODING = _table.tobytes()
"""A `bytes.translate` table from ASCII letters (either case) to tokens; `INVALID` for anything else."""

DECODING = np.frombuffer(b"ACGTN.", dtype=np.uint8)
COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN, PAD], dtype=np.uint8)


def reverse_complement(tokens: np.ndarray) -> np.ndarray:
    """Return the tokens (N,) of the other strand, read in its own direction."""
    return COMPLEMENT[tokens[::-1]]


def decode(tokens: np.ndarray) -> str:
    """Return the letters of tokens (N,); U and ambiguity codes come back as T and N."""
    return DECODING[tokens].tobytes().decode("ascii")
