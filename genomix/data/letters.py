"""The letters of one record, encoded and counted as they come in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genomix.data.vocabulary import ENCODING, INVALID, UNKNOWN

BLANKS = b"\n\r\t "
GAPS = "-.*~"
PROTEIN_LETTERS = b"EFILPQefilpq"
PROTEIN_FRACTION = 0.1
SHORT = 1 << 12

_SLIPS = 2
_PLAIN = b"ACGT\n\r"
_LOWER = bytes(range(ord("a"), ord("z") + 1))
_MARK = bytes([INVALID])
_MASKING = bytes(UNKNOWN if token == INVALID else token for token in range(256))
_PLACING = bytes(0 if letter in BLANKS else token for letter, token in enumerate(ENCODING))


def count_byte(data: bytes, byte: str) -> int:
    """Return how often a byte occurs; of long data by numpy, which is seven times as fast where it does often."""
    if len(data) < SHORT:
        return data.count(ord(byte))
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(byte)))


@dataclass(slots=True)
class Letters:
    """The sequence of one record.

    Attributes:
        encoded: One token a byte; letters that are no nucleotide codes stand as `UNKNOWN`.
        num_masked: Lower-case letters.
        num_uracil: U and u, read as T.
        num_ambiguous: IUPAC codes of more than one base other than N, read as N.
        num_invalid: Letters that are no nucleotide codes.
        num_protein: Letters that only amino acids have, counted where invalid ones are.
        invalid_letter: The first of the invalid ones, "" where there is none.
        invalid_line: Its line in the file, from 1.
    """

    encoded: bytes | bytearray = b""
    num_masked: int = 0
    num_uracil: int = 0
    num_ambiguous: int = 0
    num_invalid: int = 0
    num_protein: int = 0
    invalid_letter: str = ""
    invalid_line: int = 0

    def add(self, raw: bytes, line: int) -> None:
        """Append the bytes of a file, blanks and line breaks included, that begin on this line."""
        encoded = raw.translate(ENCODING, BLANKS)
        num_invalid = 0
        if _MARK in encoded:
            num_invalid = encoded.count(INVALID)
            self._note_invalid(raw, line)
            self.num_invalid += num_invalid
            encoded = encoded.translate(_MASKING)
        if special := raw.translate(None, _PLAIN):
            self.num_masked += len(special) - len(special.translate(None, _LOWER))
            self.num_uracil += count_byte(special, "U") + count_byte(special, "u")
            num_n = count_byte(special, "N") + count_byte(special, "n")
            self.num_ambiguous += count_byte(encoded, chr(UNKNOWN)) - num_n - num_invalid
        if not self.encoded:
            self.encoded = encoded
            return
        if isinstance(self.encoded, bytes):
            self.encoded = bytearray(self.encoded)
        self.encoded += encoded

    def tokens(self) -> np.ndarray:
        """Return the tokens (N,) uint8, without a copy."""
        return np.frombuffer(self.encoded, np.uint8)

    def looks_like_protein(self) -> bool:
        """Whether so many letters occur in proteins only that this is no slip of the pen."""
        return self.num_protein > max(_SLIPS, PROTEIN_FRACTION * len(self.encoded))

    def _note_invalid(self, raw: bytes, line: int) -> None:
        if not self.invalid_letter:
            place = raw.translate(_PLACING).index(INVALID)
            letter = raw[place]
            self.invalid_letter = chr(letter) if letter < 128 else f"\\x{letter:02x}"
            self.invalid_line = line + raw.count(b"\n", 0, place)
        self.num_protein += len(raw) - len(raw.translate(None, PROTEIN_LETTERS))
