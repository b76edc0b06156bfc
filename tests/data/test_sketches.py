"""Sketches hold the hashes of the k-mers that plain Python finds in the letters, and the same share of each record."""

import math

import hypothesis.strategies as st
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from plain_kmers import WORD, Records, all_of, draw, hash_all, kmers, parts, reverse, splitmix

from genomix.data import sketch_kernels as kernels
from genomix.data import sketches as module
from genomix.data.sketches import FEW_HASHES, ROOM, Sketches, choose_fraction, choose_k, sketch
from genomix.data.store import build_store


def test_the_mixing_is_the_published_one():
    assert [splitmix(0), splitmix(0x9E3779B97F4A7C15)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]  # from seed 0
    assert kernels.mix(np.uint64(0)) == splitmix(0)


@pytest.mark.parametrize("k", [1, 2, 5, 11, 20, 31])
def test_hashes_are_those_of_the_kmers_in_the_letters(k):
    rng = np.random.default_rng(k)
    texts = [draw(rng, length, "ACGTACGTACGTN") for length in (400, k, k - 1, 77)] + ["A" * 50, "N" * 50, "ACGT" * 20]
    found = all_of(texts, k=k)
    assert (found.k, found.fraction, found.hashes.dtype, len(found)) == (k, 1.0, np.uint64, 7)
    assert parts(found) == [hash_all(text, k) for text in texts]
    assert found.sizes.tolist() == [len(kmers(text, k)) for text in texts]


@given(text=st.text("ACGTN", max_size=60), k=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_both_strands_have_the_same_sketch(text, k):
    forward, backward = parts(all_of([text, reverse(text)], k=k))
    assert forward == backward == hash_all(text, k)


def test_rows_are_taken_in_their_order():
    texts = [draw(np.random.default_rng(seed), 50 + seed) for seed in range(5)]
    found = sketch(Records(texts), [3, 1, 3], k=7)
    assert parts(found) == [hash_all(texts[row], 7) for row in (3, 1, 3)]
    assert parts(all_of(texts, k=7).take(np.array([4, 0]))) == [hash_all(texts[row], 7) for row in (4, 0)]
    assert parts(sketch(Records(texts), [])) == []


def test_reads_a_store(tmp_path):
    texts = {"a": "ACGTTGCATTNACGGT", "b": "acgttgcattnacggt"}
    (tmp_path / "x.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    store = build_store([str(tmp_path / "x.fa")], cache_dir=tmp_path, log=lambda _: None)
    assert parts(sketch(store, [0, 1], k=4)) == [hash_all(texts["a"], 4)] * 2


@pytest.mark.parametrize("piece_bp", [1, 10, 64])
@pytest.mark.parametrize("threads", [1, 3])
def test_long_records_in_pieces_and_threads_change_nothing(monkeypatch, piece_bp, threads):
    texts = [draw(np.random.default_rng(seed), length, "ACGTN") for seed, length in enumerate((300, 3, 0, 41, 500))]
    monkeypatch.setattr(module, "PIECE_BP", piece_bp)
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    assert parts(all_of(texts, k=6)) == [hash_all(text, 6) for text in texts]


def test_a_smaller_fraction_keeps_a_part_of_what_a_larger_one_does():
    texts = [draw(np.random.default_rng(seed), 2000) for seed in range(4)]
    whole = all_of(texts, k=15)
    half = all_of(texts, k=15, most_hashes=4000)
    assert half.fraction == pytest.approx(4000 / (4 * (2000 - 14)))
    limit = half.fraction * WORD
    assert parts(half) == [[value for value in part if value < limit] for part in parts(whole)]
    thin = whole.thin(half.fraction)
    assert thin.fraction == half.fraction
    assert parts(thin) == parts(half)
    assert half.thin(0.9) is half
    assert parts(all_of(texts[:1], like=half)) == parts(half)[:1]


def test_the_share_that_is_kept_is_right_and_says_what_is_contained_without_bias():
    """A piece of a quarter of a record, with 5 % changed, in sketches of a twentieth: 4 standard errors are allowed."""
    rng = np.random.default_rng(8)
    texts, contained, sizes = [], [], []
    for _ in range(100):
        long = draw(rng, 4000)
        letters = np.array(list(long[1000:2000]))
        changed = rng.random(1000) < 0.05
        letters[changed] = [{"A": "C", "C": "G", "G": "T", "T": "A"}[letter] for letter in letters[changed]]
        texts += ["".join(letters), long]
        short, whole = kmers(texts[-2], 21), kmers(long, 21)
        contained.append(len(short & whole) / len(short))
        sizes += [len(short), len(whole)]
    sampled = all_of(texts, k=21, most_hashes=sum(sizes) // 20)
    expected = sampled.fraction * sum(sizes)
    assert abs(len(sampled.hashes) - expected) < 4 * math.sqrt(expected)
    found = parts(sampled)
    errors = [
        len(set(short) & set(long)) / len(short) - share
        for short, long, share in zip(found[::2], found[1::2], contained, strict=True)
    ]
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(len(errors))
    assert np.std(errors) < 0.1  # of about 50 hashes with 0.36 contained: 0.068


@pytest.mark.parametrize(
    ("num_kmers", "most", "fraction"),
    [
        ([100, 100], 200, 1.0),
        ([], 10, 1.0),
        ([0, 0], 1, 1.0),
        ([10_000] * 100, 100_000, 0.1),
        ([FEW_HASHES * 5] * 1000, 50_000, 0.2),  # 0.1 would do for the room, 0.2 for the records
        ([FEW_HASHES] * 1000, 10_000, 0.1 * ROOM),
        ([FEW_HASHES // 2] * 10 + [10**6], 500_250, 1.0),  # twice as much is less than `ROOM` times
    ],
)
def test_the_fraction_fits_the_room_and_the_short_records(num_kmers, most, fraction):
    assert choose_fraction(np.array(num_kmers, np.int64), most) == pytest.approx(fraction)


@pytest.mark.parametrize(
    ("longest", "k"), [(0, 11), (70, 11), (251, 11), (3000, 13), (30_000, 15), (500_000, 17), (10**9, 21)]
)
def test_longer_records_need_longer_kmers(longest, k):
    assert choose_k(np.array([5, longest])) == k
    if 11 < k < 21:
        chance = [1 / (1 + 4.0**length / longest) for length in (k - 2, k)]  # Ondov et al. 2016, equation 1
        assert chance[0] > 1e-4 >= chance[1]


@pytest.mark.parametrize(("options", "message"), [({"k": 0}, "k must be"), ({"k": 32}, "k must be 1 to 31; got 32")])
def test_refuses_other_k(options, message):
    with pytest.raises(ValueError, match=message):
        all_of(["ACGT"], **options)
    with pytest.raises(ValueError, match="most_hashes must be at least 1; got 0"):
        all_of(["ACGT"], most_hashes=0)


def test_nothing_to_sketch():
    empty = all_of(["", "NN"])
    assert isinstance(empty, Sketches)
    assert empty.sizes.tolist() == [0, 0]
