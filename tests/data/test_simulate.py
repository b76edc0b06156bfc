"""Made-up problems: their answers follow from what was planted, and nothing else gives them away."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genomix.data.simulate import (
    MOST_BY_CHANCE,
    ORDER_LABELS,
    TOLERANCE,
    adding,
    draw_motifs,
    expected_by_chance,
    motif_pair,
    temporal_order,
)
from genomix.data.simulated import SPLITS, Problem, read_simulated, write_simulated
from genomix.data.vocabulary import decode, reverse_complement
from genomix.errors import CannotWriteError, DataError, NoInputError, UsageError

MANY = 4000
sizes = {"num_records": st.integers(1, 20), "length": st.integers(2, 60), "seed": st.integers(0, 2**31)}


def rng(seed=0):
    return np.random.default_rng(seed)


@given(**sizes)
def test_sum_of_the_two_marked_numbers(num_records, length, seed):
    inputs, targets, places = adding(num_records, length, rng(seed))
    assert inputs.shape == (num_records, length, 2)
    for record, target, (first, second) in zip(inputs, targets, places, strict=True):
        assert 0 <= first < second < length
        assert [*np.flatnonzero(record[:, 1])] == [first, second]
        assert record[:, 1].sum() == 2
        assert target == pytest.approx(0.5 + (record[first, 0] + record[second, 0]) / 4)
        assert 0 <= target <= 1


def test_constant_answer_to_adding_errs_as_published():
    _, targets, _ = adding(200_000, 2, rng())
    assert 100 * (np.abs(targets - 0.5) >= TOLERANCE).mean() == pytest.approx(84.65, abs=0.3)


@given(**sizes)
def test_order_of_two_marks(num_records, length, seed):
    tokens, targets, places = temporal_order(num_records, length, rng(seed))
    for record, target, (first, second) in zip(tokens, targets, places, strict=True):
        assert [*np.flatnonzero(record >= 4)] == [first, second]
        assert ORDER_LABELS[target] == "".join("XY"[record[place] - 4] for place in (first, second))


@given(num_records=st.integers(1, 20), spare=st.integers(0, 30), width=st.integers(4, 20), seed=st.integers(0, 2**31))
def test_order_of_two_motifs(num_records, spare, width, seed):
    motifs = draw_motifs(width, rng(seed))
    tokens, targets, places = motif_pair(num_records, 2 * width + spare, rng(seed), motifs)
    for record, target, (first, second) in zip(tokens, targets, places, strict=True):
        assert 0 <= first <= second - width
        assert second + width <= len(record)
        for place, name in zip((first, second), ORDER_LABELS[target], strict=True):
            assert np.array_equal(record[place : place + width], motifs["XY".index(name)])


@settings(max_examples=30)
@example(width=4, seed=166)
@given(width=st.integers(4, 30), seed=st.integers(0, 2**31))
def test_motifs_are_unlike_each_other_on_either_strand(width, seed):
    first, second = draw_motifs(width, rng(seed))
    for one, other in (
        (first, second),
        (first, reverse_complement(second)),
        (first, reverse_complement(first)),
        (second, reverse_complement(second)),
    ):
        assert 3 * (one != other).sum() >= width


def test_motifs_turn_up_by_chance_as_often_as_expected():
    num_records, length, width = 200, 1000, 5
    motif, _ = draw_motifs(width, rng(2))
    bases = rng().integers(0, 4, (num_records, length), dtype=np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(bases, width, axis=1)
    found = sum((words == one).all(-1).sum() for one in (motif, reverse_complement(motif)))
    expected = num_records * expected_by_chance(width, length)
    assert abs(found - expected) < 4 * np.sqrt(expected)


@given(width=st.integers(4, 8), length=st.integers(20, 3000))
@settings(max_examples=40, deadline=None)
def test_length_that_is_named_suffices_and_is_the_shortest(width, length, tmp_path_factory):
    said = []
    made = problem("motif-pair", train=1, test=0, length=length, motif_bp=width)
    write_simulated(made, tmp_path_factory.mktemp("made"), said.append)
    if expected_by_chance(width, length) <= MOST_BY_CHANCE:
        assert not said
        return
    (message,) = said
    assert f"{2 * length / 4**width:.2g} times a record" in message
    enough = int(message.split("--motif-length ")[1].split()[0])
    assert expected_by_chance(enough, length) <= MOST_BY_CHANCE < expected_by_chance(enough - 1, length)


def test_without_motifs_nothing_turns_up_by_chance(tmp_path):
    said = []
    write_simulated(problem("temporal-order", length=3000, motif_bp=4), tmp_path, said.append)
    assert not said


def _drawn(task, length):
    if task == "motif-pair":
        return motif_pair(MANY, length, rng(), draw_motifs(4, rng(1)))
    return {"adding": adding, "temporal-order": temporal_order}[task](MANY, length, rng())


@pytest.mark.parametrize("task", ["adding", "temporal-order", "motif-pair"])
def test_every_pair_of_places_is_as_likely(task):
    length, width = (12, 4) if task == "motif-pair" else (5, 1)
    pairs, counts = np.unique(_drawn(task, length).places, axis=0, return_counts=True)
    free = length - 2 * (width - 1)
    assert len(pairs) == free * (free - 1) / 2
    assert abs(counts - MANY / len(pairs)).max() < 5 * np.sqrt(MANY / len(pairs))


@pytest.mark.parametrize("task", ["temporal-order", "motif-pair"])
def test_classes_are_as_likely_and_places_do_not_tell_them(task):
    _, targets, places = _drawn(task, 40)
    assert abs(np.bincount(targets, minlength=4) - MANY / 4).max() < 5 * np.sqrt(MANY / 4)
    means = [places[targets == target].mean(0) for target in range(4)]
    assert np.ptp(means, axis=0).max() < 2.5


@pytest.mark.parametrize("draw", [adding, temporal_order])
def test_one_position_is_too_few(draw):
    with pytest.raises(ValueError, match="length of 2"):
        draw(3, 1, rng())


def test_motifs_that_do_not_fit():
    first, second = draw_motifs(6, rng())
    with pytest.raises(ValueError, match="do not fit into 11 bp"):
        motif_pair(1, 11, rng(), (first, second))
    with pytest.raises(ValueError, match="equal length"):
        motif_pair(1, 40, rng(), (first, second[:5]))
    with pytest.raises(ValueError, match="too short"):
        draw_motifs(3, rng())


def problem(task="adding", train=7, val=0, test=3, **more):
    return Problem(task, num_records={"train": train, "val": val, "test": test}, **({"length": 30} | more))


@pytest.mark.parametrize("task", ["adding", "temporal-order"])
def test_arrays_come_back_as_they_were_drawn(task, tmp_path, monkeypatch):
    monkeypatch.setattr("genomix.data.simulated.PART_POSITIONS", 60)  # parts of two records
    made = problem(task)
    write_simulated(made, tmp_path)
    for split, number in made.num_records.items():
        if number:
            drawn = [np.concatenate(arrays) for arrays in zip(*made.parts(split), strict=True)]
            for array, truth in zip(read_simulated(tmp_path, split), drawn, strict=True):
                assert len(array) == number
                assert array.dtype == truth.dtype
                assert np.array_equal(array, truth)
    assert json.loads((tmp_path / "task.json").read_text())["length"] == 30


def test_parts_and_splits_differ_and_repeat():
    made = problem(train=4, val=4, test=4)
    first = {split: next(made.parts(split)).inputs for split in SPLITS}
    assert not np.array_equal(first["train"], first["val"])
    assert not np.array_equal(first["val"], first["test"])
    assert np.array_equal(next(problem(train=4, val=4, test=4).parts("train")).inputs, first["train"])
    assert not np.array_equal(next(problem(train=4, seed=1).parts("train")).inputs, first["train"])


def test_dna_holds_what_the_bed_file_says(tmp_path):
    made = problem("motif-pair", length=100, motif_bp=9)
    write_simulated(made, tmp_path)
    entries = (tmp_path / "data.fa").read_text().split(">")[1:]
    records = {entry.split("\n")[0]: "".join(entry.split("\n")[1:]) for entry in entries}
    rows = [line.split("\t") for line in (tmp_path / "labels.tsv").read_text().splitlines()[1:]]
    assert [row[2] for row in rows] == ["train"] * 7 + ["test"] * 3
    assert list(records) == [row[0] for row in rows]
    motifs = dict(zip("XY", map(decode, made.motifs()), strict=True))
    assert json.loads((tmp_path / "task.json").read_text())["motifs"] == motifs
    planted = dict.fromkeys(records, "")
    for line in (tmp_path / "motifs.bed").read_text().splitlines():
        name, start, end, motif = line.split("\t")
        assert records[name][int(start) : int(end)] == motifs[motif]
        planted[name] += motif
    assert planted == {row[0]: row[1] for row in rows}


def test_another_problem_leaves_nothing_of_the_former_one(tmp_path):
    write_simulated(problem("adding"), tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    write_simulated(problem("motif-pair", motif_bp=8), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "data.fa",
        "labels.tsv",
        "motifs.bed",
        "task.json",
        "mine.txt",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"length": 1}, "needs records of 2"),
        ({"task": "motif-pair", "length": 23}, "two motifs of 12 bp need --length 24"),
        ({"task": "motif-pair", "motif_bp": 3}, "--motif-length 3"),
        ({"train": 0, "test": 0}, "no records were asked for"),
    ],
)
def test_impossible_problem(values, message):
    with pytest.raises(UsageError, match=message):
        problem(**values)


def test_reading_what_is_not_there(tmp_path):
    with pytest.raises(NoInputError, match=r"task\.json.*genomix simulate"):
        read_simulated(tmp_path, "train")
    write_simulated(problem(), tmp_path)
    with pytest.raises(NoInputError, match=r"val_inputs\.npy"):
        read_simulated(tmp_path, "val")
    (tmp_path / "test_inputs.npy").write_bytes(b"broken")
    with pytest.raises(DataError, match="not what genomix simulate writes"):
        read_simulated(tmp_path, "test")
    write_simulated(problem("motif-pair"), tmp_path)
    with pytest.raises(DataError, match=r"data\.fa and labels\.tsv"):
        read_simulated(tmp_path, "train")


def test_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genomix.data.simulated.open_memmap", fail)
    with pytest.raises(CannotWriteError, match="No space left"):
        write_simulated(problem(), tmp_path)
    assert not list(tmp_path.iterdir())
