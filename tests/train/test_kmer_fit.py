"""K-mers of many records are counted as by a plain loop, and the linear models are those of scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kmer_records import load, other_strand, plain_counts, random_texts
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from genomix.config import KmerConfig
from genomix.data.dataset import collate
from genomix.data.label_sets import LabelKind
from genomix.data.vocabulary import ENCODING
from genomix.train.kmer import counts as counting
from genomix.train.kmer import design, fit, fit_kmer, linear
from genomix.train.kmer.counts import count_kmers, join_strands
from genomix.train.kmer.linear import MOST_INDEPENDENT, fit_logistic, fit_naive_bayes

STRANDS = pytest.mark.parametrize("strands", ["canonical", "forward"])
ODDS = [(0.3, 0.2, 0.2, 0.28, 0.02), (0.2, 0.3, 0.3, 0.18, 0.02), (0.4, 0.1, 0.3, 0.18, 0.02)]
TEXTS = st.lists(st.text("ACGTN", min_size=1, max_size=40), min_size=1, max_size=6)


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """Let the solver go on until all ways to the same optimum are there."""
    monkeypatch.setattr(linear, "TOLERANCE", 1e-7)


class Texts:
    """Stands for a store of these texts."""

    def __init__(self, texts):
        self._tokens = [encode(text) for text in texts]
        self.lengths = np.array([len(text) for text in texts])

    def tokens(self, row):
        return self._tokens[row]


def encode(text):
    return np.frombuffer(text.encode().translate(ENCODING), dtype=np.uint8)


def count(texts, k, strands="forward"):
    found = count_kmers(Texts(texts), np.arange(len(texts)), k)
    return join_strands(found, k) if strands == "canonical" else found


def classes_of(num_classes, num_records=30, length=40):
    """Texts of classes that differ in their composition, and their targets."""
    targets = np.arange(num_records) % num_classes
    texts = [random_texts([length + 3 * i], ODDS[target], seed=i)[0] for i, target in enumerate(targets)]
    return texts, targets


def log_probabilities(classifier, texts):
    with torch.inference_mode():
        return classifier(*collate([encode(text) for text in texts])).double().log_softmax(1).numpy()


@STRANDS
@pytest.mark.parametrize("chunk_bp", [5, 1 << 22])
@given(texts=TEXTS, k=st.integers(1, 5))
def test_counts_equal_those_of_a_plain_loop(strands, chunk_bp, texts, k):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "CHUNK_BP", chunk_bp)
        found = count(texts, k, strands)
    np.testing.assert_array_equal(found.toarray(), plain_counts(texts, k, canonical=strands == "canonical"))


@given(texts=TEXTS, k=st.integers(1, 5))
def test_canonical_counts_are_those_of_the_other_strand(texts, k):
    reversed_texts = [other_strand(text) for text in texts]
    assert (count(texts, k, "canonical") != count(reversed_texts, k, "canonical")).nnz == 0


def test_rows_are_counted_in_the_order_that_was_asked_for():
    texts = random_texts([20, 30, 40])
    found = count_kmers(Texts(texts), np.array([2, 0]), 2)
    np.testing.assert_array_equal(found.toarray(), plain_counts([texts[2], texts[0]], 2, canonical=False))


@STRANDS
@pytest.mark.parametrize("features", ["frequencies", "roots"])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("k", [2, 4])
def test_logistic_regression_predicts_what_scikit_learn_predicts(k, num_classes, features, strands):
    """With k = 4 there are more features than records, which the solver then sees by their components."""
    texts, targets = classes_of(num_classes)
    config = KmerConfig(k=k, inverse_regularisation=0.5, strands=strands, features=features)
    rows = np.arange(30)[::-1].copy()
    classifier = fit_kmer(config, Texts(texts), rows, targets[rows], num_classes, seed=0)
    unseen = random_texts([20, 77, 500], seed=99)
    learnt, asked = (plain_counts(part, k, canonical=strands == "canonical") for part in (texts, [*texts, *unseen]))
    learnt, asked = (part / part.sum(1, keepdims=True) for part in (learnt, asked))
    steps = [StandardScaler()]
    if features == "roots":
        overall = np.sqrt(learnt).std(axis=0)
        scale = np.sqrt((overall**2).mean())
        steps = [FunctionTransformer(lambda x: np.sqrt(x) / scale), StandardScaler(with_std=False)]
    plain = make_pipeline(*steps, LogisticRegression(C=0.5, max_iter=2000, tol=1e-7)).fit(learnt, targets)
    found = np.exp(log_probabilities(classifier, [*texts, *unseen]))
    np.testing.assert_allclose(found, plain.predict_proba(asked), atol=2e-3)


@pytest.mark.parametrize("roots", [False, True])
@pytest.mark.parametrize("projected", [False, True])
def test_sparse_features_give_the_same_as_dense_ones(roots, projected, monkeypatch):
    texts, targets = classes_of(3, num_records=90)
    counts = count(texts, 5)
    dense = next(fit_logistic(counts, targets, [0.01], roots=roots, balanced=False))
    monkeypatch.setattr(design, "ALWAYS_DENSE", 0)
    if not projected:
        monkeypatch.setattr(design, "MOST_PRODUCTS", 0)
    made = design.make_design(counts, targets, roots=roots)
    assert sparse.issparse(made.matrix) != projected
    assert made.matrix.shape == ((90, 89) if projected else (90, 4**5))
    found = next(fit_logistic(counts, targets, [0.01], roots=roots, balanced=False))
    logits = [design.find_logits(one, counts, roots=roots) for one in (dense, found)]
    np.testing.assert_allclose(*(softmax(part, axis=1) for part in logits), atol=1e-4)


@pytest.mark.parametrize("roots", [False, True])
def test_of_sparse_features_records_without_any_are_left_out(roots, monkeypatch):
    texts, targets = classes_of(3, num_records=90)
    monkeypatch.setattr(design, "ALWAYS_DENSE", 0)
    monkeypatch.setattr(design, "MOST_PRODUCTS", 0)
    found = next(fit_logistic(count(texts, 5), targets, [0.01], roots=roots, balanced=False))
    with_empty = next(
        fit_logistic(count([*texts, "AC"], 5), np.append(targets, 0), [0.01], roots=roots, balanced=False)
    )
    for one, other in zip(with_empty, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@given(seed=st.integers(0, 99), silent=st.booleans(), roots=st.booleans(), k=st.integers(3, 5))
def test_components_of_sparse_features_are_those_of_dense_ones(seed, silent, roots, k):
    """Records by their components have the products that centred features have, and weights the scores."""
    rng = np.random.default_rng(seed)
    texts = random_texts(list(rng.integers(k, 60, 12)), seed=seed) + ["AC"] * silent
    counts = count(texts, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(design, "ALWAYS_DENSE", 0)
        patch.setattr(design, "DENSE_SHARE", 2)
        made = design.make_design(counts, np.arange(len(texts)) % 2, roots=roots)
    values, mean, scale = design.scale_features(counts, roots=roots)
    centred = (values.toarray() - mean) / scale
    centred[np.diff(counts.indptr) == 0] = 0
    np.testing.assert_allclose(made.matrix @ made.matrix.T, centred @ centred.T, atol=1e-6 * 4**k)
    weight = rng.normal(size=(2, made.matrix.shape[1]))
    read = made.read_back(weight, np.zeros(2)).weight
    np.testing.assert_allclose(centred @ read.T, made.matrix @ weight.T, atol=1e-5)


def test_records_that_are_all_alike_have_no_components(monkeypatch):
    monkeypatch.setattr(design, "ALWAYS_DENSE", 0)
    counts = count(["ACGTTGCAAC"] * 6, 4)
    (found,) = fit_logistic(counts, np.arange(6) % 2, [1.0], roots=True, balanced=False)
    np.testing.assert_allclose(design.find_probabilities(found, counts, roots=True, multi_label=False), 0.5, atol=1e-6)


@pytest.mark.parametrize("direct", [False, True])
def test_one_c_after_the_other_is_each_c_alone(direct, monkeypatch):
    texts, targets = classes_of(3)
    if direct:
        monkeypatch.setattr(design, "MOST_PROJECTED", 0)
    counts = count(texts, 4)
    path = fit_logistic(counts, targets, (0.01, 1.0), roots=True, balanced=False)
    for penalty, found in zip((0.01, 1.0), path, strict=True):
        alone = next(fit_logistic(counts, targets, [penalty], roots=True, balanced=False))
        logits = [design.find_logits(one, counts, roots=True) for one in (found, alone)]
        np.testing.assert_allclose(*logits, atol=1e-3)


@STRANDS
@pytest.mark.parametrize("balanced", [False, True])
@given(seed=st.integers(0, 99), k=st.integers(1, 4), num_classes=st.integers(2, 3))
def test_naive_bayes_is_that_of_scikit_learn(strands, balanced, seed, k, num_classes):
    """Of records with the median number of k-mers; the logits of others do not grow with their length."""
    rng = np.random.default_rng(seed)
    targets = np.append(rng.integers(num_classes, size=12), np.arange(num_classes))
    texts = [random_texts([30], _known(ODDS[target]), seed + i)[0] for i, target in enumerate(targets)]
    config = KmerConfig(k=k, classifier="naive-bayes", strands=strands)
    classifier = fit_kmer(config, Texts(texts), np.arange(len(texts)), targets, num_classes, 0, balanced=balanced)
    learnt = plain_counts(texts, k, canonical=strands == "canonical")
    plain = MultinomialNB(fit_prior=not balanced).fit(learnt, targets)
    np.testing.assert_allclose(log_probabilities(classifier, texts), plain.predict_log_proba(learnt), atol=2e-3)
    long = random_texts([90], _known(ODDS[0]), seed)
    shares = plain_counts(long, k, canonical=strands == "canonical")
    shares *= (30 - k + 1) / shares.sum()
    np.testing.assert_allclose(log_probabilities(classifier, long), plain.predict_log_proba(shares), atol=2e-3)
    np.testing.assert_allclose(log_probabilities(classifier, ["N"])[0], plain.class_log_prior_, atol=1e-5)


def _known(odds):
    """The odds of bases none of which is unknown."""
    return (*np.array(odds[:4]) / sum(odds[:4]), 0.0)


def test_of_long_records_no_more_than_so_many_kmers_count():
    texts = random_texts([3 * MOST_INDEPENDENT] * 4)
    found = fit_naive_bayes(count(texts, 2), np.array([0, 1, 0, 1]), 2, balanced=False)
    np.testing.assert_allclose(1 / found.scale, MOST_INDEPENDENT)


@pytest.mark.parametrize("classifier", ["logistic", "naive-bayes"])
def test_each_of_several_labels_is_told_from_its_absence(classifier, tmp_path):
    texts, targets = classes_of(3)
    labels = [("a;all", "b;all", "a;b;all")[target] for target in targets]
    records = load(tmp_path, texts, labels, kind=LabelKind(is_multi=True))
    assert records.classes == ["a", "all", "b"]
    config = KmerConfig(k=2, classifier=classifier, strands="forward", features="frequencies")
    found = fit_kmer(config, records.store, records.indices, records.truth, 3, 0)
    with torch.inference_mode():
        probabilities = found(*collate([encode(text) for text in texts])).double().sigmoid().numpy()
    learnt = plain_counts(texts, 2, canonical=False)
    shares = learnt / learnt.sum(1, keepdims=True)
    for label in (0, 2):
        if classifier == "logistic":
            plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, tol=1e-7))
            expected = plain.fit(shares, records.truth[:, label]).predict_proba(shares)
        else:
            plain = MultinomialNB().fit(learnt, records.truth[:, label])
            expected = plain.predict_proba(shares * np.median(learnt.sum(1)))
        np.testing.assert_allclose(probabilities[:, label], expected[:, 1], atol=2e-3)
    np.testing.assert_allclose(probabilities[:, 1], 31 / 32, atol=1e-7)


def test_weights_of_the_classes_are_those_of_scikit_learn():
    texts, targets = classes_of(2)
    kept = np.flatnonzero((targets == 0) | (np.arange(30) % 6 == 1))
    texts, targets = [texts[i] for i in kept], targets[kept]
    config = KmerConfig(k=2, inverse_regularisation=1.0)
    classifier = fit_kmer(config, Texts(texts), np.arange(len(texts)), targets, 2, 0, balanced=True)
    counts = plain_counts(texts, 2, canonical=True)
    shares = counts / counts.sum(1, keepdims=True)
    plain = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000, tol=1e-7))
    expected = plain.fit(shares, targets).predict_proba(shares)
    np.testing.assert_allclose(np.exp(log_probabilities(classifier, texts)), expected, atol=2e-3)


def test_a_class_of_records_without_any_kmer_is_learnt_nonetheless(monkeypatch):
    monkeypatch.setattr(design, "ALWAYS_DENSE", 0)
    texts, targets = ["ACGTAC", "CCGTAC", "GGGTAA", "NN", "N"], np.array([0, 0, 1, 2, 2])
    classifier = fit_kmer(KmerConfig(k=4, inverse_regularisation=1.0), Texts(texts), np.arange(5), targets, 3, seed=0)
    assert log_probabilities(classifier, texts).argmax(1).tolist()[3:] == [2, 2]


def test_a_sample_for_want_of_room_keeps_every_class(monkeypatch):
    monkeypatch.setattr(fit, "MOST_RECORDS", 20)
    targets = np.array([0] * 100 + [1] * 100 + [2])
    texts = random_texts([30] * len(targets), seed=1)
    classifier = fit_kmer(KmerConfig(k=2), Texts(texts), np.arange(len(targets)), targets, 3, seed=0)
    assert len({tuple(row) for row in classifier.head.weight.tolist()}) == 3
    assert {0, 1, 2} == {*targets[fit.sample(targets, 20, 0)]}
    assert len(fit.sample(targets, 20, 0)) < len(targets)


def test_the_sample_goes_by_the_kmers_that_records_can_hold_not_by_all_there_are(monkeypatch):
    """200 records of 30 bp hold at most 21 10-mers each, of half a million."""
    targets, texts = np.arange(200) % 2, random_texts([30] * 200, seed=1)
    learnt = []
    count = fit.count_kmers
    monkeypatch.setattr(fit, "count_kmers", lambda store, rows, k: learnt.append(len(rows)) or count(store, rows, k))
    for most in (200 * 21, 100 * 21):
        monkeypatch.setattr(fit, "MOST_COUNTS", most)
        fit_kmer(KmerConfig(k=10, inverse_regularisation=1e-4), Texts(texts), np.arange(200), targets, 2, seed=0)
    assert learnt[0] == 200
    assert 100 <= learnt[1] < 160


@pytest.mark.parametrize("roots", [False, True])
def test_records_that_are_all_alike_tell_the_shares_of_the_classes_only(roots):
    found = fit_kmer(
        KmerConfig(k=3, inverse_regularisation=1.0, features="roots" if roots else "frequencies"),
        Texts(["ACGTTACG"] * 6),
        np.arange(6),
        np.array([0, 0, 1, 0, 1, 0]),
        2,
        0,
    )
    with torch.inference_mode():
        said = found(*collate([encode("ACGTTACG")]))[0].softmax(0)
    np.testing.assert_allclose(said, [4 / 6, 2 / 6], atol=1e-4)
