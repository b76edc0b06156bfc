"""The k-mer baseline is chosen on the validation records, by rules that are written down, and never sees the test."""

import logging
import math

import numpy as np
import pytest
import torch
from kmer_records import load, other_strand, random_texts

from genomix.config import KmerConfig, make_config
from genomix.data.label_sets import LabelKind
from genomix.data.splits import divide_records
from genomix.metrics import score
from genomix.train.kmer import choose_canonical, choose_kmer, fit_kmer, format_candidates, reads_one_strand, search
from genomix.train.kmer.candidates import Candidate, choose, describe
from genomix.train.kmer.places import Placed

MOTIF = "GATTACA"


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """A small grid, as what is asked here does not depend on its size."""
    monkeypatch.setattr(search, "KS", range(2, 5))
    monkeypatch.setattr(search, "PENALTIES", (1e-3, 1e-1, 10.0))


def candidate(value=0.5, log_loss=0.5, size=10, k=3):
    return Candidate(KmerConfig(k=k, inverse_regularisation=1.0), value, log_loss, size)


def with_motif(number, motif, seed):
    texts = random_texts([60] * number, odds=(0.25, 0.25, 0.25, 0.25, 0), seed=seed)
    return [text[:20] + motif + text[20:40] + motif + text[40:] for text in texts]


@pytest.fixture
def strands_apart(tmp_path):
    """Records of class `a` have a motif, those of class `b` its reverse complement: canonical k-mers are the same."""
    texts = [*with_motif(60, MOTIF, 1), *with_motif(60, other_strand(MOTIF), 2)]
    splits = ["train", "train", "train", "val", "test"] * 24
    return load(tmp_path, texts, ["a"] * 60 + ["b"] * 60, splits)


def found_for(records, config=None, **training):
    asked = make_config("kmer", overrides={f"training.{name}": value for name, value in training.items()})
    splits = divide_records(records, asked.data, 0)
    return choose_kmer(config or KmerConfig(), records, splits, asked.training)


def probabilities_of(classifier, records, rows):
    with torch.inference_mode():
        for row in records.indices[rows].tolist():
            tokens = torch.from_numpy(np.array(records.store.tokens(row)))[None]
            yield classifier(tokens, torch.tensor([tokens.shape[1]]))[0].double().softmax(0).numpy()


class TestChoice:
    def test_the_metric_decides(self):
        best = candidate(0.9, log_loss=2)
        assert choose([candidate(0.7), best, candidate(0.8)], "f1_macro", 100) is best

    def test_within_a_standard_error_the_log_loss_does(self):
        """That of a share of 0.9 is 0.01 of 900 records, 0.008 of 1,400; of few records it is one record at least."""
        surer, best = candidate(0.891, log_loss=0.2), candidate(0.9, log_loss=0.4)
        assert choose([best, surer], "f1_macro", 900) is surer
        assert choose([best, surer], "f1_macro", 1400) is best
        surer, best = candidate(0.91, log_loss=0.2), candidate(1.0, log_loss=0.4)
        assert choose([best, surer], "accuracy", 10) is surer
        assert choose([best, surer], "accuracy", 20) is best
        assert choose([candidate(0.5), candidate(0.25, log_loss=0.1)], "accuracy", 4) == candidate(0.5)

    def test_then_the_smaller_model_does(self):
        small = candidate(size=3, log_loss=0.50001)
        assert choose([candidate(size=10), small, candidate(size=4)], "mcc", 50) is small

    def test_of_the_log_loss_the_lowest_wins(self):
        best = candidate(0.4, log_loss=0.30)
        assert choose([candidate(0.3, log_loss=0.31), best], "log_loss", 2) is best

    def test_an_undefined_metric_is_the_worst(self):
        assert choose([candidate(math.nan, log_loss=0.1), candidate(0.1)], "roc_auc", 9) == candidate(0.1)
        lower = candidate(math.nan, log_loss=0.1)
        assert choose([candidate(math.nan, log_loss=0.2), lower], "roc_auc", 9) is lower


