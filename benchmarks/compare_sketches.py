"""How fast records are sketched and all similar pairs found, and how true, compared with sourmash and datasketch.

    pip install sourmash==4.9.* datasketch==2.*
    python benchmarks/compare_sketches.py --mb 20

Makes its own records: families of a random record, two changed copies (3 and 8 % of the bases, one on the other
strand), and a changed piece of a quarter. The truth is the exact containment of all their k-mers, found by numpy alone.
datasketch hashes no k-mers of DNA: it is given ours, and what it takes to make these is not counted.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from genomix.data.similarity import pairs, sketch
from genomix.data.vocabulary import decode, reverse_complement

K, THRESHOLD = 21, 0.9
RELATIONS = [(0, 1), (0, 2), (0, 3)]
FAMILY = 4
NUM_PERM = 128


class Records:
    """Made-up records; what `sketch` needs of a store.

    Attributes:
        lengths: (R,) int64, in bp.
    """

    def __init__(self, num_bases: int, record_bp: int) -> None:
        rng = np.random.default_rng(1)
        self._tokens: list[np.ndarray] = []
        for _ in range(max(1, round(num_bases / (record_bp * 3.25)))):
            first = rng.integers(0, 4, record_bp).astype(np.uint8)
            piece = first[record_bp // 2 :][: record_bp // 4]
            self._tokens += [
                first,
                _change(rng, first, 0.03),
                reverse_complement(_change(rng, first, 0.08)),
                _change(rng, piece, 0.05),
            ]
        self.lengths = np.array([len(tokens) for tokens in self._tokens])

    def tokens(self, i: int, start: int = 0, end: int | None = None) -> np.ndarray:
        """Return the tokens of record i from `start` to `end`."""
        return self._tokens[i][start:end]


class Result(NamedTuple):
    """What a tool did.

    Attributes:
        sketch_s: Seconds for sketching.
        pairs_s: Seconds for all pairs.
        found: The similarity of each pair found.
    """

    sketch_s: float
    pairs_s: float
    found: dict[tuple[int, int], float]


def use_genomix(records: Records, fraction: float) -> Result:
    """Ours."""
    start = time.perf_counter()
    total = int((records.lengths - K + 1).sum())
    sketches = sketch(records, range(len(records.lengths)), k=K, most_hashes=int(total * fraction))  # pyright: ignore[reportArgumentType]
    middle = time.perf_counter()
    found = pairs(sketches, THRESHOLD)
    end = time.perf_counter()
    places = zip(found.first.tolist(), found.second.tolist(), strict=True)
    return Result(middle - start, end - middle, dict(zip(places, found.similarity.tolist(), strict=True)))


def use_sourmash(records: Records, fraction: float) -> Result:
    """FracMinHash in Rust; all pairs by its own comparison of two sketches."""
    sourmash = importlib.import_module("sourmash")
    letters = [decode(records.tokens(i)) for i in range(len(records.lengths))]
    start = time.perf_counter()
    sketches = [sourmash.MinHash(n=0, ksize=K, scaled=round(1 / fraction)) for _ in letters]
    for minhash, text in zip(sketches, letters, strict=True):
        minhash.add_sequence(text, force=True)
    middle = time.perf_counter()
    sizes, found = [len(minhash) for minhash in sketches], {}
    for j, second in enumerate(sketches):
        for i in range(j):
            similarity = (sketches[i].count_common(second) / max(1, min(sizes[i], sizes[j]))) ** (1 / K)
            if similarity >= THRESHOLD:
                found[i, j] = similarity
    return Result(middle - start, time.perf_counter() - middle, found)


def use_datasketch(records: Records, fraction: float) -> Result:
    """MinHash of `NUM_PERM` values, whatever the fraction, and its index for containment."""
    del fraction
    datasketch = importlib.import_module("datasketch")
    sketches = sketch(records, range(len(records.lengths)), k=K, most_hashes=10**10)  # pyright: ignore[reportArgumentType]
    parts = [sketches.hashes[a:b] >> np.uint64(32) for a, b in zip(sketches.starts, sketches.starts[1:], strict=False)]
    start = time.perf_counter()
    made = []
    for part in parts:
        minhash = datasketch.MinHash(num_perm=NUM_PERM, hashfunc=int)
        minhash.update_batch(part)
        made.append(minhash)
    middle = time.perf_counter()
    index = datasketch.MinHashLSHEnsemble(threshold=THRESHOLD**K, num_perm=NUM_PERM, num_part=8)
    index.index((i, minhash, len(part)) for i, (minhash, part) in enumerate(zip(made, parts, strict=True)))
    found = {}
    for i, part in enumerate(parts):
        for j in index.query(made[i], len(part)):
            jaccard = made[i].jaccard(made[j])
            shared = jaccard / (1 + jaccard) * (len(part) + len(parts[j]))
            similarity = min(1.0, shared / min(len(part), len(parts[j]))) ** (1 / K)
            if i != j and similarity >= THRESHOLD:
                found[min(i, j), max(i, j)] = similarity
    return Result(middle - start, time.perf_counter() - middle, found)


TOOLS: dict[str, Callable[[Records, float], Result]] = {
    "genomix": use_genomix,
    "sourmash": use_sourmash,
    "datasketch": use_datasketch,
}


def exact_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the similarity of two records from all their k-mers."""
    a, b = _canonical(first), _canonical(second)
    return float((len(np.intersect1d(a, b)) / min(len(a), len(b))) ** (1 / K))


