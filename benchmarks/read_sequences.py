"""How fast FASTA is read, and pieces of it fetched, compared with other readers.

Makes its own files. All readers read the same file in turn, several times over, so that a busy machine slows all alike;
the median is given. `as it comes` is what a reader yields; `as tokens` adds what it takes to arrive where ours does:
one uint8 token a base. Ours also checks every letter and counts what it maps.

    python benchmarks/read_sequences.py --mb 100
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dnaio
import needletail
import numpy as np
import pyfaidx
import pyfastx
from Bio.SeqIO.FastaIO import SimpleFastaParser

from genomix.data.records import read_records
from genomix.data.store import build_store
from genomix.data.vocabulary import ENCODING

WIDTH = 80
PIECE_BP = 10_000


def read_genomix(path: str) -> Iterator[np.ndarray]:
    """Ours; its records come as tokens."""
    return (record.tokens for record in read_records([path]))


def read_biopython(path: str) -> Iterator[str]:
    """The plainest parser of Biopython."""
    with Path(path).open() as file:
        for _, sequence in SimpleFastaParser(file):
            yield sequence


def read_dnaio(path: str) -> Iterator[str]:
    """The reader of cutadapt."""
    with dnaio.open(path) as records:
        for record in records:
            yield record.sequence


def read_pyfastx(path: str) -> Iterator[str]:
    """Bound to kseq, without its index."""
    return (entry[1] for entry in pyfastx.Fastx(path))


def read_needletail(path: str) -> Iterator[str]:
    """Bound to a reader in Rust."""
    return (record.seq for record in needletail.parse_fastx_file(path))


READERS: dict[str, Callable[[str], Iterator[Any]]] = {
    "genomix": read_genomix,
    "biopython": read_biopython,
    "dnaio": read_dnaio,
    "pyfastx": read_pyfastx,
    "needletail": read_needletail,
}


def read_as_it_comes(name: str, path: str) -> int:
    """Read a file and return its number of bases."""
    return sum(len(sequence) for sequence in READERS[name](path))


def read_as_tokens(name: str, path: str) -> int:
    """Read a file, encode what is not encoded yet, and return the number of bases."""
    if name == "genomix":
        return read_as_it_comes(name, path)
    return sum(len(np.frombuffer(sequence.encode().translate(ENCODING), np.uint8)) for sequence in READERS[name](path))


def write_fasta(path: Path, num_bases: int, record_bp: int, masked: float) -> None:
    """Write random records of one length, a part of each in lower case."""
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        for number in range(max(1, num_bases // record_bp)):
            sequence = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, record_bp)]
            sequence[: int(masked * record_bp)] |= 0x20
            text = sequence.tobytes()
            lines = [text[at : at + WIDTH] for at in range(0, record_bp, WIDTH)]
            file.write(b"\n".join([b">record_%d random" % number, *lines, b""]))


def medians(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each task, all being run in turn `repeats` times."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare_reading(path: Path, repeats: int) -> None:
    """Print the speed of each reader on one file."""
    size_mb = path.stat().st_size / 1e6
    plain = medians({name: lambda name=name: read_as_it_comes(name, str(path)) for name in READERS}, repeats)
    tokens = medians({name: lambda name=name: read_as_tokens(name, str(path)) for name in READERS}, repeats)
    for name in READERS:
        print(
            f"  {name:<12}{size_mb / plain[name]:>8.0f} MB/s as it comes{size_mb / tokens[name]:>8.0f} MB/s as tokens"
            f"   genomix is {tokens[name] / tokens['genomix']:.2f} times as fast"
        )


def compare_fetching(path: Path, cache_dir: Path, repeats: int) -> None:
    """Print how long it takes to make an index or a store, and to fetch pieces from it."""
    start = time.perf_counter()
    store = build_store([str(path)], cache_dir=cache_dir, log=lambda _: None)
    built = time.perf_counter()
    build_store([str(path)], cache_dir=cache_dir, log=lambda _: None)
    opened = time.perf_counter()
    with pyfaidx.Fasta(str(path)) as fasta:
        indexed = time.perf_counter()
        rng = np.random.default_rng(2)
        rows = rng.integers(0, len(store), 2000).tolist()
        places = [(i, int(rng.integers(0, max(1, store.lengths[i] - PIECE_BP)))) for i in rows]
        names = [store.ids[i] for i in rows]

        def fetch_from_store() -> int:
            return sum(int(store.tokens(i, at, min(at + PIECE_BP, int(store.lengths[i])))[-1]) for i, at in places)

        def fetch_from_pyfaidx() -> int:
            return sum(len(fasta[name][at : at + PIECE_BP]) for name, (_, at) in zip(names, places, strict=True))

        seconds = medians({"genomix": fetch_from_store, "pyfaidx": fetch_from_pyfaidx}, repeats)
    print(f"  made: store {built - start:.2f} s, opened again {opened - built:.2f} s; pyfaidx {indexed - opened:.2f} s")
    for name, value in seconds.items():
        print(f"  {name:<12}{1e6 * value / len(places):>8.1f} us to fetch {PIECE_BP:,} bp")


def main() -> None:
    """Compare the readers on records of three lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100, help="size of each file in millions of bases")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--masked", type=float, default=0.0, help="part of each record in lower case")
    options = parser.parse_args()
    num_bases = options.mb * 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "random.fa"
        for record_bp in (1_000, 20_000, num_bases):
            write_fasta(path, num_bases, record_bp, options.masked)
            print(f"records of {record_bp:,} bp, {options.masked:.0%} lower case")
            compare_reading(path, options.repeats)
            compare_fetching(path, Path(directory) / "cache", options.repeats)
            path.with_suffix(".fa.fai").unlink()


if __name__ == "__main__":
    main()
