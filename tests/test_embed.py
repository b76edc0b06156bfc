"""The vectors are what the last layer reads, whatever the windows, the strands and the batches."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from scipy.special import softmax

from genomix import embed as embedding
from genomix.data.composition import count_kmers
from genomix.data.records import Record
from genomix.data.vocabulary import decode, reverse_complement
from genomix.data.windows import cover, coverage_weights
from genomix.embed import embed, kmer_names, vectors
from genomix.errors import CannotWriteError, NoInputError, UsageError
from genomix.scoring import make_scorer

sys.path.append(str(Path(__file__).parent / "scoring"))
from scored import LENGTHS, MAX_LENGTH, make_model, random_records


def named(records):
    return [Record(f"r{i}", f"r{i}", tokens, "x.fa", 1) for i, tokens in enumerate(records)]


def logits(model, tokens):
    with torch.no_grad():
        return model.classifier(torch.from_numpy(tokens.copy())[None], torch.tensor([len(tokens)]))[0].numpy()


def through_head(model, vector):
    return (model.classifier.head[-1](torch.from_numpy(vector))).detach().numpy()


@pytest.mark.parametrize("overrides", [{}, {"model.head.norm": "layer"}, {"model.head.norm": "none"}])
@pytest.mark.parametrize("pooling", ["mean", "attention", "flatten"])
def test_the_last_layer_makes_the_logits_of_the_vectors(overrides, pooling):
    model = make_model(**{"model.pooling": pooling, "model.head.dropout": 0.3}, **overrides)
    scorer = make_scorer(model, strands="forward", batch_bases=100)
    records = random_records([length for length in LENGTHS if length <= MAX_LENGTH])
    for tokens, row in zip(records, vectors(scorer, named(records)), strict=True):
        np.testing.assert_allclose(through_head(model, row.vector), logits(model, tokens), rtol=1e-4, atol=1e-5)


def test_padding_by_tokens():
    model = make_model("paramixer-paper", **{"model.embedding.dim": 8})
    records = random_records([5, 32, 7])
    for tokens, row in zip(records, vectors(make_scorer(model), named(records)), strict=True):
        np.testing.assert_allclose(through_head(model, row.vector), logits(model, tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strands", ["forward", "both"])
@pytest.mark.parametrize("batch_bases", [1, 64, 10_000])
def test_windows_and_their_mean(strands, batch_bases):
    model = make_model()
    scorer = make_scorer(model, strands=strands, stride=20, batch_bases=batch_bases)
    records = random_records()
    rows = list(vectors(scorer, named(records), "window"))
    whole = list(vectors(scorer, named(records)))
    assert [row.name for row in whole] == [f"r{i}" for i in range(len(records))]
    assert [row.integers for row in whole] == [(len(tokens),) for tokens in records]
    for i, tokens in enumerate(records):
        mine = [row for row in rows if row.name == f"r{i}"]
        windows = cover(len(tokens), MAX_LENGTH, 20)
        assert [row.integers for row in mine] == [tuple(window) for window in windows]
        for row, window in zip(mine, windows, strict=True):
            piece = tokens[window.start : window.end]
            read = [piece, reverse_complement(piece)] if strands == "both" else [piece]
            expected = np.mean([logits(model, strand) for strand in read], axis=0)
            np.testing.assert_allclose(through_head(model, row.vector), expected, rtol=1e-4, atol=1e-5)
        weights = coverage_weights(windows, len(tokens))
        if strands == "forward":
            mean = np.average([row.vector for row in mine], axis=0, weights=weights)
            np.testing.assert_allclose(whole[i].vector, mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strands", ["forward", "both"])
def test_the_head_makes_of_a_records_vector_what_is_predicted(strands):
    """Also of longer records: both strands are covered with windows, each from its own beginning."""
    scorer = make_scorer(make_model(), strands=strands, batch_bases=10_000)
    records = random_records()
    assert max(map(len, records)) > MAX_LENGTH
    found = [softmax(through_head(scorer.model, row.vector)) for row in vectors(scorer, named(records))]
    np.testing.assert_allclose(found, list(scorer.score(records)), rtol=1e-4, atol=1e-5)
    if strands == "both":
        flipped = vectors(scorer, named([reverse_complement(tokens) for tokens in records]))
        expected = [row.vector for row in vectors(scorer, named(records))]
        np.testing.assert_allclose([row.vector for row in flipped], expected, rtol=1e-4, atol=1e-5)


def test_no_more_is_read_than_is_computed():
    """Memory does not grow with the number of records: vectors come while records are still being read."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield Record("x", "x", random_records([30])[0], "x.fa", 1)

    rows = vectors(make_scorer(make_model(), batch_bases=60, strands="forward"), endless())
    for number in range(1, 200):
        next(rows)
        assert read <= number + 60


