"""What is hidden: only real bases, in spans, as many as asked for, and the same for the same seed."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genomix.config import MaskingConfig
from genomix.data import dataset
from genomix.data.dataset import Piece, read_piece
from genomix.data.store import build_store
from genomix.data.vocabulary import COMPLEMENT, UNKNOWN, reverse_complement
from genomix.pretrain.masking import IGNORED, choose_spans, hide, mask
from genomix.pretrain.windows import MaskedSet, scatter

windows = st.lists(st.integers(0, 4), max_size=200).map(lambda tokens: np.array(tokens, np.uint8))
maskings = st.builds(MaskingConfig, fraction=st.floats(0.01, 0.5), span=st.integers(1, 9))


@given(tokens=windows, masking=maskings, seed=st.integers(0, 1000))
def test_spans_are_neighbours_among_the_real_bases_and_keep_apart(tokens, masking, seed):
    spans = choose_spans(tokens, masking, np.random.default_rng(seed))
    assert (tokens[spans] < UNKNOWN).all()
    places = np.searchsorted(np.flatnonzero(tokens < UNKNOWN), spans)
    assert (np.diff(places, axis=1) == 1).all()
    assert (places[1:, 0] - places[:-1, -1] >= 2).all()
    wanted = masking.fraction * (tokens < UNKNOWN).sum() / masking.span
    assert len(spans) <= wanted + 1
    room = ((tokens < UNKNOWN).sum() + 1) // (masking.span + 1)
    assert len(spans) >= min(np.floor(wanted), room)


@given(tokens=windows, masking=maskings, seed=st.integers(0, 1000))
def test_what_is_shown_differs_only_where_a_base_is_to_be_said(tokens, masking, seed):
    one, again = (mask(tokens, masking, np.random.default_rng(seed)) for _ in range(2))
    assert (one.shown == again.shown).all()
    assert (one.targets == again.targets).all()
    chosen = one.targets != IGNORED
    assert (one.targets[chosen] == tokens[chosen]).all()
    assert (one.shown[~chosen] == tokens[~chosen]).all()
    hidden = hide(tokens, masking, np.random.default_rng(seed))
    assert (hidden.targets == one.targets).all()
    assert (hidden.shown[chosen] == UNKNOWN).all()


def test_shares_are_those_asked_for_and_a_span_is_shown_one_way():
    rng = np.random.default_rng(0)
    tokens = np.zeros(300_000, np.uint8)
    masking = MaskingConfig(fraction=0.15, span=3)
    shown, targets = mask(tokens, masking, rng)
    spans = shown[targets != IGNORED].reshape(-1, 3)
    assert spans.size == pytest.approx(0.15 * len(tokens), abs=3)
    unknown = (spans == UNKNOWN).all(1)
    assert (unknown == (spans == UNKNOWN).any(1)).all()
    assert unknown.mean() == pytest.approx(0.8, abs=0.01)
    assert (spans[~unknown] != 0).mean() == pytest.approx(0.5 * 0.75, abs=0.02)
    starts = np.flatnonzero(targets != IGNORED)[::3]
    assert np.histogram(starts, 10, (0, len(tokens)))[0] == pytest.approx(len(starts) / 10, rel=0.1)


def test_the_mean_of_the_fraction_holds_for_short_windows_too():
    tokens = np.ones(20, np.uint8)
    counts = [len(choose_spans(tokens, MaskingConfig(), np.random.default_rng(i))) for i in range(2000)]
    assert {*counts} == {1} or np.mean(counts) == pytest.approx(1, abs=0.05)
    counts = [len(choose_spans(tokens[:10], MaskingConfig(), np.random.default_rng(i))) for i in range(2000)]
    assert np.mean(counts) == pytest.approx(0.5, abs=0.05)


@given(length=st.integers(1, 500), window=st.integers(1, 100), seed=st.integers(0, 100))
def test_windows_of_a_region_do_not_overlap_and_are_as_many_as_fit(length, window, seed):
    starts = scatter(length, window, np.random.default_rng(seed))
    assert len(starts) == max(1, length // window)
    assert (np.diff(starts) >= window).all()
    assert starts[0] >= 0
    assert starts[-1] + min(window, length) <= length


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("masked")
    rng = np.random.default_rng(3)
    text = "".join(f">r{i}\n{''.join(rng.choice(list('ACGTN'), 30 + 40 * i))}\n" for i in range(8))
    (directory / "data.fa").write_text(text)
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


def make_set(store, **changes):
    rows = np.arange(len(store))
    given = {"batch_records": 4, "batch_bases": 200, "reverse_complement": True, "seed": 0, "max_length": 64}
    return MaskedSet(
        store=store,
        rows=rows,
        targets=np.zeros(len(rows), np.int64),
        balanced=False,
        starts=np.full(len(rows), 5),
        ends=store.lengths,
        masking=MaskingConfig(),
        **(given | changes),
    )


@pytest.fixture(scope="module")
def _several_tensors():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "TENSOR_COST", 1)
        yield


@pytest.mark.usefixtures("_several_tensors")
class TestMaskedSet:
    @settings(max_examples=20, deadline=None)
    @given(epoch=st.integers(1, 50), seed=st.integers(0, 50))
    def test_batches_hold_pieces_of_the_regions_and_their_targets(self, store, epoch, seed):
        masked_set = make_set(store, seed=seed)
        seen = {}
        for step in masked_set.plan(epoch):
            count = 0
            for batch in step:
                groups, targets = masked_set.load(batch)
                assert targets.numel() == sum(group.tokens.numel() for group in groups)
                chosen = targets != IGNORED
                count += int(chosen.sum())
                assert (targets[chosen] < 4).all()
                flat = torch.cat([group.tokens.flatten() for group in groups])
                assert not (flat[chosen] == 5).any()
                originals = sorted(tuple(read_piece(store, piece)) for piece, _ in batch)
                parts = targets.split([group.tokens.numel() for group in groups])
                restored = []
                for group, part in zip(groups, parts, strict=True):
                    whole = torch.where(part.view(group.tokens.shape) >= 0, part.view(group.tokens.shape), group.tokens)
                    restored += [tuple(row[:n].tolist()) for row, n in zip(whole, group.lengths, strict=True)]
                assert sorted(restored) == originals
                for piece, _ in batch:
                    seen.setdefault(piece.row, []).append((piece.start, piece.end))
            assert masked_set.count_masked(step) == count
        for row, pieces in seen.items():
            assert min(pieces)[0] >= 5
            assert len(pieces) == max(1, (store.lengths[row] - 5) // 64)
        assert {*seen} == {*range(len(store))}

    def test_a_plan_is_a_function_of_seed_and_epoch(self, store):
        assert make_set(store).plan(3) == make_set(store).plan(3)
        assert make_set(store).plan(3) != make_set(store).plan(4)
        assert make_set(store).plan(3) != make_set(store, seed=1).plan(3)

    def test_the_other_strand_is_read_before_bases_are_hidden(self, store):
        masked_set = make_set(store)
        piece = Piece(5, 10, 60)
        turned = masked_set.load([(piece._replace(reverse=True), 7)])
        own = mask(reverse_complement(store.tokens(5, 10, 60)), MaskingConfig(), np.random.default_rng(7))
        assert (turned.groups[0].tokens[0].numpy() == own.shown).all()
        chosen = own.targets != IGNORED
        assert (COMPLEMENT[own.targets[chosen]] == store.tokens(5, 10, 60)[::-1][chosen]).all()
        halves = [
            piece.reverse for epoch in range(1, 20) for step in masked_set.plan(epoch) for b in step for piece, _ in b
        ]
        assert 0.4 < np.mean(halves) < 0.6

    def test_batches_that_are_halved_hide_the_same(self, store):
        whole, half = make_set(store), make_set(store, batch_bases=100)
        for one, other in zip(whole.plan(2), half.plan(2), strict=True):
            assert [*itertools.chain(*one)] == [*itertools.chain(*other)]
            assert whole.count_masked(one) == half.count_masked(other)
