"""What is held out is not learnt from, and the baselines say what plain counting says."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from genomix.config import MaskingConfig
from genomix.data.store import build_store
from genomix.errors import DataError
from genomix.pretrain.context import SIDE, STRENGTHS, TUNED_BY, ContextModel
from genomix.pretrain.division import divide
from genomix.pretrain.held_out import HeldOut
from genomix.pretrain.masking import IGNORED, hide


def make_store(directory, sequences):
    (directory / "data.fa").write_text("".join(f">r{i}\n{one}\n" for i, one in enumerate(sequences)))
    return build_store([str(directory / "data.fa")], cache_dir=directory / "cache")


def draw(rng, length, letters="ACGT"):
    return "".join(rng.choice(list(letters), length))


def positions(store, regions):
    return {(row, place) for row, start, end in zip(*regions, strict=True) for place in range(start, end)}


class TestDivision:
    def test_records_are_held_out_whole_where_there_are_many(self, tmp_path):
        rng = np.random.default_rng(0)
        store = make_store(tmp_path, [draw(rng, 30 + i % 7) for i in range(200)])
        train, val, notes = divide(store, 0.05, 0)
        assert 0.05 <= val.num_bases / store.lengths.sum() < 0.06
        assert (val.starts == 0).all()
        assert (val.ends == store.lengths[val.rows]).all()
        assert positions(store, train).isdisjoint(positions(store, val))
        assert {*train.rows, *val.rows} == {*range(200)}
        assert "of 200 records" in notes[-1]
        assert {*divide(store, 0.05, 1).val.rows} != {*val.rows}

    @pytest.mark.parametrize("lengths", [[20_000], [3000, 100, 100, 50]])
    def test_regions_are_held_out_of_few_or_uneven_records(self, tmp_path, lengths):
        rng = np.random.default_rng(0)
        store = make_store(tmp_path, [draw(rng, length) for length in lengths])
        train, val, notes = divide(store, 0.05, 0)
        ours, theirs = positions(store, train), positions(store, val)
        assert ours.isdisjoint(theirs)
        assert len(ours | theirs) == sum(lengths)
        assert 0.05 <= len(theirs) / sum(lengths) < 0.1
        assert "regions" in notes[-1]
        ends = list(zip(train.rows[:-1], train.ends[:-1], strict=True))
        assert not {*ends} & {*zip(train.rows, train.starts, strict=True)}  # neighbours have become one

    def test_copies_are_left_out_on_either_strand(self, tmp_path):
        rng = np.random.default_rng(0)
        own = [draw(rng, 60) for _ in range(50)]
        turned = [one[::-1].translate(str.maketrans("ACGT", "TGCA")) for one in own[:20]]
        train, val, notes = divide(make_store(tmp_path, own + own[:10] + turned), 0.05, 0)
        assert len(train.rows) + len(val.rows) == 50
        assert notes[0].startswith("30 records are copies")

    def test_too_little_is_an_error(self, tmp_path):
        with pytest.raises(DataError, match="are too little to hold some out"):
            divide(make_store(tmp_path, ["ACGTACGT"]), 0.05, 0)


def slow_context(train, masked, span):
    """The same in words: dictionaries of counts, one base after another."""
    single = [1 + sum(list(tokens).count(base) for tokens in train) for base in range(4)]
    composition = np.array(single) / sum(single)

    def neighbours(tokens, place, left, right, side):
        around = [place - left - d for d in range(side)] + [place + right + d for d in range(side)]
        if min(around) < 0 or max(around) >= len(tokens):
            return None
        found = tuple(int(tokens[i]) for i in around)
        return None if max(found) > 3 else found

    def smoothed(counts, found, left, right, strength):
        likely = composition
        for side in range(1, len(found) // 2 + 1):
            near = found[:side] + found[len(found) // 2 : len(found) // 2 + side]
            counted = counts.get((left, right, near), np.zeros(4))
            likely = (counted + strength * likely) / (counted.sum() + strength)
        return likely

    kept, apart = {}, {}
    laid = []
    start = 0
    for tokens in train:
        laid.append((start, tokens))
        start += len(tokens) + span
    for left in range(1, span + 1):
        right = span + 1 - left
        for first, tokens in laid:
            for place in range(len(tokens)):
                found = neighbours(tokens, place, left, right, SIDE)
                if found is None or tokens[place] > 3:
                    continue
                counts = apart if (first + place) % TUNED_BY == 0 else kept
                for side in range(1, SIDE + 1):
                    near = found[:side] + found[SIDE : SIDE + side]
                    counts.setdefault((left, right, near), np.zeros(4))[tokens[place]] += 1
    both = {key: kept.get(key, np.zeros(4)) + apart.get(key, np.zeros(4)) for key in {**kept, **apart}}
    best = {}
    for left in range(1, span + 1):
        right = span + 1 - left
        costs = []
        for strength in STRENGTHS:
            whole = {key: value for key, value in apart.items() if key[:2] == (left, right) and len(key[2]) == 2 * SIDE}
            costs.append(
                -sum(value @ np.log(smoothed(kept, key[2], left, right, strength)) for key, value in whole.items())
            )
        best[left] = STRENGTHS[int(np.argmin(costs))]
    nats = right_ones = num = 0
    for one in masked:
        for place in np.flatnonzero(one.targets != IGNORED):
            known = np.flatnonzero(one.targets == IGNORED)
            before, behind = known[known < place], known[known > place]
            left = place - (before[-1] if len(before) else -1)
            right = (behind[0] if len(behind) else len(one.shown)) - place
            likely = composition
            if left + right == span + 1:
                sides = [neighbours(one.shown, place, left, right, side) for side in range(1, SIDE + 1)]
                if usable := [found for found in sides if found is not None]:
                    likely = smoothed(both, usable[-1], left, right, best[left])
            nats -= np.log(likely[one.targets[place]])
            right_ones += likely.argmax() == one.targets[place]
            num += 1
    return num, nats, right_ones


@pytest.mark.parametrize("span", [1, 3])
def test_the_neighbours_say_what_plain_counting_says(span):
    rng = np.random.default_rng(span)

    def text(length):
        tokens = rng.integers(0, 4, length).astype(np.uint8)
        tokens[1::2] = tokens[::2][: len(tokens[1::2])]  # pairs, so that neighbours tell something
        tokens[rng.random(length) < 0.02] = 4
        return tokens

    train = [text(length) for length in (300, 40, 5, 150)]
    masking = MaskingConfig(span=span)
    masked = [hide(text(length), masking, rng) for length in (60, 2, 90, 33)]
    model = ContextModel(train, span)
    num, nats, right = slow_context(train, masked, span)
    said = model.say(masked)
    assert (said.num_bases, said.num_right) == (num, right)
    assert said.nats == pytest.approx(nats)
    plain = model.say_by_composition(masked)
    truth = np.concatenate([one.targets[one.targets != IGNORED] for one in masked])
    assert plain.nats == pytest.approx(-np.log(model.composition[truth]).sum())
    assert said.bits_per_base < plain.bits_per_base or span > 1


class Reads(nn.Module):
    """Logits from the base before: what it says depends on what is shown."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(6, 4)

    def forward(self, tokens, lengths):
        return nn.functional.pad(self.embedding(tokens.long())[:, :-1], (0, 0, 1, 0))