def _canonical(tokens: np.ndarray) -> np.ndarray:
    codes = [np.zeros(len(tokens) - K + 1, np.int64) for _ in range(2)]
    for code, strand in zip(codes, (tokens, reverse_complement(tokens)), strict=True):
        for i in range(K):
            np.add(4 * code, strand[i : len(strand) - K + 1 + i], out=code)
    return np.unique(np.minimum(codes[0], codes[1][::-1]))


def _change(rng: np.random.Generator, tokens: np.ndarray, share: float) -> np.ndarray:
    changed = rng.random(len(tokens)) < share
    return np.where(changed, (tokens + rng.integers(1, 4, len(tokens))) % 4, tokens).astype(np.uint8)


def main() -> None:
    """Print a row a tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=20, help="million bases in all")
    parser.add_argument("--record-bp", type=int, default=20_000)
    parser.add_argument("--fraction", type=float, default=0.05, help="share of the k-mers that is kept")
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    options = parser.parse_args()
    use_genomix(Records(10_000, 1000), 1.0)  # compiles what is not compiled yet
    records = Records(int(options.mb * 1e6), options.record_bp)
    families = range(0, len(records.lengths), FAMILY)
    truth: dict[tuple[int, int], float] = {
        (family + i, family + j): exact_similarity(records.tokens(family + i), records.tokens(family + j))
        for family in families
        for i, j in RELATIONS
    }
    print(f"{len(records.lengths)} records, {records.lengths.sum() / 1e6:.1f} MB, k {K}, threshold {THRESHOLD}")
    print(
        f"{'tool':<12}{'sketch s':>10}{'pairs s':>10}{'of the true found':>20}{'mean error':>12}{'most':>8}{'wrong':>8}"
    )
    for name in options.tools:
        try:
            result = TOOLS[name](records, options.fraction)
        except ModuleNotFoundError as error:
            print(f"{name:<12}is not installed: pip install {error.name}")
            continue
        print(row(name, result, truth))


def row(name: str, result: Result, truth: dict[tuple[int, int], float]) -> str:
    """Return a line of the table; wrong are pairs of two families."""
    wanted = {pair for pair, similarity in truth.items() if similarity >= THRESHOLD}
    both: list[Any] = sorted(wanted & result.found.keys())
    errors = np.abs([result.found[pair] - truth[pair] for pair in both]) if both else np.zeros(1)
    wrong = sum(i // FAMILY != j // FAMILY for i, j in result.found)
    return (
        f"{name:<12}{result.sketch_s:>10.2f}{result.pairs_s:>10.2f}{len(both):>12} of {len(wanted):<5}"
        f"{errors.mean():>11.4f}{errors.max():>10.4f}{wrong:>6}"
    )


if __name__ == "__main__":
    main()
