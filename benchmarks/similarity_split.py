"""What a split by similarity changes: how alike the parts are, and how well the k-mer baseline does.

    python benchmarks/similarity_split.py FOLDER... --similarity 0.9 --seeds 0 1 2

A folder holds `data.fa.gz` and `labels.tsv` (its column `split`, if any, is not used). Each is divided at random and by
similarity, in the same fractions. Of a sample of test records the similarity to the most similar training record is
counted anew, by nothing of the package: the texts of the file, sets of canonical k-mers as Python strings, and

    (shared k-mers / those of the record that has fewer) ** (1/k)

over all training records. The baseline learns from the training records and is scored on all test records.
"""

from __future__ import annotations

import argparse
import gzip
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from genomix.config import KmerConfig, make_config
from genomix.data.labels import LabelledRecords, load_labelled
from genomix.data.similarity import sketch
from genomix.data.splits import Splits, divide_records
from genomix.runtime import set_threads
from genomix.train.kmer import fit_kmer

KINDS = ("random", "similarity")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Result(NamedTuple):
    """What was found for one split: similarities of the sampled test records (Q,), and scores on all of them."""

    nearest: list[float]
    accuracy: float
    f1_macro: float
    seconds: float


def read_texts(path: Path) -> dict[str, str]:
    """Return the letters of each record of a FASTA file by id, in upper case."""
    texts: dict[str, list[str]] = {}
    parts: list[str] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if line.startswith(">"):
                parts = texts.setdefault(line[1:].split()[0], [])
            else:
                parts.append(line.strip().upper().replace("U", "T"))
    return {name: "".join(parts) for name, parts in texts.items()}


def kmers_of(text: str, k: int) -> set[str]:
    """Return the distinct k-mers without unknown letters; of each and its reverse complement, the first by alphabet."""
    found: set[str] = set()
    for run in "".join(letter if letter in "ACGT" else " " for letter in text).split():
        other = run.translate(COMPLEMENT)[::-1]
        end = len(run)
        found.update(min(run[i : i + k], other[end - k - i : end - i]) for i in range(end - k + 1))
    return found


def count_nearest(texts: dict[str, str], queries: Sequence[str], references: Sequence[str], k: int) -> list[float]:
    """Return the similarity of each query to the most similar reference, all by their ids."""
    sets = [kmers_of(texts[name], k) for name in queries]
    having: dict[str, list[int]] = {}
    for place, kmers in enumerate(sets):
        for kmer in kmers:
            having.setdefault(kmer, []).append(place)
    best = [0.0] * len(queries)
    for name in references:
        kmers = kmers_of(texts[name], k)
        shared = [0] * len(queries)
        for kmer in kmers:
            for place in having.get(kmer, ()):
                shared[place] += 1
        for place, count in enumerate(shared):
            if count:
                fewer = min(len(kmers), len(sets[place]))
                best[place] = max(best[place], (count / fewer) ** (1 / k))
    return best


def score_baseline(records: LabelledRecords, splits: Splits, seed: int) -> tuple[float, float]:
    """Return accuracy and macro F1 of the k-mer baseline on the test records."""
    from sklearn.metrics import accuracy_score, f1_score

    train = splits.train
    classifier = fit_kmer(
        KmerConfig(), records.store, records.indices[train], records.targets[train], len(records.classes), seed
    )
    predicted = []
    with torch.inference_mode():
        for row in records.indices[splits.test].tolist():
            tokens = torch.from_numpy(np.array(records.store.tokens(row))).unsqueeze(0)
            predicted.append(int(classifier(tokens, torch.tensor([tokens.shape[1]])).argmax()))
    targets = records.targets[splits.test]
    return float(accuracy_score(targets, predicted)), float(f1_score(targets, predicted, average="macro"))


def measure(folder: Path, options: argparse.Namespace, cache_dir: Path) -> Iterator[tuple[str, Result]]:
    """Yield the result of each split of a folder, and its kind."""
    files = [str(folder / "data.fa.gz")]
    records = load_labelled(files, str(folder / "labels.tsv"), cache_dir=cache_dir, warn=lambda _: None)
    texts = read_texts(folder / "data.fa.gz")
    k = sketch(records.store, records.indices).k
    for seed in options.seeds:
        for kind in KINDS:
            began = time.monotonic()
            config = make_config(overrides={"data.split": kind, "data.similarity": options.similarity})
            splits = divide_records(records, config.data, seed)
            seconds = time.monotonic() - began
            test = [records.ids[row] for row in splits.test.tolist()]
            sample = random.Random(seed).sample(test, min(options.sample, len(test)))
            nearest = count_nearest(texts, sample, [records.ids[row] for row in splits.train.tolist()], k)
            yield kind, Result(nearest, *score_baseline(records, splits, seed), seconds)


def describe(name: str, kind: str, results: Sequence[Result], threshold: float) -> str:
    """Return a row of the table."""
    nearest = [similarity for result in results for similarity in result.nearest]
    alike = sum(similarity >= threshold for similarity in nearest)
    scores = []
    for values in ([result.accuracy for result in results], [result.f1_macro for result in results]):
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        scores.append(f"{statistics.mean(values):.3f} ± {deviation:.3f}")
    most = math.floor(10_000 * max(nearest)) / 10_000
    similarity = f"{statistics.median(nearest):.3f} | {most:.4f} | {alike} of {len(nearest)}"
    seconds = statistics.median(result.seconds for result in results)
    return f"| {name} | {kind} | {similarity} | {' | '.join(scores)} | {seconds:.1f} |"


def main() -> None:
    """Print a table: a row a folder and kind of split, means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--similarity", type=float, default=0.9, help="the threshold")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sample", type=int, default=50, help="test records whose similarity is counted, a split")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    set_threads(options.threads)
    print(
        "| set | split | nearest, median | nearest, max | at or above | accuracy | macro F1 | seconds to divide |\n"
        "|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as cache_dir:
        for folder in options.folders:
            results: dict[str, list[Result]] = {kind: [] for kind in KINDS}
            for kind, result in measure(folder, options, Path(cache_dir)):
                results[kind].append(result)
            for kind, found in results.items():
                print(describe(folder.name, kind, found, options.similarity), flush=True)


if __name__ == "__main__":
    main()