def test_a_network_says_the_hidden_bases_and_no_others(tmp_path):
    rng = np.random.default_rng(5)
    store = make_store(tmp_path, [draw(rng, 50, "ACGTN") for _ in range(6)] + [draw(rng, 130)])
    regions = divide(store, 0.4, 0).val
    held_out = HeldOut(store, regions, 32, MaskingConfig(), seed=0, batch_bases=100)
    network = Reads()
    nats = right = num = 0
    for one in held_out.windows():
        logits = network(torch.from_numpy(one.shown)[None], None)[0].detach().log_softmax(1)
        for place in np.flatnonzero(one.targets != IGNORED):
            nats -= float(logits[place, one.targets[place]])
            right += int(logits[place].argmax()) == one.targets[place]
            num += 1
    said = held_out.say(network, "cpu")
    assert (said.num_bases, said.num_right) == (num, right)
    assert said.nats == pytest.approx(nats, rel=1e-5)
    assert held_out.num_hidden == num
    spans = [(one.shown, one.targets) for one in held_out.windows()]
    again = [(one.shown, one.targets) for one in held_out.windows()]
    assert all((a == b).all() for a, b in zip(itertools.chain(*spans), itertools.chain(*again), strict=True))


def test_nothing_to_hide_is_an_error(tmp_path):
    store = make_store(tmp_path, ["N" * 60] * 1 + ["N" * (60 + i) for i in range(1, 60)])
    held_out = HeldOut(store, divide(store, 0.05, 0).val, 32, MaskingConfig(), seed=0, batch_bases=100)
    with pytest.raises(DataError, match="no base of what is held out can be hidden"):
        held_out.num_hidden  # noqa: B018