class TestStrand:
    """The strand matters where it is better by a share of the log loss and by some nats over all records."""

    @staticmethod
    def candidates(*log_losses):
        return [
            Candidate(KmerConfig(k=3, classifier="naive-bayes", strands=strands), 0.5, log_loss, 10)
            for strands, log_loss in zip(("forward", "canonical") * 2, log_losses, strict=False)
        ]

    @pytest.mark.parametrize(
        ("forward", "num_records", "one"),
        [
            (0.391, 10_000, True),
            (0.393, 10_000, False),
            (0.30, 51, True),
            (0.30, 49, False),
            (0.41, 300, False),
        ],
    )
    def test_both_margins(self, forward, num_records, one):
        assert reads_one_strand(self.candidates(forward, 0.4), num_records) is one

    def test_the_best_of_each_is_compared(self):
        assert reads_one_strand(self.candidates(0.9, 0.4, 0.2, 0.8), 300) is True
        assert reads_one_strand(self.candidates(0.2, 0.9, 0.9, 0.2), 300) is False

    def test_those_in_their_places_are_compared_too(self):
        candidates = self.candidates(0.5, 0.5)
        assert reads_one_strand(candidates, 300, Placed(0.4, 0.45)) is True
        assert reads_one_strand(candidates, 300, Placed(0.45, 0.4)) is False
        assert reads_one_strand(candidates, 300, Placed(0.6, 0.9)) is False

    def test_one_that_was_not_tried_says_nothing(self):
        assert reads_one_strand(self.candidates(0.1), 300) is None
        assert reads_one_strand([], 300) is None

    def test_what_is_read_in_one_direction_is_found_out(self, strands_apart, tmp_path):
        assert reads_one_strand(found_for(strands_apart).candidates, 24) is True
        texts = [*random_texts([60] * 60, (0.4, 0.1, 0.1, 0.4, 0)), *random_texts([60] * 60, (0.1, 0.4, 0.4, 0.1, 0))]
        alike = load(
            tmp_path / "alike", texts, ["a"] * 60 + ["b"] * 60, ["train", "train", "train", "val", "test"] * 24
        )
        assert reads_one_strand(found_for(alike).candidates, 24) is False