def test_of_long_vectors_few_are_held_at_once(monkeypatch):
    """Those of 10-mers have half a million numbers."""
    model = make_model("kmer")
    monkeypatch.setattr(embedding, "MOST_NUMBERS", 3 * embedding.vector_dim(model.classifier))
    held = []
    features = embedding.features

    def counted(classifier, tokens, lengths):
        held.append(len(tokens))
        return features(classifier, tokens, lengths)

    monkeypatch.setattr(embedding, "features", counted)
    tokens = [random_records([30])[0] for _ in range(10)]
    rows = list(vectors(make_scorer(model), named(tokens)))
    assert len(rows) == 10
    assert max(held) == 3
    assert sum(held) == 10


def test_kmer_models_give_frequencies():
    model = make_model("kmer")
    tokens = random_records([200])[0]
    (row,) = vectors(make_scorer(model), named([tokens]))
    names = kmer_names(model.classifier)
    text = decode(tokens)
    k = model.classifier.k
    kmers = [text[i : i + k] for i in range(len(text) - k + 1) if "N" not in text[i : i + k]]
    canonical = [min(kmer, kmer[::-1].translate(str.maketrans("ACGT", "TGCA"))) for kmer in kmers]
    expected = [canonical.count(name) / len(kmers) for name in names]
    np.testing.assert_allclose(row.vector, expected, rtol=1e-5)
    assert count_kmers(tokens).sum() > 0


class TestFiles:
    @pytest.fixture
    def fasta(self, tmp_path):
        self.records = random_records()
        path = tmp_path / "data.fa"
        path.write_text("".join(f">r{i} x\n{decode(tokens)}\n" for i, tokens in enumerate(self.records)))
        return path

    @pytest.mark.parametrize("per", ["record", "window"])
    def test_both_formats_hold_what_was_computed(self, fasta, tmp_path, per):
        scorer = make_scorer(make_model())
        rows = list(vectors(scorer, named(self.records), per))
        summary = embed(scorer, [str(fasta)], tmp_path / "v.npz", per=per)
        embed(scorer, [str(fasta)], tmp_path / "v.parquet", per=per)
        assert (summary.num_rows, summary.dim) == (len(rows), 8)
        archive = np.load(tmp_path / "v.npz", allow_pickle=False)
        table = parquet.read_table(tmp_path / "v.parquet").to_pydict()
        names = {"record": ["ids", "lengths"], "window": ["sequences", "starts", "ends"]}[per]
        assert list(table) == archive.files == [*names, "vectors"]
        assert archive["vectors"].dtype == np.float32
        for found in (archive, table):
            assert list(found[names[0]]) == [row.name for row in rows]
            for i, column in enumerate(names[1:]):
                assert list(found[column]) == [row.integers[i] for row in rows]
            np.testing.assert_allclose(np.array(found["vectors"]), [row.vector for row in rows], rtol=1e-6)

    def test_kmers_are_named(self, fasta, tmp_path):
        embed(make_scorer(make_model("kmer")), [str(fasta)], tmp_path / "v.npz")
        archive = np.load(tmp_path / "v.npz")
        assert archive["kmers"][0] == "AAAAA"
        assert archive["vectors"].shape == (len(self.records), len(archive["kmers"])) == (len(self.records), 512)

    def test_many_rows_and_long_names(self, tmp_path):
        path = tmp_path / "many.fa"
        path.write_text("".join(f">{'n' * (i % 40)}{i}\nACGTAC\n" for i in range(9000)))
        for name in ("v.npz", "v.parquet"):
            embed(make_scorer(make_model("kmer")), [str(path)], tmp_path / name)
        ids = np.load(tmp_path / "v.npz")["ids"]
        assert ids[8999] == "n" * (8999 % 40) + "8999"
        assert list(ids) == parquet.read_table(tmp_path / "v.parquet")["ids"].to_pylist()

    def test_nothing_is_left_after_an_error(self, fasta, tmp_path):
        scorer = make_scorer(make_model())
        (tmp_path / "bad.fa").write_text(">a\nACGT\n>b\nAC!T\n")
        with pytest.raises(Exception, match=r"bad\.fa:4"):
            embed(scorer, [str(tmp_path / "bad.fa")], tmp_path / "v.npz")
        with pytest.raises(NoInputError):
            embed(scorer, [str(tmp_path / "none.fa")], tmp_path / "v.npz")
        with pytest.raises(UsageError, match="suffix"):
            embed(scorer, [str(fasta)], tmp_path / "v.csv")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.fa", "data.fa"]
        (tmp_path / "v.npz").write_text("mine")
        with pytest.raises(CannotWriteError, match="--force"):
            embed(scorer, [str(fasta)], tmp_path / "v.npz")
        assert (tmp_path / "v.npz").read_text() == "mine"
        embed(scorer, [str(fasta)], tmp_path / "v.npz", force=True)
        assert len(np.load(tmp_path / "v.npz")["vectors"]) == len(self.records)
