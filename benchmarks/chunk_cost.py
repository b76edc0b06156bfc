"""What it costs that predictions are made in chunks: processor seconds of scoring with and without, turn by turn.

    python benchmarks/chunk_cost.py models/primate-suborder --mb 8

The records are random, their lengths, from 200 bp on, spread evenly on a scale of logarithms. The other cost is that of
the sha256 of the input, by which shards and unfinished predictions are told apart.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Iterator

import numpy as np

from genomix.data.records import Record
from genomix.data.shards import ChunkSize, cut
from genomix.predict.job import FILLS
from genomix.runtime import set_threads
from genomix.scoring import BATCHES_AHEAD, DEFAULT_BATCH_BASES, AnyScorer, load_scorer

SHORTEST = 200


def make_records(num_bases: int, longest: int) -> list[Record]:
    """Return random records of so many bases together."""
    rng = np.random.default_rng(1)
    records: list[Record] = []
    while num_bases > 0:
        length = int(np.exp(rng.uniform(np.log(SHORTEST), np.log(longest))))
        records.append(Record(f"r{len(records)}", "", rng.integers(0, 4, length, dtype=np.uint8), "", 1))
        num_bases -= length
    return records


def score(scorer: AnyScorer, chunks: Iterator[Iterator[Record]]) -> float:
    """Score all chunks; return the processor seconds of all threads."""
    began = time.process_time()
    for chunk in chunks:
        for _ in scorer.predict(chunk):
            pass
    return time.process_time() - began


def main() -> None:
    """Measure, and print the share that chunks cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--mb", type=float, default=8, help="millions of bases")
    parser.add_argument("--longest", type=int, default=100_000, help="bp of the longest record")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    set_threads(None)
    scorer = load_scorer(options.model)
    records = make_records(int(options.mb * 1e6), options.longest)
    size = ChunkSize(FILLS * BATCHES_AHEAD * DEFAULT_BATCH_BASES)
    score(scorer, cut(records[:20], size))
    pairs = [(score(scorer, iter([iter(records)])), score(scorer, cut(records, size))) for _ in range(options.times)]
    began = time.process_time()
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.tokens.data)
    hashing = time.process_time() - began
    costs = [chunked / whole - 1 for whole, chunked in pairs]
    whole = statistics.median(seconds for seconds, _ in pairs)
    num_chunks = sum(1 for _ in cut(records, size))
    print(f"{len(records)} records, {num_chunks} chunks, {whole:.1f} s: chunks cost {statistics.median(costs):+.2%}")
    print(f"  turn by turn {', '.join(f'{cost:+.2%}' for cost in costs)}; the sha256 {hashing / whole:.2%}")


if __name__ == "__main__":
    main()
