"""Compositions against counting by hand and a matrix inverse; records like those of training against others."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from genomix.data.composition import NUM_KMERS, Composition, count_kmers, fit_composition
from genomix.data.reference import FEWEST_KMERS, read_reference, save_reference
from genomix.data.reference_fit import make_reference
from genomix.data.seen import FEWEST_HASHES, compare_with_seen, remember
from genomix.data.store import build_store
from genomix.data.vocabulary import decode, reverse_complement
from genomix.errors import DataError

LENGTH = 1500
STATED = {"reference": '{"schema_version": 1, "num_records": 3, "k": 15, "fraction": 0.5}'}
CENTRE = np.array([30, 10, 12, 28])


def draw(rng, length, centre=CENTRE):
    """Return a record of its own composition, which varies about that of its kind, with a repeat every 10,000 bp."""
    tokens = rng.choice(4, size=length, p=rng.dirichlet(centre)).astype(np.uint8)
    for start in rng.integers(length, size=rng.poisson(length / 10_000)).tolist():
        period = int(rng.integers(1, 4))
        tokens[start : start + 50] = np.resize(tokens[start : start + period], len(tokens[start : start + 50]))
    return tokens


def make_store(directory, records):
    path = directory / "records.fa"
    path.write_text("".join(f">r{place}\n{decode(tokens)}\n" for place, tokens in enumerate(records)))
    return build_store([str(path)], cache_dir=directory / "cache")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng = np.random.default_rng(0)
    lengths = rng.integers(LENGTH, 2 * LENGTH, size=400)
    return make_store(tmp_path_factory.mktemp("store"), [draw(rng, length) for length in lengths])


@pytest.fixture(scope="module")
def reference(store):
    return make_reference(store, np.arange(320), np.arange(320, 400))


def share_of_unlike(reference, records):
    distances = [reference.distance(count_kmers(tokens)) for tokens in records]
    return np.mean([distance.value > distance.limit for distance in distances])


class TestCounts:
    @pytest.mark.parametrize("length", [0, 3, 4, 5, 300])
    def test_they_are_those_of_the_letters(self, length):
        tokens = np.random.default_rng(length).integers(0, 5, size=length).astype(np.uint8)
        counts: Counter[str] = Counter()
        for start in range(length - 3):
            kmer = decode(tokens[start : start + 4])
            if "N" not in kmer:
                counts[min(kmer, decode(reverse_complement(tokens[start : start + 4])))] += 1
        found = count_kmers(tokens)
        assert found.shape == (NUM_KMERS,) == (136,)
        assert sorted(found[found > 0].tolist()) == sorted(counts.values())

    def test_each_canonical_kmer_has_a_place_of_its_own(self):
        places = {}
        for code in range(256):
            tokens = np.array([code >> 6, code >> 4 & 3, code >> 2 & 3, code & 3], np.uint8)
            [place] = np.flatnonzero(count_kmers(tokens))
            assert count_kmers(tokens)[place] == 1
            places[min(decode(tokens), decode(reverse_complement(tokens)))] = place
        assert sorted(places.values()) == list(range(136))
        assert places == dict(zip(sorted(places), range(136), strict=True))

    def test_both_strands_count_alike_and_chunks_leave_none_out(self, monkeypatch):
        tokens = draw(np.random.default_rng(1), 1000)
        counts = count_kmers(tokens)
        np.testing.assert_array_equal(counts, count_kmers(reverse_complement(tokens)))
        monkeypatch.setattr("genomix.data.composition.CHUNK_BP", 7)
        np.testing.assert_array_equal(counts, count_kmers(tokens))
        assert counts.sum() == 997


class TestComposition:
    def test_distance_is_that_of_mahalanobis_with_the_covariance_of_the_length(self):
        rng = np.random.default_rng(2)
        between, noise = (
            scale * root @ root.T for scale, root in zip((1e-6, 1e-3), rng.normal(size=(2, 136, 136)), strict=True)
        )
        eigenvalues, directions = _joint(between, noise)
        mean = rng.dirichlet(np.ones(136))
        composition = Composition(mean, directions, eigenvalues)
        counts = rng.integers(0, 20, size=(3, 136))
        for found, row in zip(composition.distances(counts), counts, strict=True):
            off = row / row.sum() - mean
            expected = np.sqrt(off @ np.linalg.solve(between + noise / row.sum(), off) / 136)
            assert found == pytest.approx(expected, rel=1e-6)

    def test_fit_finds_how_records_differ_apart_from_chance(self):
        """Records of independent letters with one composition: what is left between them is next to nothing."""
        rng = np.random.default_rng(3)
        pieces = np.array(
            [[count_kmers(rng.integers(0, 4, 500).astype(np.uint8)) for _ in range(2)] for _ in range(1500)]
        )
        found = fit_composition(pieces.sum(1), pieces[:, 0], pieces[:, 1])
        assert found.between.max() < 1.5e-3
        squares = []
        for length in (60, 250, 1000):
            counts = [count_kmers(rng.integers(0, 4, length).astype(np.uint8)) for _ in range(300)]
            squares.append(np.mean(found.distances(np.array(counts)) ** 2))
        assert 0.7 < min(squares) < max(squares) < 1.1

    def test_records_that_are_all_alike_can_be_fitted(self):
        counts = np.tile(count_kmers(draw(np.random.default_rng(4), 400)), (12, 1))
        found = fit_composition(2 * counts, counts, counts)
        assert found.distances(counts[:1])[0] == pytest.approx(0, abs=1e-6)


def _joint(between, noise):
    from scipy.linalg import eigh

    return eigh(between, noise)


class TestReference:
    @pytest.mark.parametrize("length", [40, 100, 300, 800, LENGTH, 3 * LENGTH])
    def test_records_like_those_of_training_are_rarely_unlike_them_however_long(self, reference, length):
        rng = np.random.default_rng(length)
        assert share_of_unlike(reference, [draw(rng, length) for _ in range(300)]) < 0.03

    def test_pieces_of_such_records_neither(self, reference, store):
        rng = np.random.default_rng(5)
        for size in (50, 200, 700):
            tokens = (store.tokens(row) for row in range(320, 400) for _ in range(3))
            starts = ((record, int(rng.integers(len(record) - size))) for record in tokens)
            assert share_of_unlike(reference, [record[start : start + size] for record, start in starts]) < 0.03

    def test_records_of_other_composition_are_unlike(self, reference):
        rng = np.random.default_rng(6)
        for centre in ([10, 30, 28, 12], [20, 30, 30, 20]):
            assert share_of_unlike(reference, [draw(rng, LENGTH, np.array(centre)) for _ in range(50)]) > 0.9

    def test_records_with_other_words_of_the_same_letters_are_unlike(self, reference):
        rng = np.random.default_rng(7)
        records = [np.resize(draw(rng, 40), LENGTH) for _ in range(50)]
        assert share_of_unlike(reference, records) == 1

    def test_nothing_is_said_of_records_with_few_known_kmers(self, reference):
        tokens = draw(np.random.default_rng(8), FEWEST_KMERS + 3)
        assert reference.distance(count_kmers(tokens)) is not None
        assert reference.distance(count_kmers(tokens[1:])) is None
        assert reference.distance(count_kmers(np.full(1000, 4, np.uint8))) is None

    def test_limits_are_given_by_length(self, reference):
        assert reference.lengths.tolist()[:6] == [32, 64, 128, 256, 512, 1024]
        assert LENGTH < reference.lengths[-1] < 1.1 * LENGTH
        counts = count_kmers(draw(np.random.default_rng(9), 91))
        between = np.sqrt(64 * 128)
        assert reference.distance(counts).limit == pytest.approx(reference.limits[1:3].mean(), rel=0.02)
        assert counts.sum() == pytest.approx(between, rel=0.03)

    def test_same_records_and_seed_give_the_same(self, reference, store):
        again = make_reference(store, np.arange(320), np.arange(320, 400))
        np.testing.assert_array_equal(again.limits, reference.limits)
        np.testing.assert_array_equal(again.composition.directions, reference.composition.directions)
        assert again.num_records == reference.num_records == 320

    def test_no_more_is_counted_than_there_is_time_for(self, store, monkeypatch):
        monkeypatch.setattr("genomix.data.reference_fit.MOST_BASES", 50 * LENGTH)
        assert 20 < make_reference(store, np.arange(320), np.arange(320, 400)).num_records < 50

    def test_limits_of_few_records_are_their_highest_distance(self, store, monkeypatch):
        low = make_reference(store, np.arange(80), np.arange(320, 340))
        monkeypatch.setattr("genomix.data.reference_fit.FEWEST_FOR_QUANTILE", 100)
        assert make_reference(store, np.arange(80), np.arange(320, 340)).limits[-1] < low.limits[-1]

    def test_no_validation_record_is_no_obstacle(self, store):
        assert make_reference(store, np.arange(30), np.arange(0)).num_records == 30

    @pytest.mark.parametrize("records", [9 * ["ACGTTGCAAC" * 10], 20 * ["ACGTTGCAAC"], 20 * ["N" * 100], 20 * ["A"]])
    def test_too_few_records_that_say_something_give_none(self, tmp_path, records):
        (tmp_path / "few.fa").write_text("".join(f">r{place}\n{letters}\n" for place, letters in enumerate(records)))
        few = build_store([str(tmp_path / "few.fa")], cache_dir=tmp_path / "cache")
        assert make_reference(few, np.arange(len(few)), np.arange(0)) is None

    def test_records_that_are_all_the_same_give_one(self, tmp_path):
        same = make_store(tmp_path, 12 * [draw(np.random.default_rng(10), 200)])
        assert np.isfinite(make_reference(same, np.arange(10), np.arange(10, 12)).limits).all()


class TestSeen:
    def test_copies_of_training_records_are_found_on_either_strand_and_in_part(self, reference, store, tmp_path):
        rng = np.random.default_rng(12)
        changed = store.tokens(3).copy()
        places = rng.choice(len(changed), size=len(changed) // 100, replace=False)
        changed[places] = (changed[places] + 1) % 4
        longer = np.concatenate([draw(rng, 500), store.tokens(4), draw(rng, 500)])
        copies = [store.tokens(0), reverse_complement(store.tokens(1)), store.tokens(2)[200:900], changed, longer]
        others = [draw(rng, 800), store.tokens(330), np.full(500, 4, np.uint8)]
        asked = make_store(tmp_path, [*copies, *others])
        found = compare_with_seen(asked, np.arange(len(asked)), [reference.seen]).alike
        assert found.tolist() == [True] * 5 + [False] * 3
        assert compare_with_seen(asked, np.arange(3), []).alike.tolist() == [False] * 3

    def test_a_scrap_that_is_part_of_everything_is_no_likeness(self, tmp_path):
        rng = np.random.default_rng(13)
        scrap, records = draw(rng, 18), [draw(rng, 500) for _ in range(6)]
        mixed = make_store(tmp_path, [*records[:3], scrap, *(np.concatenate([one, scrap]) for one in records[3:])])
        seen = remember(mixed, np.arange(4))
        assert 0 < np.diff(seen.starts).min() < FEWEST_HASHES
        assert not compare_with_seen(mixed, np.arange(4, 7), [seen]).alike.any()
        assert compare_with_seen(mixed, np.arange(4), [seen]).alike.tolist() == [True, True, True, False]

    def test_records_of_any_model_count(self, store):
        seen = [remember(store, np.array([row, row + 1])) for row in (0, 2)]
        assert compare_with_seen(store, np.arange(5), seen).alike.tolist() == [True] * 4 + [False]

    def test_no_more_is_kept_than_there_is_room_for(self, store, monkeypatch):
        monkeypatch.setattr("genomix.data.seen.MOST_HASHES", 5000)
        seen = remember(store, np.arange(100))
        assert len(seen.hashes) < 4.5 * 5000
        assert seen.fraction < 0.2
        assert compare_with_seen(store, np.arange(95, 105), [seen]).alike.tolist() == [True] * 5 + [False] * 5
        monkeypatch.setattr("genomix.data.seen.MOST_HASHES", 200)
        assert remember(store, np.arange(100)) is None


class TestFile:
    @pytest.fixture
    def path(self, reference, tmp_path):
        save_reference(tmp_path / "reference.safetensors", reference)
        return tmp_path / "reference.safetensors"

    def test_it_comes_back_as_it_went(self, reference, path):
        found = read_reference(path)
        assert found.num_records == 320
        counts = count_kmers(draw(np.random.default_rng(11), 777))
        assert found.distance(counts) == reference.distance(counts)
        assert found.seen[:2] == reference.seen[:2]
        np.testing.assert_array_equal(found.seen.hashes, reference.seen.hashes)
        np.testing.assert_array_equal(found.seen.starts, reference.seen.starts)

    def test_one_without_memory_comes_back_too(self, reference, tmp_path):
        save_reference(tmp_path / "one", replace(reference, seen=None))
        assert read_reference(tmp_path / "one").seen is None

    def test_the_same_reference_gives_the_same_bytes(self, reference, path, tmp_path):
        save_reference(tmp_path / "again", reference)
        assert (tmp_path / "again").read_bytes() == path.read_bytes()

    @pytest.mark.parametrize(
        "content",
        [b"", b"hello", b"\x00" * 100, b"\x80\x04K\x01.", "half"],
        ids=["empty", "text", "zeros", "pickle", "half"],
    )
    def test_damaged_files_are_told(self, path, content):
        path.write_bytes(path.read_bytes()[:20_000] if content == "half" else content)
        with pytest.raises(DataError, match=r"reference\.safetensors: damaged.*copy it again"):
            read_reference(path)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("mean", lambda array: array[:-1]),
            ("directions", lambda array: array.T[:-1]),
            ("between", lambda array: -1 - array),
            ("limits", lambda array: array * np.nan),
            ("limits", lambda array: array[:-1]),
            ("lengths", lambda array: array * 0),
            ("lengths", lambda array: array[::-1].copy()),
            ("hashes", lambda array: array[:-1]),
            ("hashes", lambda array: array.astype(np.int64)),
            ("starts", lambda array: array[::-1].copy()),
            ("starts", lambda array: array[:1]),
        ],
    )
    def test_values_that_cannot_be_are_told(self, path, name, change):
        tensors = load_file(path)
        save_file(tensors | {name: change(tensors[name])}, path, STATED)
        with pytest.raises(DataError, match="damaged"):
            read_reference(path)

    def test_other_safetensors_and_newer_versions_are_told(self, path):
        tensors = load_file(path)
        save_file({"weight": np.zeros(3)}, path, STATED)
        with pytest.raises(DataError, match="damaged, or no reference"):
            read_reference(path)
        save_file(tensors, path)
        with pytest.raises(DataError, match="damaged, or no reference"):
            read_reference(path)
        save_file(tensors, path, {"reference": '{"schema_version": 2}'})
        with pytest.raises(DataError, match="newer genomix"):
            read_reference(path)
