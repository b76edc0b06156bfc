"""Opening an input, compressed or not: what it is is seen from its first bytes, never from its name."""

from __future__ import annotations

import bz2
import io
import lzma
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zstandard
from isal import igzip, isal_zlib

from genomix.errors import DataError, NoInputError

STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BUFFER_SIZE = 1 << 18
COMPRESSED_BLOCK = 1 << 14

_LARGEST_ZSTD_WINDOW = 1 << 31
_MAGIC_BYTES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\3\4": "zip",
}
_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=_LARGEST_ZSTD_WINDOW).decompressobj(),
}


def display_name(path: str) -> str:
    """Return what an input is called in messages."""
    return "stdin" if path == STDIN else path


@contextmanager
def open_input(path: str, *, name: str | None = None) -> Generator[io.BufferedReader]:
    """Open a file, or the standard input as `-`, and decompress it while it is read.

    Args:
        path: A file, possibly gzip (bgzip too), bzip2, xz or zstd, of one or many parts; or `-`.
        name: What messages call it, if not by its path.

    Yields:
        A buffered stream of the decompressed bytes without a byte order mark, whose `peek` shows all its buffer holds.

    Raises:
        NoInputError: It does not exist or cannot be read.
        DataError: While reading: the compressed stream is cut short or damaged.
    """
    name = name or display_name(path)
    if path == STDIN:
        yield _text_of(sys.stdin.buffer, name)
        return
    try:
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - opened apart from the body, whose errors are not ours
    except FileNotFoundError:
        raise NoInputError(f"{name}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise NoInputError(f"{name}: is a directory; give the files in it") from None
    except OSError as error:
        raise NoInputError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None
    with file:
        yield _text_of(file, name)


def _text_of(raw: Any, name: str) -> io.BufferedReader:
    stream = _decompressed(raw, name)
    if stream.peek(len(BYTE_ORDER_MARK)).startswith(BYTE_ORDER_MARK):
        stream.read(len(BYTE_ORDER_MARK))
    return stream


def _decompressed(raw: Any, name: str) -> io.BufferedReader:
    stream: io.BufferedReader = io.BufferedReader(_CheckedReader(raw, name, kind=None), BUFFER_SIZE)
    start = stream.peek(8)
    kind = next((kind for magic, kind in _MAGIC_BYTES.items() if start.startswith(magic)), None)
    if kind is None:
        return stream
    if kind == "zip":
        raise DataError(f"{name}: is a zip archive; unpack it, or compress the file with gzip, bzip2, xz or zstd")
    inner = igzip.IGzipFile(fileobj=stream, mode="rb") if kind == "gzip" else _PartsReader(stream, _DECOMPRESSORS[kind])
    return io.BufferedReader(_CheckedReader(inner, name, kind), BUFFER_SIZE)


class _CheckedReader(io.RawIOBase):
    """Fills the whole buffer at each read, and says in the user's words what is wrong with the stream."""

    def __init__(self, inner: Any, name: str, kind: str | None) -> None:
        super().__init__()
        self._inner = inner
        self._name = name
        self._kind = kind

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        filled = 0
        try:
            while filled < len(view) and (count := self._inner.readinto(view[filled:])):
                filled += count
        except EOFError:
            raise DataError(self._complaint("ends too early, so the file is cut short")) from None
        except (_ISAL_ERROR, lzma.LZMAError, zstandard.ZstdError) as error:
            raise DataError(self._complaint(f"is damaged ({error})")) from None
        except OSError as error:
            if error.errno is None:  # bz2 and gzip speak of bad data so
                raise DataError(self._complaint(f"is damaged ({error})")) from None
            raise NoInputError(f"{self._name}: cannot be read ({error.strerror})") from None
        return filled

    def _complaint(self, finding: str) -> str:
        return f"{self._name}: the {self._kind} stream {finding}; copy, download or compress it again"


class _PartsReader(io.RawIOBase):
    """Decompresses the parts of a bzip2, xz or zstd file one after another.

    The standard readers take whatever follows the first part and is not a part for the end of the file, and the one of
    zstandard takes a cut file for a whole one; both would lose records without a word.
    """

    def __init__(self, compressed: io.BufferedReader, new_decompressor: Callable[[], Any]) -> None:
        super().__init__()
        self._compressed = compressed
        self._new_decompressor = new_decompressor
        self._part: Any | None = None
        self._waiting = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready:
            data = self._waiting or self._compressed.read(COMPRESSED_BLOCK)
            self._waiting = b""
            part = self._part
            if part is None:
                if not data:
                    return 0
                data = data.lstrip(b"\0")  # xz may pad between its parts
                if not data:
                    continue
                part = self._part = self._new_decompressor()
            elif not data:
                raise EOFError
            self._ready = memoryview(part.decompress(data))
            if part.eof:
                self._waiting = part.unused_data
                self._part = None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
