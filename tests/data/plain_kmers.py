"""K-mers as sets of letters, and records of all kinds of relations, for the tests of sketches and similarity."""

from itertools import pairwise

import numpy as np

from genomix.data.similarity import pairs
from genomix.data.sketches import sketch

LETTERS = "ACGT"
OTHER = str.maketrans("ACGT", "TGCA")
WORD = 2**64


class Records:
    """What `sketch` needs of a store."""

    def __init__(self, sequences):
        self.sequences = [np.array(["ACGTN".index(letter) for letter in text], np.uint8) for text in sequences]
        self.lengths = np.array([len(text) for text in sequences], np.int64)

    def tokens(self, i, start=0, end=None):
        return self.sequences[i][start:end]


def reverse(text):
    return text.translate(OTHER)[::-1]


def kmers(text, k):
    """The distinct canonical k-mers, as letters."""
    pieces = {text[i : i + k] for i in range(len(text) - k + 1)}
    return {min(piece, reverse(piece)) for piece in pieces if "N" not in piece}


def splitmix(x):
    """The first number of SplitMix64 (Steele, Lea, Flood 2014; Stafford's mixing, variant 13) from the seed x."""
    x = (x + 0x9E3779B97F4A7C15) % WORD
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % WORD
    return x ^ (x >> 31)


def hash_all(text, k):
    """The hashes of a text, sorted."""
    return sorted(splitmix(int("".join(str(LETTERS.index(letter)) for letter in piece), 4)) for piece in kmers(text, k))


def draw(rng, length, letters=LETTERS):
    return "".join(rng.choice(list(letters), length))


def parts(sketches):
    bounds = sketches.starts.tolist()
    return [sketches.hashes[start:end].tolist() for start, end in pairwise(bounds)]


def all_of(sequences, **options):
    return sketch(Records(sequences), range(len(sequences)), **options)


def similarity_of(first, second, k):
    a, b = kmers(first, k), kmers(second, k)
    return (len(a & b) / min(len(a), len(b))) ** (1 / k) if a & b else 0.0


def change(rng, text, share):
    """Put another letter at a share of the places."""
    letters = list(text)
    for place in np.flatnonzero(rng.random(len(text)) < share):
        letters[place] = "ACGT"[("ACGT".index(letters[place]) + rng.integers(1, 4)) % 4]
    return "".join(letters)


def draw_families(seed, num=24):
    """Records of all kinds of relations: changed copies, pieces, other strands, unrelated, short, empty and unknown."""
    rng = np.random.default_rng(seed)
    texts = [draw(rng, int(rng.integers(30, 150))) for _ in range(num // 4)]
    while len(texts) < num - 3:
        text = texts[rng.integers(len(texts))]
        start, end = sorted(rng.integers(0, len(text) + 1, 2))
        piece = text[start:end] if rng.random() < 0.3 else text
        piece = change(rng, piece, rng.choice([0, 0.02, 0.1, 0.3]))
        texts.append(reverse(piece) if rng.random() < 0.5 else piece)
    texts += ["ACG", "N" * 40, ""]
    return [texts[i] for i in rng.permutation(len(texts))]


def brute_pairs(texts, k, threshold):
    found = {}
    for j in range(len(texts)):
        for i in range(j):
            value = similarity_of(texts[i], texts[j], k)
            if value >= threshold:
                found[i, j] = value
    return dict(sorted(found.items()))


def brute_clusters(num, joined):
    numbers = list(range(num))
    for i, j in joined:
        numbers = [numbers[i] if number == numbers[j] else number for number in numbers]
    return [sorted(set(numbers), key=numbers.index).index(number) for number in numbers]


def listed(found):
    return dict(zip(zip(found.first.tolist(), found.second.tolist(), strict=True), found.similarity, strict=True))


def pairs_of(sketches, threshold, **options):
    return listed(pairs(sketches, threshold, **options))
