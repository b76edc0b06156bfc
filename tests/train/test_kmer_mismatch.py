"""K-mers that are alike have weights that are alike: the same as plain logistic regression of features made by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kmer_records import load, other_strand, plain_counts, random_texts
from scipy import sparse
from scipy.optimize import check_grad
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from genomix.config import KmerConfig, make_config
from genomix.data.splits import divide_records
from genomix.train.kmer import choose_kmer, mismatch, reads_one_strand, search
from genomix.train.kmer.candidates import Candidate
from genomix.train.kmer.design import find_logits
from genomix.train.kmer.linear import fit_logistic
from genomix.train.kmer.mismatch import fit_alike, spread

ODDS = [(0.3, 0.2, 0.2, 0.3, 0), (0.2, 0.3, 0.3, 0.2, 0), (0.4, 0.1, 0.3, 0.2, 0)]
HOW = {"roots": True, "balanced": False}


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """Let the solver go on until all ways to the same optimum are there, in double precision."""
    monkeypatch.setattr(mismatch, "DECREASE", 1e-15)
    monkeypatch.setattr(mismatch, "DOUBLE_PRECISION", 1 << 30)
    monkeypatch.setattr(mismatch, "MOST_ITERATIONS", 5000)


def words_of(k):
    return ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


def correlations(k, r):
    """r^d of all k-mers, by hand."""
    return np.array([[r ** distance(one, other) for other in words_of(k)] for one in words_of(k)])


def data(num_classes, k, *, canonical=False, num_records=40, length=30):
    targets = np.arange(num_records) % num_classes
    texts = [random_texts([length + i], ODDS[target], seed=i)[0] for i, target in enumerate(targets)]
    return sparse.csr_array(plain_counts(texts, k, canonical=canonical).astype(np.float32)), targets


def scaled(counts):
    """Roots of frequencies, centred, with a variance of 1 on average."""
    roots = np.sqrt(counts.toarray() / counts.toarray().sum(1, keepdims=True))
    return (roots - roots.mean(0)) / np.sqrt(roots.var(0).mean())


@given(k=st.integers(1, 3), r=st.floats(0, 0.95))
def test_twice_applied_the_square_root_is_the_correlation(k, r):
    identity = np.eye(4**k)
    np.testing.assert_allclose(spread(spread(identity, k, r), k, r), correlations(k, r), atol=1e-9)


@given(k=st.integers(3, 8), seed=st.integers(0, 9))
def test_factors_may_be_applied_one_position_at_a_time(k, seed):
    values = np.random.default_rng(seed).normal(size=(2, 4**k))
    one_by_one = values
    for position in range(k):
        parts = one_by_one.reshape(2, 4**position, 4, -1)
        one_by_one = np.einsum("ij,apjb->apib", mismatch.factor(0.3), parts).reshape(2, -1)
    np.testing.assert_allclose(spread(values, k, 0.3), one_by_one, atol=1e-9)


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_without_likeness_it_is_plain_logistic_regression(num_classes, canonical):
    counts, targets = data(num_classes, 4, canonical=canonical)
    found = next(fit_alike(counts, targets, [0.01], k=4, mismatch=0.0, **HOW))
    plain = next(fit_logistic(counts, targets, [0.01], **HOW))
    logits = [softmax(find_logits(one, counts, roots=True), axis=1) for one in (found, plain)]
    np.testing.assert_allclose(*logits, atol=1e-3)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_it_is_logistic_regression_of_features_spread_by_hand(num_classes, canonical, balanced):
    """No 3-mer is its own reverse complement: of canonical ones both forms of one are compared with the other."""
    counts, targets = data(num_classes, 3, canonical=canonical)
    kept = np.flatnonzero((targets > 0) | (np.arange(len(targets)) % 4 > 0))
    counts, targets = counts[kept], targets[kept]
    alike = correlations(3, 0.3)
    if canonical:
        words = words_of(3)
        first = [words.index(word) for word in words if word <= other_strand(word)]
        others = [words.index(other_strand(words[place])) for place in first]
        alike = alike[np.ix_(first, first)] + alike[np.ix_(first, others)]
    values, vectors = np.linalg.eigh(alike)
    features = scaled(counts) @ (vectors * np.sqrt(np.maximum(values, 0)))
    weights = "balanced" if balanced else None
    plain = LogisticRegression(C=0.02, class_weight=weights, max_iter=5000, tol=1e-9).fit(features, targets)
    found = next(fit_alike(counts, targets, [0.02], k=3, mismatch=0.3, roots=True, balanced=balanced))
    said = softmax(find_logits(found, counts, roots=True), axis=1)
    np.testing.assert_allclose(said, plain.predict_proba(features), atol=1e-4)


def test_of_even_k_those_that_are_their_own_reverse_complement_count_once():
    """By the matrices that are never written down: w = P S G v, where G gives both forms of a k-mer the same v."""
    counts, targets = data(2, 4, canonical=True)
    words = words_of(4)
    names = sorted({min(word, other_strand(word)) for word in words})
    gather = np.array([[name in (word, other_strand(word)) for name in names] for word in words], float)
    pick = np.array([[name == word for word in words] for name in names], float)
    values, vectors = np.linalg.eigh(correlations(4, 0.3))
    features = scaled(counts) @ (pick @ (vectors * np.sqrt(values)) @ vectors.T @ gather)
    plain = LogisticRegression(C=0.02, max_iter=5000, tol=1e-9).fit(features, targets)
    found = next(fit_alike(counts, targets, [0.02], k=4, mismatch=0.3, **HOW))
    said = softmax(find_logits(found, counts, roots=True), axis=1)
    np.testing.assert_allclose(said, plain.predict_proba(features), atol=1e-4)


@pytest.mark.parametrize("kind", ["two", "three", "labels"])
@pytest.mark.parametrize("canonical", [False, True])
def test_the_gradient_is_that_of_the_value(kind, canonical):
    """4-mers, some of which are their own reverse complements; one record has none."""
    counts, targets = data(3 if kind == "three" else 2, 4, canonical=canonical, num_records=7)
    counts = sparse.csr_array(sparse.diags_array([1.0] * 6 + [0.0]) @ counts)
    counts.eliminate_zeros()
    if kind == "labels":
        targets = np.stack([targets == 0, np.arange(7) > 2], 1)
    problem, _, _ = mismatch._make_problem(counts, targets, k=4, mismatch=0.4, roots=True, balanced=True)
    rng = np.random.default_rng(0)
    columns, kmers = problem.shape
    assert columns == {"two": 1, "three": 3, "labels": 2}[kind]
    flat = rng.normal(size=columns * kmers + columns)
    value, gradient = (lambda at, part=part: problem.objective(at, 0.5)[part] for part in (0, 1))
    assert check_grad(value, gradient, flat) < 1e-4 * np.linalg.norm(gradient(flat))


@pytest.mark.parametrize("balanced", [False, True])
def test_labels_are_learnt_each_for_itself(balanced):
    counts, targets = data(2, 3)
    labels = np.stack([targets == 0, np.ones(40, bool), np.arange(40) % 4 > 0], 1)
    found = next(fit_alike(counts, labels, [0.02], k=3, mismatch=0.3, roots=True, balanced=balanced))
    logits = find_logits(found, counts, roots=True)
    np.testing.assert_allclose(logits[:, 1], np.log(41), atol=1e-6)
    for label in (0, 2):
        alone = next(
            fit_alike(counts, labels[:, label].astype(int), [0.02], k=3, mismatch=0.3, **HOW | {"balanced": balanced})
        )
        expected = softmax(find_logits(alone, counts, roots=True), axis=1)[:, 1]
        np.testing.assert_allclose(expit(logits[:, label]), expected, atol=1e-4)


def test_one_c_after_the_other_is_each_c_alone():
    counts, targets = data(3, 4)
    path = fit_alike(counts, targets, (0.01, 1.0), k=4, mismatch=0.2, **HOW)
    for penalty, found in zip((0.01, 1.0), path, strict=True):
        alone = next(fit_alike(counts, targets, [penalty], k=4, mismatch=0.2, **HOW))
        logits = [softmax(find_logits(one, counts, roots=True), axis=1) for one in (found, alone)]
        np.testing.assert_allclose(*logits, atol=1e-3)


@pytest.mark.parametrize("roots", [False, True])
@pytest.mark.parametrize("length", [30, 5_000])
def test_single_precision_is_enough(length, roots, monkeypatch):
    """Also of long records, whose features are nearly their means."""
    counts, targets = data(2, 5, length=length)
    found = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr(mismatch, "DOUBLE_PRECISION", limit)
        linear = next(fit_alike(counts, targets, [0.1], k=5, mismatch=0.2, roots=roots, balanced=False))
        found.append(softmax(find_logits(linear, counts, roots=roots), axis=1))
    np.testing.assert_allclose(*found, atol=1e-4)


def test_it_is_said_where_the_solver_has_not_converged(monkeypatch, caplog):
    counts, targets = data(3, 4)
    next(fit_alike(counts, targets, [1.0], k=4, mismatch=0.2, **HOW))
    assert not caplog.records
    monkeypatch.setattr(mismatch, "MOST_ITERATIONS", 2)
    next(fit_alike(counts, targets, [1.0], k=4, mismatch=0.2, **HOW))
    assert caplog.messages == ["k-mer baseline: not converged after 2 iterations"]
    next(fit_alike(counts, targets, [1.0], k=4, mismatch=0.2, **HOW, iterations=2))
    assert len(caplog.records) == 1


def blurred(number, motif, seed):
    """Random records, in each of which a motif stands with two bases drawn anew."""
    rng = np.random.default_rng(seed)
    texts = random_texts([100] * number, odds=(0.25, 0.25, 0.25, 0.25, 0), seed=seed)
    for row, text in enumerate(texts):
        letters = list(motif)
        for place in rng.choice(len(motif), 2, replace=False):
            letters[place] = rng.choice(list("ACGT"))
        start = rng.integers(100 - len(motif))
        texts[row] = text[:start] + "".join(letters) + text[start + len(motif) :]
    return texts


@pytest.fixture
def with_blurred_motif(tmp_path):
    texts = [*blurred(300, "GATTACAGGCTC", 1), *random_texts([100] * 300, odds=(0.25, 0.25, 0.25, 0.25, 0), seed=2)]
    splits = ["train", "train", "val"] * 200
    return load(tmp_path, texts, ["motif"] * 300 + ["none"] * 300, splits)


def found_for(records, **config):
    asked = make_config("kmer")
    splits = divide_records(records, asked.data, 0)
    return choose_kmer(KmerConfig(strands="forward", **config), records, splits, asked.training)


class TestSearch:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch):
        monkeypatch.setattr(mismatch, "DECREASE", 1e-6)
        monkeypatch.setattr(search, "KS", range(3, 7))
        monkeypatch.setattr(search, "ALIKE_KS", (5, 6))
        monkeypatch.setattr(search, "PENALTIES", (1e-4, 1e-3, 1e-2))
        monkeypatch.setattr(search, "ALIKE_PENALTIES", (1e-4, 1e-3, 1e-2))

    def test_a_blurred_motif_is_learnt_better_so(self, with_blurred_motif):
        found = found_for(with_blurred_motif)
        apart, alike = (
            min(one.log_loss for one in found.candidates if bool(one.config.mismatch) is likeness)
            for likeness in (False, True)
        )
        assert alike < 0.95 * apart
        assert found.config.mismatch
        assert f"alike by {found.config.mismatch} a mismatch" in found.describe("f1_macro")
        assert {one.config.mismatch for one in found.candidates if one.config.k == 5} == {0, 0.2, 0.4}
        assert len({one.config.mismatch for one in found.candidates if one.config.k == 6} - {0}) == 1

    def test_for_the_strand_only_those_apart_are_compared(self):
        def candidates(*stated):
            how = {"k": 8, "inverse_regularisation": 1e-4, "classifier": "logistic", "features": "roots"}
            return [
                Candidate(KmerConfig(**how, strands=strands, mismatch=r), 0.5, log_loss, 10)
                for strands, r, log_loss in stated
            ]

        apart = [("forward", 0.0, 0.5), ("canonical", 0.0, 0.5)]
        assert reads_one_strand(candidates(*apart, ("forward", 0.2, 0.1)), 1000) is False
        assert reads_one_strand(candidates(("forward", 0.2, 0.1), ("canonical", 0.2, 0.5)), 1000) is True

    def test_where_nothing_tells_the_strand_both_are_tried(self, with_blurred_motif):
        asked = make_config("kmer")
        splits = divide_records(with_blurred_motif, asked.data, 0)
        found = choose_kmer(KmerConfig(mismatch=0.2), with_blurred_motif, splits, asked.training)
        assert {one.config.strands for one in found.candidates} == {"forward", "canonical"}

    def test_a_network_that_is_to_read_both_strands_gets_those_of_both(self, with_blurred_motif, monkeypatch):
        monkeypatch.setattr(search, "reads_one_strand", lambda *_: True)
        for stated, strands in ((None, "forward"), (True, "canonical"), (False, "forward")):
            asked = make_config("kmer", overrides={"training.reverse_complement": stated})
            splits = divide_records(with_blurred_motif, asked.data, 0)
            tried = choose_kmer(KmerConfig(), with_blurred_motif, splits, asked.training).candidates
            assert {one.config.strands for one in tried if one.config.mismatch} == {strands}

    @pytest.mark.parametrize(("name", "value"), [("MOST_WEIGHTS", 4**5 - 1), ("MOST_READ", 8000), ("LEAST_NATS", 500)])
    def test_where_it_would_take_too_long_or_cannot_gain_it_is_left_out(
        self, with_blurred_motif, name, value, monkeypatch
    ):
        monkeypatch.setattr(search, name, value)
        assert not any(one.config.mismatch for one in found_for(with_blurred_motif).candidates)

    def test_records_must_hold_as_many_kmers_as_there_are(self, with_blurred_motif, monkeypatch):
        monkeypatch.setattr(search, "ALIKE_KS", (8, 10))
        assert not any(one.config.mismatch for one in found_for(with_blurred_motif).candidates)

    @pytest.mark.parametrize("k", [None, 4, 7])
    def test_who_states_it_gets_it(self, with_blurred_motif, k):
        found = found_for(with_blurred_motif, mismatch=0.3, k=k)
        assert {one.config.mismatch for one in found.candidates} == {0.3}
        assert {one.config.k for one in found.candidates} <= ({5, 6} if k is None else {k})

    @pytest.mark.parametrize("stated", [{"mismatch": 0.0}, {"classifier": "naive-bayes"}, {"k": 4}])
    def test_who_does_not_want_it_does_not_get_it(self, with_blurred_motif, stated):
        found = found_for(with_blurred_motif, **stated)
        assert {one.config.mismatch for one in found.candidates} == {0}


class TestConfig:
    def test_what_is_stated_in_full_without_it_has_none(self):
        """As older runs state it."""
        config = KmerConfig(k=6, inverse_regularisation=0.1, classifier="logistic", strands="forward", features="roots")
        assert config.mismatch == 0
        assert config.is_settled
        assert KmerConfig(k=5, classifier="naive-bayes", strands="forward", features="frequencies").is_settled

    def test_who_states_it_gets_no_features_of_older_runs(self):
        config = KmerConfig(k=8, inverse_regularisation=1e-4, mismatch=0.4)
        assert (config.features, config.strands) == ("auto", "auto")
        settled = KmerConfig(mismatch=0.4).settled()
        assert (settled.k, settled.features, settled.inverse_regularisation) == (8, "roots", 1e-4)

    def test_open_it_is_to_be_chosen(self):
        assert not KmerConfig(k=6, inverse_regularisation=0.1, mismatch=None).is_settled
        assert KmerConfig().settled().mismatch == 0

    @pytest.mark.parametrize("wrong", [{"mismatch": 1.0}, {"mismatch": -0.1}, {"k": 11}])
    def test_out_of_range(self, wrong):
        with pytest.raises(ValueError, match=r"less than|greater than"):
            KmerConfig(**wrong)

    def test_naive_bayes_has_none(self):
        with pytest.raises(ValueError, match="mismatch: naive Bayes"):
            KmerConfig(classifier="naive-bayes", mismatch=0.2)
