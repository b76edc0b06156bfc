"""What a network is shown in an epoch: every record once, pieces within bounds, records of like length together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from genomix.data import dataset
from genomix.data.curriculum import Curriculum
from genomix.data.dataset import Piece, TrainingSet, collate, hide, read_piece
from genomix.data.store import build_store
from genomix.data.vocabulary import PAD, UNKNOWN, reverse_complement

MAX_LENGTH = 50
BATCH_RECORDS, BATCH_BASES = 8, 160


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    sequences = ("".join(rng.choice(list("ACGT"), size=length)) for length in rng.integers(5, 120, size=200))
    (directory / "data.fa").write_text("".join(f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


@pytest.fixture
def training_set(store):
    def training_set(**changes):
        rows = np.arange(20, 200)
        values = {
            "store": store,
            "rows": rows,
            "targets": (rows % 10 == 0).astype(np.int64),
            "max_length": MAX_LENGTH,
            "batch_records": BATCH_RECORDS,
            "batch_bases": BATCH_BASES,
            "reverse_complement": True,
            "balanced": False,
            "seed": 3,
        }
        return TrainingSet(**(values | changes))

    return training_set


def pieces_of(plan):
    return [piece for step in plan for batch in step for piece, _ in batch]


def test_the_plan_is_a_function_of_seed_and_epoch(training_set):
    assert training_set().plan(4) == training_set().plan(4)
    assert training_set().plan(4) != training_set().plan(5)
    assert training_set().plan(4) != training_set(seed=4).plan(4)


def test_each_record_comes_once_with_its_target(training_set):
    own = training_set()
    plan = [pair for step in own.plan(1) for batch in step for pair in batch]
    assert sorted(piece.row for piece, _ in plan) == own.rows.tolist()
    assert all(target == (piece.row % 10 == 0) for piece, target in plan)


def test_pieces_lie_within_their_records(training_set, store):
    for piece in pieces_of(training_set().plan(1)):
        length = int(store.lengths[piece.row])
        assert 0 <= piece.start < piece.end <= length
        assert piece.end - piece.start == min(length, MAX_LENGTH)


def test_crops_move_from_epoch_to_epoch(training_set, store):
    longest = int(np.argmax(store.lengths[20:])) + 20
    own = training_set()
    starts = {piece.start for epoch in range(20) for piece in pieces_of(own.plan(epoch)) if piece.row == longest}
    assert len(starts) > 5


def test_steps_and_batches_keep_their_limits(training_set):
    plan = training_set().plan(1)
    assert [sum(map(len, step)) for step in plan[:-1]] == [BATCH_RECORDS] * (len(plan) - 1)
    assert 0 < sum(map(len, plan[-1])) <= BATCH_RECORDS
    for batch in (batch for step in plan for batch in step):
        assert sum(piece.end - piece.start for piece, _ in batch) <= BATCH_BASES


def test_a_record_longer_than_a_batch_is_a_batch_of_its_own(training_set):
    plan = training_set(batch_bases=1).plan(1)
    assert {len(batch) for step in plan for batch in step} == {1}
    assert len(pieces_of(plan)) == 180


def test_records_that_are_filled_up_count_as_long_as_they_become(training_set):
    plan = training_set(padded_length=BATCH_BASES // 2).plan(1)
    assert max(len(batch) for step in plan for batch in step) == 2


def divisions_of(lengths):
    """All divisions of lengths, in order, among groups."""
    if not lengths:
        yield []
    for size in range(1, len(lengths) + 1):
        for others in divisions_of(lengths[size:]):
            yield [lengths[:size], *others]


@pytest.mark.parametrize("cost", [0, 1, 20, 60, 10**6])
def test_records_of_like_length_share_a_tensor_where_it_saves_time(training_set, monkeypatch, cost):
    monkeypatch.setattr(dataset, "TENSOR_COST", cost)

    def cost_of(division):
        return sum(cost + len(group) * max(group) for group in division)

    own, sizes = training_set(batch_bases=10**6), []
    for (planned,) in own.plan(1):
        groups = [group.lengths.tolist() for group in own.load(planned).groups]
        in_order = [length for group in groups for length in group]
        assert in_order == sorted((piece.end - piece.start for piece, _ in planned), reverse=True)
        assert cost_of(groups) == min(map(cost_of, divisions_of(in_order)))
        assert own.count_padded(planned) == cost_of(groups) - cost * len(groups)
        sizes.append(len(groups))
    assert cost or max(sizes) > 3
    assert cost < 10**6 or set(sizes) == {1}


@given(
    lengths=st.lists(st.integers(1, 20_000) | st.integers(1, 600) | st.integers(1, 30), min_size=1, max_size=300),
    batch_bases=st.sampled_from([100, 2000, 20_000]),
)
def test_padding_adds_half_at_most_to_what_is_computed_at_once(lengths, batch_bases):
    """Of lengths that come in nature it adds a third; memory is sized by `batch_bases`."""
    own = TrainingSet(
        store=None,
        rows=np.zeros(0),
        targets=np.zeros(0),
        max_length=20_000,
        batch_records=300,
        batch_bases=batch_bases,
        reverse_complement=False,
        balanced=False,
        seed=0,
    )
    batch, bases = [], 0
    for length in lengths:
        if bases + length <= batch_bases:
            batch.append((Piece(0, 0, length), 0))
            bases += length
    assert bases <= own.count_padded(batch) <= 1.5 * batch_bases


def test_a_tensor_is_as_wide_as_its_longest_record(training_set, monkeypatch):
    monkeypatch.setattr(dataset, "TENSOR_COST", 20)
    own = training_set(batch_bases=10**6)
    for step in own.plan(1):
        for group in own.load(step[0]).groups:
            assert group.tokens.shape == (len(group.lengths), group.lengths.max())


@pytest.mark.parametrize("padded_length", [None, MAX_LENGTH])
def test_a_process_without_records_loads_nothing(training_set, padded_length):
    own = training_set(num_shares=3, padded_length=padded_length)
    assert own.share(own.plan(1)[0][0][:2], 2) == []
    batch = own.load([])
    assert batch.groups == []
    assert batch.targets.shape == (0,)
    assert own.count_padded([]) == 0


def test_length_does_not_say_which_records_share_a_step(training_set, store):
    plan = training_set(batch_bases=10**6).plan(1)
    lengths = [[piece.end - piece.start for batch in step for piece, _ in batch] for step in plan[:-1]]
    within = np.mean([np.var(step) for step in lengths])
    assert within == pytest.approx(np.var(np.concatenate(lengths)), rel=0.35)


def test_half_of_the_pieces_are_read_from_the_other_strand(training_set):
    own = training_set()
    share = np.mean([piece.reverse for epoch in range(10) for piece in pieces_of(own.plan(epoch))])
    assert share == pytest.approx(0.5, abs=0.05)
    assert not any(piece.reverse for piece in pieces_of(training_set(reverse_complement=False).plan(1)))


def test_balanced_classes_come_equally_often(training_set):
    own = training_set(balanced=True)
    targets = [target for epoch in range(10) for step in own.plan(epoch) for batch in step for _, target in batch]
    assert len(targets) == 10 * len(own.rows)
    assert np.mean(targets) == pytest.approx(0.5, abs=0.05)


def test_a_batch_holds_what_its_plan_says(training_set, store):
    own = training_set()
    planned = own.plan(1)[0][0]
    batch = own.load(planned)
    ordered = sorted(planned, key=lambda entry: entry[0].start - entry[0].end)
    assert batch.targets.tolist() == [target for _, target in ordered]
    rows = [row for group in batch.groups for row in zip(group.tokens.numpy(), group.lengths.tolist(), strict=True)]
    for (tokens, length), (piece, _) in zip(rows, ordered, strict=True):
        expected = store.tokens(piece.row)[piece.start : piece.end]
        assert_array_equal(tokens[:length], reverse_complement(expected) if piece.reverse else expected)
        assert (tokens[length:] == PAD).all()


def test_a_reversed_piece_is_the_other_strand_of_the_same_bases(store):
    forward, reverse = (read_piece(store, Piece(30, 2, 5, flag)) for flag in (False, True))
    assert_array_equal(reverse, reverse_complement(forward))


def test_collating_pads_at_the_end():
    tokens, lengths = collate([np.array([0, 1], np.uint8), np.array([3], np.uint8)])
    assert tokens.tolist() == [[0, 1], [3, PAD]]
    assert lengths.tolist() == [2, 1]


TOKENS = np.random.default_rng(2).integers(0, 4, 400).astype(np.uint8)


@given(fraction=st.floats(0, 0.5), seed=st.integers(0, 2**63 - 1))
def test_what_is_hidden_is_unknown_and_the_rest_is_as_it_was(fraction, seed):
    before = TOKENS.copy()
    found = hide(TOKENS, fraction, seed)
    hidden = found != TOKENS
    assert found.dtype == TOKENS.dtype
    assert (found[hidden] == UNKNOWN).all()
    assert hidden.mean() <= 2 * fraction + 0.1
    assert_array_equal(found, hide(TOKENS, fraction, seed))
    assert_array_equal(TOKENS, before)


def test_the_share_that_is_hidden_is_the_fraction_on_average_and_up_to_twice_as_much():
    shares = np.array([(hide(TOKENS, 0.2, seed) == UNKNOWN).mean() for seed in range(400)])
    assert shares.mean() == pytest.approx(0.2, abs=0.02)
    assert shares.min() < 0.02
    assert 0.36 < shares.max() < 0.48


def test_nothing_is_hidden_by_a_fraction_of_zero():
    assert_array_equal(hide(TOKENS, 0.0, 7), TOKENS)


def test_bases_are_hidden_from_the_network_others_each_epoch(training_set):
    own, bare = training_set(mask_fraction=0.3), training_set()
    assert all(piece.noise is None for piece in pieces_of(bare.plan(1)))
    noises = [{piece.noise for piece in pieces_of(own.plan(epoch))} for epoch in (1, 2)]
    assert len(noises[0]) == len(own.rows)
    assert not noises[0] & noises[1]
    for batch in own.plan(1)[0]:
        found, whole = own.load(batch), own.load([(piece._replace(noise=None), target) for piece, target in batch])
        for (tokens, lengths), (before, _) in zip(found.groups, whole.groups, strict=True):
            changed = tokens != before
            assert (tokens[changed] == UNKNOWN).all()
            assert 0 < changed.sum() < lengths.sum()


CURRICULA = st.builds(Curriculum, st.integers(1, 5000), st.floats(0, 1, exclude_min=True), st.integers(1, 400))


@given(curriculum=CURRICULA, max_length=st.integers(1, 100_000))
def test_crops_grow_to_the_full_length_and_stay_so(curriculum, max_length):
    lengths = [curriculum.length(epoch, max_length) for epoch in range(1, curriculum.num_epochs + 1)]
    assert max(lengths) == lengths[-1] == max_length
    assert min(lengths) >= min(curriculum.first_length, max_length)
    assert lengths == sorted(lengths)
    assert lengths.count(max_length) >= curriculum.full_share * len(lengths) * (1 - 1e-12)


@given(curriculum=CURRICULA, max_length=st.integers(1, 100_000))
def test_crops_are_short_as_long_as_the_share_lets_them_and_each_length_as_often(curriculum, max_length):
    lengths = [curriculum.length(epoch, max_length) for epoch in range(1, curriculum.num_epochs + 1)]
    short = [length for length in lengths if length < max_length]
    if curriculum.first_length < max_length:
        assert len(lengths) - len(short) <= curriculum.full_share * len(lengths) + 1
    doubled = [curriculum.first_length << i for i in range(20) if curriculum.first_length << i < max_length]
    assert set(short) <= set(doubled)
    if short:
        assert short[0] == curriculum.first_length
    often = [short.count(length) for length in doubled]
    assert not often or max(often) - min(often) <= 1


def test_a_curriculum_by_the_epoch():
    lengths = [Curriculum(100, 0.3, 10).length(epoch, 800) for epoch in range(1, 12)]
    assert lengths == [100, 100, 100, 200, 200, 400, 400, 800, 800, 800, 800]
    assert [Curriculum(300, 0.5, 4).length(epoch, 1000) for epoch in range(1, 5)] == [300, 600, 1000, 1000]
    assert [Curriculum(1, 0.5, 4).length(epoch, 1000) for epoch in range(1, 5)] == [1, 32, 1000, 1000]


def test_crops_are_as_long_as_the_curriculum_says(training_set, store):
    own = training_set(curriculum=Curriculum(10, 0.25, 8))
    for epoch, length in zip(range(1, 9), (10, 10, 20, 20, 40, 40, 50, 50), strict=True):
        pieces = pieces_of(own.plan(epoch))
        assert sorted(piece.row for piece in pieces) == own.rows.tolist()
        for piece in pieces:
            assert piece.end - piece.start == min(int(store.lengths[piece.row]), length)
            assert 0 <= piece.start < piece.end <= store.lengths[piece.row]


def test_with_a_curriculum_too_the_plan_is_a_function_of_seed_and_epoch(training_set):
    own = training_set(curriculum=Curriculum(10, 0.25, 8))
    assert own.plan(3) == training_set(curriculum=Curriculum(10, 0.25, 8)).plan(3)
    assert own.plan(3) != own.plan(4)


def test_as_predicted_nothing_is_short_or_hidden(training_set):
    own, plain = training_set(curriculum=Curriculum(10, 0.25, 8)), training_set()
    assert own.plan(7) == plain.plan(7)
    assert own.plan(6) != plain.plan(6)
    assert own.as_predicted().plan(6) == plain.plan(6)
    assert training_set(mask_fraction=0.3).as_predicted().plan(6) == plain.plan(6)


def test_short_crops_are_filled_up_where_all_records_are(training_set):
    own = training_set(curriculum=Curriculum(10, 0.25, 8), padded_length=MAX_LENGTH, batch_bases=4 * MAX_LENGTH)
    for batch in (batch for step in own.plan(1) for batch in step):
        assert len(batch) <= 4
        assert own.count_padded(batch) == MAX_LENGTH * len(batch)
        assert len(own.load(batch).groups) == 1
