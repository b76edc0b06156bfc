"""The k-mer baseline counts what a plain loop over the string counts, and predicts what scikit-learn predicts."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genomix.config import KmerConfig
from genomix.data.dataset import collate
from genomix.data.store import build_store
from genomix.data.vocabulary import ENCODING, decode, reverse_complement
from genomix.nn import kmer
from genomix.nn.kmer import KmerClassifier, canonical_ranks
from genomix.train.kmer import fit_kmer

KS = pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def canonical(word):
    return min(word, word.translate(COMPLEMENT)[::-1])


def words(k):
    return ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]


def frequencies(sequence, k):
    """Frequencies of the canonical k-mers of a string, in lexical order."""
    pieces = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    counts = Counter(canonical(piece) for piece in pieces if "N" not in piece)
    return np.array([counts[word] for word in sorted({canonical(word) for word in words(k)})]) / max(1, counts.total())


def random_sequences(lengths, seed=0, odds=(0.24, 0.24, 0.24, 0.24, 0.04)):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGTN"), size=length, p=odds)) for length in lengths]


def encode(sequence):
    return np.frombuffer(sequence.encode().translate(ENCODING), dtype=np.uint8)


@KS
def test_ranks_are_those_of_the_sorted_canonical_words(k):
    order = sorted({canonical(word) for word in words(k)})
    assert canonical_ranks(k).tolist() == [order.index(canonical(word)) for word in words(k)]


@pytest.mark.parametrize("k", range(1, 9))
def test_there_are_as_many_as_combinatorics_says(k):
    palindromes = 0 if k % 2 else 4 ** (k // 2)
    assert KmerClassifier(k, 2).num_kmers == (4**k + palindromes) // 2


@KS
def test_features_equal_those_counted_in_the_string(k):
    sequences = random_sequences([5, 6, 30, 100, 333, 1000])
    features = KmerClassifier(k, 2).features(*collate([encode(sequence) for sequence in sequences]))
    np.testing.assert_allclose(features, [frequencies(sequence, k) for sequence in sequences], atol=1e-6)


@KS
def test_long_records_counted_in_chunks_come_out_the_same(k, monkeypatch):
    monkeypatch.setattr(kmer, "CHUNK_BP", 7)
    sequences = random_sequences([5, 6, 7, 8, 13, 14, 15, 100])
    features = KmerClassifier(k, 2).features(*collate([encode(sequence) for sequence in sequences]))
    np.testing.assert_allclose(features, [frequencies(sequence, k) for sequence in sequences], atol=1e-6)


@KS
def test_both_strands_give_exactly_the_same(k):
    tokens = [encode(sequence) for sequence in random_sequences([1, 9, 50, 301])]
    classifier = KmerClassifier(k, 2)
    forward = classifier(*collate(tokens))
    reverse = classifier(*collate([reverse_complement(record) for record in tokens]))
    assert torch.equal(forward, reverse)


def test_what_lies_behind_a_record_does_not_count():
    classifier = KmerClassifier(2, 2)
    tokens = torch.randint(0, 5, (3, 40), dtype=torch.uint8)
    found = classifier.features(tokens, torch.tensor([10, 40, 1]))
    np.testing.assert_allclose(found[0], frequencies(decode(tokens[0, :10].numpy()), 2), atol=1e-6)


@pytest.mark.parametrize("sequence", ["A", "AC", "ACNGT", "NNNNNNNN"])
def test_record_without_any_kmer_gets_the_training_mean(sequence):
    classifier = KmerClassifier(3, 2)
    classifier.mean.copy_(torch.rand(classifier.num_kmers))
    tokens = torch.from_numpy(encode(sequence).copy()).unsqueeze(0)
    lengths = torch.tensor([len(sequence)])
    assert torch.equal(classifier.features(tokens, lengths)[0], classifier.mean)
    torch.testing.assert_close(classifier(tokens, lengths)[0], classifier.head.bias)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("k", [2, 3])
def test_fitted_baseline_predicts_what_scikit_learn_predicts(num_classes, k, tmp_path):
    odds = [(0.3, 0.2, 0.2, 0.28, 0.02), (0.2, 0.3, 0.3, 0.18, 0.02), (0.4, 0.1, 0.3, 0.18, 0.02)]
    targets = np.arange(30) % num_classes
    sequences = [random_sequences([40 + 3 * i], seed=i, odds=odds[target])[0] for i, target in enumerate(targets)]
    path = tmp_path / "data.fa"
    path.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    store = build_store([str(path)], cache_dir=tmp_path / "cache")
    rows = np.arange(0, 30)[::-1].copy()
    classifier = fit_kmer(KmerConfig(k=k, inverse_regularisation=0.5), store, rows, targets[rows], num_classes, seed=0)

    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=2000))
    features = np.stack([frequencies(sequence, k) for sequence in sequences])
    plain.fit(features, targets)
    unseen = random_sequences([20, 77, 500], seed=99)
    expected = plain.predict_proba(np.stack([frequencies(sequence, k) for sequence in [*sequences, *unseen]]))
    with torch.inference_mode():
        logits = classifier(*collate([encode(sequence) for sequence in [*sequences, *unseen]]))
    np.testing.assert_allclose(logits.softmax(1), expected, atol=1e-3)


def test_a_sample_for_want_of_room_keeps_every_class(tmp_path, monkeypatch):
    from genomix.train import kmer

    monkeypatch.setattr(kmer, "MOST_RECORDS", 20)
    targets = np.array([0] * 100 + [1] * 100 + [2])
    sequences = random_sequences([30] * len(targets), seed=1)
    path = tmp_path / "data.fa"
    path.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    store = build_store([str(path)], cache_dir=tmp_path / "cache")
    classifier = fit_kmer(KmerConfig(k=2), store, np.arange(len(targets)), targets, 3, seed=0)
    assert len({tuple(row) for row in classifier.head.weight.tolist()}) == 3
