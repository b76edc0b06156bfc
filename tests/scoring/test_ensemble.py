"""Several models: the mean and deviation found by hand, in order, without reading ahead."""

import itertools

import numpy as np
import pytest
from scored import MAX_LENGTH, Named, make_model, random_records

from genomix.checkpoint import save_calibration, save_model
from genomix.data.predictions import PredictionRow
from genomix.errors import DataError, NoInputError, UsageError
from genomix.metrics.calibration import calibrate
from genomix.scoring import BATCHES_AHEAD, Ensemble, Scorer, combine, load_scorer

BAD = Named("bad", np.empty(0, np.uint8), "empty; and more")


@pytest.fixture(scope="module")
def scorers():
    return [Scorer(make_model(seed=seed), batch_bases=64 + 100 * seed) for seed in range(3)]


def named(records):
    return [Named(str(place), tokens) for place, tokens in enumerate(records)]


class TestMean:
    def test_it_is_that_by_hand(self, scorers):
        records = named(random_records())
        apart = np.array([list(scorer.score(random_records())) for scorer in scorers])
        rows = list(Ensemble(scorers).predict(records))
        np.testing.assert_allclose([row.probabilities for row in rows], apart.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose([row.deviations for row in rows], apart.std(axis=0), atol=1e-12)
        assert apart.std(axis=0).max() > 0.01
        np.testing.assert_allclose(np.stack(list(Ensemble(scorers).score(random_records()))), apart.mean(axis=0))

    def test_each_member_has_its_own_temperature(self):
        hot = make_model(seed=1)
        hot.calibration = calibrate([[0.9, 0.1]] * 4, [0, 1, 1, 0])
        members = [Scorer(make_model()), Scorer(hot)]
        apart = np.array([list(member.score(random_records())) for member in members])
        np.testing.assert_allclose(np.stack(list(Ensemble(members).score(random_records()))), apart.mean(axis=0))
        assert not np.allclose(apart[1], list(Scorer(make_model(seed=1)).score(random_records())))

    def test_one_member_is_itself(self, scorers):
        [row] = Ensemble(scorers[:1]).predict(named(random_records([50])))
        [expected] = scorers[0].score(random_records([50]))
        np.testing.assert_array_equal(row.probabilities, expected)
        assert row.deviations.tolist() == [0, 0, 0]


class TestStream:
    def test_rows_come_in_order_with_the_skipped_ones_in_their_places(self, scorers):
        records = [BAD, *itertools.chain.from_iterable((one, BAD) for one in named(random_records())), BAD]
        rows = list(Ensemble(scorers).predict(records))
        assert [row.id for row in rows] == [record.id for record in records]
        for row, record in zip(rows, records, strict=True):
            assert (row.probabilities is None) == (row.deviations is None) == (record.problem is not None)
            assert row.statuses != ("skipped",) or row.note == "empty; and more"

    def test_records_are_read_no_farther_ahead_than_the_farthest_member_does(self, scorers):
        read = 0

        def records():
            nonlocal read
            for place in itertools.count():
                read += 1
                yield Named(str(place), np.zeros(16, np.uint8))

        bound = BATCHES_AHEAD * 264 / 16 + 1
        for given, row in enumerate(itertools.islice(Ensemble(scorers).predict(records()), 200)):
            assert row.id == str(given)
            assert read - given <= bound

    def test_no_record_depends_on_its_neighbours(self, scorers):
        records = named(random_records())
        together = list(Ensemble(scorers).predict(records))
        for record, row in zip(records, together, strict=True):
            [alone] = Ensemble(scorers).predict([record])
            np.testing.assert_allclose(alone.probabilities, row.probabilities, atol=1e-6)


def row_of(*statuses, note="", probabilities=(0.5, 0.5)):
    return PredictionRow("r", 9, probabilities, statuses or ("ok",), note)


class TestDoubts:
    def test_what_one_member_doubts_is_doubtful(self):
        found = combine(
            [row_of(), row_of("cut", "too_short", note="cut at 5; 9 bp"), row_of("too_short", note="short")]
        )
        assert (found.statuses, found.note) == (("cut", "too_short"), "cut at 5; 9 bp")

    def test_unlike_training_is_what_all_say(self):
        some = [row_of("unlike_training", note="far"), row_of("n_rich", note="60%")]
        assert (combine(some).statuses, combine(some).note) == (("n_rich",), "60%")
        both = [row_of("n_rich", "unlike_training", note="60%; far"), row_of("unlike_training", note="farther")]
        assert (combine(both).statuses, combine(both).note) == (("n_rich", "unlike_training"), "60%; far")
        assert combine([row_of("unlike_training", note="far"), row_of()]).statuses == ("ok",)

    def test_members_that_crop_at_other_lengths(self):
        longer = make_model(**{"model.max_length": 2 * MAX_LENGTH})
        members = [Scorer(longer, long="crop"), Scorer(make_model(), long="crop")]
        [row] = Ensemble(members).predict(named(random_records([50])))
        assert row.statuses == ("cut",)
        assert "middle 32 of 50" in row.note


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    directory = tmp_path_factory.mktemp("several")
    for number in (1, 2, 10):
        path = directory / f"member-{number}"
        path.mkdir()
        save_model(make_model(path=path, seed=number))
    (directory / "notes").mkdir()
    return directory


class TestLoading:
    def test_the_directory_stands_for_its_members_in_their_order(self, several):
        found = load_scorer(several)
        assert [member.model.path.name for member in found.members] == ["member-1", "member-2", "member-10"]
        expected = Ensemble([Scorer(make_model(seed=seed)) for seed in (1, 2, 10)])
        records = random_records()
        np.testing.assert_allclose(list(found.score(records)), list(expected.score(records)), atol=1e-12)

    def test_options_are_those_of_every_member(self, several):
        found = load_scorer(several, long="crop", strands="forward", batch_bases=99, calibrated=False)
        for member in found.members:
            assert (member.long, member.strands, member.batch_bases, member.calibrated) == (
                "crop",
                "forward",
                99,
                False,
            )

    def test_models_named_one_by_one_go_together(self, several):
        found = load_scorer([several / "member-2", several / "member-1"])
        assert [member.model.path.name for member in found.members] == ["member-2", "member-1"]
        assert isinstance(load_scorer([several / "member-2"]), Scorer)
        assert isinstance(load_scorer(several / "member-2"), Scorer)

    def test_the_calibration_is_that_of_the_directory(self, several):
        calibration = calibrate([[0.9, 0.1]] * 4, [0, 1, 1, 0], temperature=1.0)
        save_calibration(several, calibration)
        assert load_scorer(several).calibration == calibration
        assert load_scorer(several, calibrated=False).calibration is None
        assert load_scorer([several / "member-1", several / "member-2"]).calibration is None
        save_calibration(several, calibration.model_copy(update={"temperature": 2.0}))
        with pytest.raises(DataError, match=r"calibration\.json: is that of a single model"):
            load_scorer(several)
        (several / "calibration.json").unlink()

    def test_a_model_named_twice_is_told(self, several):
        with pytest.raises(UsageError, match="member-2: named twice"):
            load_scorer([several, several / "member-2"])

    def test_members_of_other_classes_are_all_named(self, several, tmp_path):
        for name in ("x", "y"):
            (tmp_path / name).mkdir()
            save_model(make_model(path=tmp_path / name, classes=["a", "b", name]))
        with pytest.raises(UsageError) as caught:
            load_scorer([several / "member-1", tmp_path / "x", several / "member-2", tmp_path / "y"])
        first, second = str(caught.value).splitlines()
        assert first.startswith(f"{tmp_path / 'x'}: has other classes (a, b, x) than {several / 'member-1'} (a, b, c)")
        assert second.startswith(f"{tmp_path / 'y'}: has other classes (a, b, y)")

    def test_members_for_one_and_for_several_labels_do_not_go_together(self, several, tmp_path):
        save_model(make_model(path=tmp_path, **{"data.labels": "multi"}))
        with pytest.raises(UsageError, match=r"was trained for several labels a record, or none, and .* for one label"):
            load_scorer([several / "member-1", tmp_path])
        with pytest.raises(UsageError, match=r"was trained for one label a record, and .* for several labels"):
            load_scorer([tmp_path, several / "member-1"])

    def test_a_member_without_weights_is_told(self, several, tmp_path):
        (tmp_path / "fold-1").mkdir()
        (tmp_path / "fold-1" / "config.yaml").touch()
        (tmp_path / "fold-1" / "meta.json").touch()
        with pytest.raises(NoInputError, match=r"fold-1: holds no model: neither model\.safetensors nor runs"):
            load_scorer(tmp_path)
