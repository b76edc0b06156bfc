"""Temperatures are applied once, to the mean over windows and strands; a reference is asked about each record."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from scored import Named, make_model, random_records

from genomix.data.composition import count_kmers
from genomix.data.reference_fit import make_reference
from genomix.data.store import build_store
from genomix.data.vocabulary import decode
from genomix.metrics.calibration import calibrate, soften
from genomix.scoring import Ensemble, Scorer, fit_calibration, make_scorer

ANY_CALIBRATION = calibrate([[0.9, 0.05, 0.05]] * 4, [0, 1, 2, 0])


def with_temperature(model, temperature):
    calibration = ANY_CALIBRATION.model_copy(update={"temperature": temperature})
    return replace(model, calibration=calibration)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("options", [{}, {"long": "crop", "strands": "forward"}, {"stride": 10}])
def test_scores_are_softened_scores(model, temperature, options):
    plain = np.stack(list(Scorer(model, **options).score(random_records())))
    found = np.stack(list(Scorer(with_temperature(model, temperature), **options).score(random_records())))
    np.testing.assert_allclose(found, soften(plain, temperature), atol=1e-9)
    assert (found.argmax(axis=1) == plain.argmax(axis=1)).all()
    assert (np.abs(found - plain).max() > 1e-3) == (temperature != 1)


def test_rows_are_calibrated_too_and_can_be_left_as_they_are(model):
    records = [Named(str(place), tokens) for place, tokens in enumerate(random_records())]
    hot = with_temperature(model, 3.0)
    plain, calibrated, uncalibrated = (
        np.stack([row.probabilities for row in scorer.predict(records)])
        for scorer in (Scorer(model), make_scorer(hot), make_scorer(hot, calibrated=False))
    )
    np.testing.assert_array_equal(uncalibrated, plain)
    np.testing.assert_allclose(calibrated, soften(plain, 3.0), atol=1e-9)


def test_no_temperature_underflows(model):
    sure = make_model()
    sure.classifier.head[-1].bias.data.copy_(sure.classifier.head[-1].bias.new_tensor([5000.0, 0.0, -5000.0]))
    for probabilities in Scorer(with_temperature(sure, 0.02)).score(random_records()):
        np.testing.assert_allclose(probabilities, [1, 0, 0])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("store")
    records = random_records([100] * 40, seed=3)
    (directory / "data.fa").write_text("".join(f">r{place}\n{decode(one)}\n" for place, one in enumerate(records)))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


class TestFitCalibration:
    def test_it_is_that_of_the_plain_probabilities_both_strands(self, model, store):
        rows, targets = [3, 1, 7, 20, 30], np.array([0, 1, 2, 0, 1])
        plain = np.stack(list(Scorer(model).score(store.tokens(row) for row in rows)))
        expected = calibrate(plain, targets)
        for already in (model, with_temperature(model, 5.0)):
            assert fit_calibration(make_scorer(already), store, rows, targets) == expected

    def test_a_model_without_epochs_says_so(self, store):
        found = fit_calibration(make_scorer(make_model("kmer")), store, range(5), np.array([0, 1, 2, 0, 1]))
        assert not found.chose_epoch

    def test_several_models_are_calibrated_by_their_mean_without_a_temperature(self, model, store):
        rows, targets = [3, 1, 7], np.array([0, 1, 2])
        members = [make_scorer(with_temperature(make_model(seed=seed), 1.0 + seed)) for seed in range(2)]
        mean = np.mean([list(member.score(store.tokens(row) for row in rows)) for member in members], axis=0)
        found = fit_calibration(Ensemble(members), store, rows, targets)
        assert found.temperature == 1
        np.testing.assert_allclose(found.scores, np.sort(1 - mean[np.arange(3), targets]), atol=2e-9)


@pytest.fixture(scope="module")
def scorer(model, store):
    return Scorer(replace(model, reference=make_reference(store, np.arange(30), np.arange(30, 40))))


class TestUnlikeTraining:
    def row(self, scorer, tokens):
        [row] = scorer.predict([Named("r", np.asarray(tokens, np.uint8))])
        return row

    def test_a_repeat_is_told_with_its_distance_and_the_limit(self, scorer):
        tokens = np.resize([0, 1], 100).astype(np.uint8)
        distance = scorer.model.reference.distance(count_kmers(tokens))
        row = self.row(scorer, tokens)
        assert row.statuses == ("unlike_training",)
        assert row.note == (
            f"its composition lies {distance.value:.2f} from the training records, beyond {distance.limit:.2f}"
        )
        assert row.probabilities is not None

    def test_a_record_like_the_others_is_ok(self, scorer, store):
        rows = list(scorer.predict(Named(str(row), store.tokens(row)) for row in range(30, 40)))
        assert {row.statuses for row in rows} == {("ok",)}

    def test_only_what_is_beyond_the_limit_is(self, model, scorer, store):
        own = scorer.model.reference
        value = own.distance(count_kmers(store.tokens(35))).value
        for limit, status in ((value, "ok"), (0.999 * value, "unlike_training")):
            moved = replace(own, limits=np.full_like(own.limits, limit))
            assert self.row(Scorer(replace(model, reference=moved)), store.tokens(35)).statuses == (status,)

    def test_it_stands_beside_other_doubts(self, scorer):
        tokens = [4] * 40 + [0] * 60
        assert self.row(scorer, tokens).statuses == ("n_rich", "unlike_training")
        assert "; its composition lies" in self.row(scorer, tokens).note

    def test_a_record_too_short_to_tell_is_not_told(self, scorer):
        assert self.row(scorer, [0] * 30).statuses == ("ok",)

    def test_models_without_a_reference_say_nothing(self, model):
        assert self.row(Scorer(model), [0] * 100).statuses == ("ok",)


def test_soften_of_scores_is_what_the_formula_says():
    logits = np.random.default_rng(0).normal(size=(5, 3)) * 4
    np.testing.assert_allclose(soften(softmax(logits, axis=1), 2.5), softmax(logits / 2.5, axis=1))
