"""The k-mer classifier counts what a plain loop over the string counts."""

import itertools
import pickle
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch

from genomix.data.dataset import collate
from genomix.data.vocabulary import ENCODING, decode, reverse_complement
from genomix.nn import kmer
from genomix.nn.kmer import KmerClassifier, canonical_ranks

STRANDS = pytest.mark.parametrize("canonical_too", [True, False])
KS = pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def canonical(word):
    return min(word, word.translate(COMPLEMENT)[::-1])


def words(k):
    return ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]


def frequencies(sequence, k, canonical_too=True):
    """Frequencies of the k-mers of a string, in lexical order; of the canonical ones, if not of those that are read."""
    name = canonical if canonical_too else str
    pieces = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    counts = Counter(name(piece) for piece in pieces if "N" not in piece)
    return np.array([counts[word] for word in sorted({name(word) for word in words(k)})]) / max(1, counts.total())


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
@STRANDS
def test_features_equal_those_counted_in_the_string(k, canonical_too):
    sequences = random_sequences([5, 6, 30, 100, 333, 1000])
    classifier = KmerClassifier(k, 2, canonical=canonical_too)
    features = classifier.features(*collate([encode(sequence) for sequence in sequences]))
    np.testing.assert_allclose(features, [frequencies(sequence, k, canonical_too) for sequence in sequences], atol=1e-6)


def test_a_batch_of_many_counts_is_computed_in_parts(monkeypatch):
    tokens, lengths = collate([encode(sequence) for sequence in random_sequences([5, 60, 30, 100, 33])])
    for canonical_too in (True, False):
        classifier = KmerClassifier(3, 2, canonical=canonical_too)
        whole = classifier(tokens, lengths)
        monkeypatch.setattr(kmer, "MOST_COUNTS", 2 * classifier.num_kmers)
        torch.testing.assert_close(classifier(tokens, lengths), whole)
        monkeypatch.undo()
        assert len(whole) == 5


def test_forward_counts_tell_the_strands_apart():
    tokens = [encode(sequence) for sequence in random_sequences([50, 301])]
    classifier = KmerClassifier(3, 2, canonical=False)
    reverse = [reverse_complement(record) for record in tokens]
    assert (classifier(*collate(tokens)) - classifier(*collate(reverse))).abs().min() > 1e-4


def test_roots_are_what_the_linear_layer_reads():
    sequences = random_sequences([20, 50, 301])
    classifier = KmerClassifier(2, 3, roots=True)
    classifier.mean.copy_(torch.rand(10))
    classifier.scale.copy_(torch.rand(10) + 0.5)
    values = np.sqrt([frequencies(sequence, 2) for sequence in sequences])
    weight, bias = (parameter.detach().numpy() for parameter in classifier.head.parameters())
    expected = (values - classifier.mean.numpy()) / classifier.scale.numpy() @ weight.T + bias
    np.testing.assert_allclose(classifier(*collate([encode(one) for one in sequences])).detach(), expected, atol=1e-5)


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


@pytest.mark.parametrize("roots", [False, True])
@pytest.mark.parametrize("sequence", ["A", "AC", "ACNGT", "NNNNNNNN"])
def test_record_without_any_kmer_gets_the_training_mean(sequence, roots):
    classifier = KmerClassifier(3, 2, roots=roots)
    classifier.mean.copy_(torch.rand(classifier.num_kmers))
    tokens = torch.from_numpy(encode(sequence).copy()).unsqueeze(0)
    lengths = torch.tensor([len(sequence)])
    typical = classifier.mean**2 if roots else classifier.mean
    assert torch.equal(classifier.features(tokens, lengths)[0], typical)
    torch.testing.assert_close(classifier(tokens, lengths)[0], classifier.head.bias)


def numbered(k, num_classes=3, **how):
    """A classifier with numbers of its own, loaded as from a file."""
    classifier = KmerClassifier(k, num_classes, **how)
    torch.manual_seed(0)
    state = classifier.state_dict()
    state = {name: torch.rand_like(tensor) + 0.5 * (name == "scale") for name, tensor in state.items()}
    classifier.load_state_dict(state)
    return classifier.eval()


@STRANDS
@KS
@pytest.mark.parametrize("roots", [False, True])
def test_of_many_kmers_only_those_that_a_record_has_are_read(k, canonical_too, roots, monkeypatch):
    """Records shorter and longer than there are k-mers, with unknown bases, and without any k-mer."""
    sequences = [*random_sequences([1, 5, 6, 30, 100, 1500]), "NNNN"]
    tokens, lengths = collate([encode(sequence) for sequence in sequences])
    classifier = numbered(k, canonical=canonical_too, roots=roots)
    with torch.inference_mode():
        written_out = classifier(tokens, lengths)
        monkeypatch.setattr(kmer, "MOST_DENSE", 0)
        read = classifier(tokens, lengths)
    torch.testing.assert_close(read, written_out, atol=1e-3, rtol=1e-4)


def test_so_read_both_strands_and_every_batch_give_exactly_the_same(monkeypatch):
    monkeypatch.setattr(kmer, "MOST_DENSE", 0)
    tokens = [encode(sequence) for sequence in random_sequences([1, 9, 50, 301, 4000])]
    classifier = numbered(4, roots=True)
    with torch.inference_mode():
        together = classifier(*collate(tokens))
        other = classifier(*collate([reverse_complement(record) for record in tokens]))
        alone = torch.cat([classifier(*collate([record])) for record in tokens])
    assert torch.equal(together, other)
    assert torch.equal(together, alone)


def test_copies_and_what_was_pickled_give_the_same(monkeypatch):
    monkeypatch.setattr(kmer, "MOST_DENSE", 0)
    classifier, batch = numbered(3), collate([encode("ACGTTGCA")])
    copy = deepcopy(KmerClassifier(3, 3))
    copy.load_state_dict(classifier.state_dict())
    assert torch.equal(copy(*batch), classifier(*batch))
    assert torch.equal(pickle.loads(pickle.dumps(classifier))(*batch), classifier(*batch))


def test_so_read_a_record_without_any_kmer_gets_the_training_mean(monkeypatch):
    monkeypatch.setattr(kmer, "MOST_DENSE", 0)
    classifier = numbered(3)
    assert torch.equal(classifier(*collate([encode("ACNGT")]))[0], classifier.head.bias)
