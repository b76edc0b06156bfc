"""Records for the tests of the k-mer baseline, and their k-mers counted by a plain loop over the text."""

import itertools
from collections import Counter

import numpy as np

from genomix.data.labels import load_labelled

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def other_strand(text):
    return text.translate(COMPLEMENT)[::-1]


def plain_counts(texts, k, *, canonical):
    """Counts (R, F) of the k-mers of texts, in lexical order."""
    words = ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]
    name = (lambda word: min(word, other_strand(word))) if canonical else str
    names = sorted({name(word) for word in words})
    rows = []
    for text in texts:
        pieces = (text[i : i + k] for i in range(len(text) - k + 1))
        counts = Counter(name(piece) for piece in pieces if "N" not in piece)
        rows.append([counts[word] for word in names])
    return np.array(rows, dtype=float)


def random_texts(lengths, odds=(0.24, 0.24, 0.24, 0.24, 0.04), seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGTN"), size=length, p=odds)) for length in lengths]


def load(directory, texts, labels, splits=None, **how):
    """Labelled records with these texts, labels and splits."""
    directory.mkdir(exist_ok=True)
    (directory / "data.fa").write_text("".join(f">r{i}\n{text}\n" for i, text in enumerate(texts)))
    columns = zip(labels, splits or [""] * len(labels), strict=True)
    head = "id\tlabel\tsplit\n" if splits else "id\tlabel\n"
    rows = ("\t".join([f"r{i}", label, *([split] if split else [])]) for i, (label, split) in enumerate(columns))
    (directory / "labels.tsv").write_text(head + "\n".join(rows) + "\n")
    paths = [str(directory / "data.fa")], str(directory / "labels.tsv")
    return load_labelled(*paths, cache_dir=directory / "cache", warn=lambda _: None, **how)