class TestSearch:
    def test_what_is_read_in_one_direction_is_counted_in_one(self, strands_apart):
        found = found_for(strands_apart)
        by_strands = {
            strands: max(one.value for one in found.candidates if one.config.strands == strands)
            for strands in ("forward", "canonical")
        }
        assert found.config.strands == "forward"
        assert by_strands["forward"] > 0.9 > 0.8 > by_strands["canonical"]

    def test_test_records_change_nothing(self, strands_apart, tmp_path):
        found = found_for(strands_apart)
        test = divide_records(strands_apart, make_config().data, 0).test
        texts = [*with_motif(60, MOTIF, 1), *with_motif(60, other_strand(MOTIF), 2)]
        labels = list(strands_apart.labels)
        for row in test.tolist():
            texts[row], labels[row] = "N" * 9 + "ACGT" * row, "ab"[labels[row] == "a"]
        splits = ["train", "train", "train", "val", "test"] * 24
        again = found_for(load(tmp_path / "again", texts, labels, splits))
        assert again.config == found.config
        assert again.candidates == found.candidates
        for name, tensor in found.classifier.state_dict().items():
            assert torch.equal(again.classifier.state_dict()[name], tensor)

    def test_validation_records_are_not_learnt_from(self, strands_apart):
        found = found_for(strands_apart, KmerConfig(k=3))
        splits = divide_records(strands_apart, make_config().data, 0)
        rows, targets = strands_apart.indices[splits.train], strands_apart.truth[splits.train]
        alone = fit_kmer(found.config, strands_apart.store, rows, targets, 2, 0)
        for name, tensor in found.classifier.state_dict().items():
            assert torch.equal(alone.state_dict()[name], tensor)

    @pytest.mark.parametrize("metric", ["f1_macro", "mcc"])
    def test_the_metric_is_that_of_the_classifier(self, strands_apart, metric):
        """The solver goes on longer with the one that was chosen, so that a record or two may change sides."""
        found = found_for(strands_apart, metric=metric)
        val = divide_records(strands_apart, make_config().data, 0).val
        told = score(
            metric, strands_apart.truth[val], np.stack([*probabilities_of(found.classifier, strands_apart, val)])
        )
        chosen = next(one for one in found.candidates if one.config == found.config)
        assert chosen.value == pytest.approx(told, abs=0.1)
        assert chosen.num_parameters == sum(weights.numel() for weights in found.classifier.parameters())

    @pytest.mark.parametrize(
        "stated",
        [
            {"k": 3},
            {"inverse_regularisation": 0.5},
            {"classifier": "naive-bayes"},
            {"classifier": "logistic"},
            {"strands": "canonical"},
            {"features": "frequencies"},
            {"features": "roots", "k": 2},
        ],
    )
    def test_what_is_stated_stays(self, strands_apart, stated):
        found = found_for(strands_apart, KmerConfig(**stated))
        assert found.config.is_settled
        for one in found.candidates:
            assert stated.items() <= one.config.model_dump().items()

    def test_all_is_tried_that_is_open(self, strands_apart):
        tried = found_for(strands_apart, KmerConfig(k=2)).candidates
        assert {(one.config.strands, one.config.classifier) for one in tried} == {
            (strands, classifier) for strands in ("forward", "canonical") for classifier in ("logistic", "naive-bayes")
        }
        assert {one.config.inverse_regularisation for one in tried} == {None, 1e-3, 1e-1, 10.0}

    def test_with_nothing_open_nothing_is_tried(self, strands_apart, caplog):
        config = KmerConfig(k=3, inverse_regularisation=1.0)
        with caplog.at_level(logging.INFO, "genomix"):
            found = found_for(strands_apart, config)
        assert (found.config, found.candidates) == (config, [])
        assert "canonical 3-mers, logistic regression, C 1, as stated" in caplog.text

    def test_it_is_said_what_was_chosen(self, strands_apart, caplog):
        with caplog.at_level(logging.INFO, "genomix"):
            found = found_for(strands_apart)
        how = f"chosen among {len(found.candidates)} on the validation records by f1_macro"
        assert f"k-mer baseline: {describe(found.config)}, {how}" in caplog.text

    def test_it_ends_where_larger_k_are_no_better(self, tmp_path, monkeypatch):
        monkeypatch.setattr(search, "KS", range(1, 9))
        texts = [random_texts([200], odds)[0] for odds in [(0.4, 0.1, 0.1, 0.4, 0), (0.1, 0.4, 0.4, 0.1, 0)] * 30]
        records = load(tmp_path, texts, ["a", "b"] * 30, ["train", "train", "val", "val"] * 15)
        tried = found_for(records, KmerConfig(classifier="naive-bayes")).candidates
        assert max(one.config.k for one in tried) < 8

    def test_k_that_leave_a_class_without_kmers_are_not_tried(self, tmp_path):
        texts = ["ACG", "AAC", "CAG", "AAG"] * 5 + random_texts([40] * 20, odds=(0.25, 0.25, 0.25, 0.25, 0))
        records = load(tmp_path, texts, ["short"] * 20 + ["long"] * 20, ["train", "train", "val", "val"] * 10)
        assert {one.config.k for one in found_for(records).candidates} == {2, 3}

    def test_k_that_take_too_much_room_are_not_tried(self, strands_apart, monkeypatch):
        monkeypatch.setattr(search, "MOST_ENTRIES", 72 * 4**3)
        assert {one.config.k for one in found_for(strands_apart, KmerConfig(strands="forward")).candidates} == {2, 3}

    def test_k_for_which_there_is_no_room_are_not_even_counted(self, strands_apart, monkeypatch):
        counted, count = [], search.count_kmers
        monkeypatch.setattr(search, "KS", range(2, 11))
        monkeypatch.setattr(search, "MOST_ENTRIES", 72 * 4**3)
        monkeypatch.setattr(search, "count_kmers", lambda store, rows, k: counted.append(k) or count(store, rows, k))
        found_for(strands_apart)
        assert {*counted} == {2, 3}

    def test_of_long_kmers_the_weights_are_limited_too(self, strands_apart, monkeypatch):
        monkeypatch.setattr(search, "KS", range(7, 11))
        monkeypatch.setattr(search, "PATIENCE", 99)
        monkeypatch.setattr(search, "MOST_WEIGHTS", 4**9)
        assert {one.config.k for one in found_for(strands_apart).candidates} == {7, 8, 9}

    def test_of_many_records_a_sample_is_tried(self, strands_apart, monkeypatch):
        """All of them are learnt from in the end."""
        monkeypatch.setattr(search, "MOST_RECORDS", 10)
        found = found_for(strands_apart, KmerConfig(k=2))
        splits = divide_records(strands_apart, make_config().data, 0)
        rows, targets = strands_apart.indices[splits.train], strands_apart.truth[splits.train]
        alone = fit_kmer(found.config, strands_apart.store, rows, targets, 2, 0)
        assert torch.equal(alone.head.weight, found.classifier.head.weight)

    def test_records_may_have_several_labels(self, tmp_path):
        rng = np.random.default_rng(0)
        has = rng.random((80, 2)) < 0.5
        texts = random_texts([60] * 80, odds=(0.25, 0.25, 0.25, 0.25, 0))
        texts = [
            ("AAAAAAAAAA" * one) + text + ("CGCGCGCGCG" * two)
            for text, (one, two) in zip(texts, has.tolist(), strict=True)
        ]
        labels = [";".join(name for name, there in zip("xy", row, strict=True) if there) or "-" for row in has]
        records = load(tmp_path, texts, labels, ["train", "val"] * 40, kind=LabelKind(is_multi=True))
        found = found_for(records)
        chosen = next(one for one in found.candidates if one.config == found.config)
        assert chosen.value > 0.9

    def test_classes_weigh_alike_where_they_are_to(self, strands_apart):
        natural, weighted = (found_for(strands_apart, KmerConfig(k=2), classes=how) for how in ("natural", "weighted"))
        assert natural.config.k == weighted.config.k == 2
        rows = np.arange(40)
        rare = load(strands_apart.store.directory.parent / "rare", *_rare(strands_apart, rows))
        natural, weighted = (
            found_for(rare, KmerConfig(k=2, inverse_regularisation=1e-3), classes=how).classifier
            for how in ("natural", "weighted")
        )
        shares = [
            np.mean([one[1] for one in probabilities_of(each, rare, np.arange(40))]) for each in (natural, weighted)
        ]
        assert shares[0] < 0.3 < 0.4 < shares[1]


