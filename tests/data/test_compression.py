"""An input is opened by what it is; what is damaged is said to be so."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading

import pytest
import zstandard

from genomix.data.compression import open_input
from genomix.errors import DataError, NoInputError

TEXT = b">chr1\n" + b"ACGTTGCA" * 40_000 + b"\n"


def bgzip(data: bytes, block: int = 0xFF00) -> bytes:
    """Blocked gzip: members of their own and an empty one at the end."""
    return b"".join(gzip.compress(data[at : at + block]) for at in range(0, len(data), block)) + gzip.compress(b"")


COMPRESS = {
    "gzip": gzip.compress,
    "bgzip": bgzip,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def read(path) -> bytes:
    with open_input(str(path)) as stream:
        return stream.read()


@pytest.mark.parametrize("kind", COMPRESS)
def test_reads_any_compression_whatever_the_file_is_called(tmp_path, kind):
    path = tmp_path / "wrong.suffix"
    path.write_bytes(COMPRESS[kind](TEXT))
    assert read(path) == TEXT


@pytest.mark.parametrize("kind", COMPRESS)
def test_reads_all_parts_of_a_file_of_several(tmp_path, kind):
    path = tmp_path / "parts"
    path.write_bytes(b"".join(COMPRESS[kind](part) for part in (TEXT, b"", TEXT[::-1])))
    assert read(path) == TEXT + TEXT[::-1]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_file_cut_short_is_an_error(tmp_path, kind, kept):
    whole = COMPRESS[kind](os.urandom(100_000))
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(DataError, match=r"cut: the .* stream ends too early, so the file is cut short; copy"):
        read(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_damaged_file_is_an_error(tmp_path, kind):
    data = bytearray(COMPRESS[kind](os.urandom(100_000)))
    for place in range(len(data) // 2, len(data) // 2 + 50):
        data[place] ^= 0x5A
    path = tmp_path / "damaged"
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"damaged: the \w+ stream (is damaged|ends too early)"):
        read(path)


@pytest.mark.parametrize("kind", COMPRESS)
def test_what_follows_the_last_part_is_not_passed_over(tmp_path, kind):
    path = tmp_path / "longer"
    path.write_bytes(COMPRESS[kind](TEXT) + b"something else")
    with pytest.raises(DataError, match=r"longer: the .* is damaged"):
        read(path)


def test_xz_parts_may_be_padded(tmp_path):
    path = tmp_path / "padded"
    path.write_bytes(lzma.compress(TEXT) + bytes(8) + lzma.compress(TEXT) + bytes(4))
    assert read(path) == TEXT * 2


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "marked"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + TEXT))
    assert read(path) == TEXT


def test_a_zip_archive_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\3\4 and so on")
    with pytest.raises(DataError, match="is a zip archive; unpack it"):
        read(path)


def test_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bgzip(TEXT))))
    assert read("-") == TEXT


def test_a_pipe_that_gives_one_byte_at_a_time(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed():
        with pipe.open("wb", buffering=0) as stream:
            for byte in gzip.compress(TEXT)[:40]:
                stream.write(bytes([byte]))
            stream.write(gzip.compress(TEXT)[40:])

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert read(pipe) == TEXT
    feeder.join()


def test_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(NoInputError, match="there is no such file; check the path"):
        read(tmp_path / "missing.fa")
    with pytest.raises(NoInputError, match="is a directory"):
        read(tmp_path)