def _rare(records, rows):
    """Texts, labels and splits of which every fifth record is of class `b`."""
    texts = random_texts([60] * len(rows), odds=(0.25, 0.25, 0.25, 0.25, 0))
    return texts, ["aaaab"[row % 5] for row in rows], ["train", "train", "val"] * 13 + ["train"]


def test_the_table_has_a_line_a_candidate():
    one, other = candidate(k=3), Candidate(KmerConfig(k=2, classifier="naive-bayes").settled(), math.nan, 0.1, 9)
    header, *rows = format_candidates([one, other], one.config, "mcc").splitlines()
    columns = header.split("\t")
    first, second = (dict(zip(columns, row.split("\t"), strict=True)) for row in rows)
    assert (first["k"], first["inverse_regularisation"], first["val_mcc"], first["chosen"]) == (
        "3",
        "1.0",
        "0.500000",
        "yes",
    )
    assert (second["inverse_regularisation"], second["val_mcc"], second["chosen"]) == ("", "nan", "no")


class TestConfig:
    def test_k_and_c_alone_are_what_older_runs_stated(self):
        config = KmerConfig(k=5, inverse_regularisation=1.0)
        assert (config.classifier, config.strands, config.features) == ("logistic", "canonical", "frequencies")
        assert config.is_settled

    def test_what_is_stated_beside_them_counts(self):
        config = KmerConfig(k=5, inverse_regularisation=1.0, strands="forward")
        assert (config.classifier, config.strands) == ("logistic", "forward")
        assert not KmerConfig(k=5, inverse_regularisation=1.0, strands="auto").is_settled

    def test_settled_is_the_oldest_baseline(self):
        assert KmerConfig().settled() == KmerConfig(k=5, inverse_regularisation=1.0)
        bayes = KmerConfig(classifier="naive-bayes").settled()
        assert (bayes.k, bayes.inverse_regularisation, bayes.is_settled) == (5, None, True)
        assert not KmerConfig().is_settled

    @pytest.mark.parametrize("wrong", [{"inverse_regularisation": 1.0}, {"features": "roots"}])
    def test_naive_bayes_has_neither_c_nor_roots(self, wrong):
        with pytest.raises(ValueError, match="naive Bayes"):
            KmerConfig(classifier="naive-bayes", **wrong)


class TestBothStrands:
    def test_the_best_that_says_the_same_of_both_is_taken(self, strands_apart):
        asked = make_config()
        splits = divide_records(strands_apart, asked.data, 0)
        found = choose_kmer(KmerConfig(), strands_apart, splits, asked.training)
        assert found.config.strands == "forward"
        both = choose_canonical(found, strands_apart, splits, asked.training)
        assert both.config.strands == "canonical"
        assert both.candidates == found.candidates
        worths = [one.value for one in found.candidates if one.config.strands == "canonical"]
        (own,) = [one.value for one in found.candidates if one.config == both.config]
        assert own >= max(worths) - 1 / len(splits.val)
        assert choose_canonical(both, strands_apart, splits, asked.training) is both
