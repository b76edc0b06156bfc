import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genomix.data.windows import Window, central, cover, coverage_weights, crop

lengths = st.integers(0, 400)
sizes = st.integers(1, 120)


@st.composite
def tilings(draw):
    window = draw(sizes)
    return draw(lengths), window, draw(st.one_of(st.none(), st.integers(1, window)))


def coverage(windows, length):
    counts = np.zeros(length, dtype=int)
    for start, end in windows:
        counts[start:end] += 1
    return counts


@given(tilings())
def test_every_base_is_covered_by_windows_of_one_size(tiling):
    length, window, stride = tiling
    windows = cover(length, window, stride)
    assert np.all(coverage(windows, length) >= 1)
    assert all(end - start == min(window, length) for start, end in windows)
    assert windows == sorted(set(windows))


@given(tilings())
def test_starts_are_a_stride_apart_except_the_last(tiling):
    length, window, stride = tiling
    starts = [start for start, _ in cover(length, window, stride)]
    gaps = np.diff(starts)
    assert np.all(gaps[:-1] == (stride or window))
    assert np.all(gaps[-1:] <= (stride or window))


def test_the_last_window_is_shifted_left():
    assert cover(10, 4) == [Window(0, 4), Window(4, 8), Window(6, 10)]
    assert cover(8, 4) == [Window(0, 4), Window(4, 8)]
    assert cover(3, 4) == [Window(0, 3)]
    assert cover(0, 4) == []


@given(tilings())
def test_weights_let_every_base_count_once(tiling):
    length, window, stride = tiling
    windows = cover(length, window, stride)
    weights = coverage_weights(windows, length)
    counts = coverage(windows, length)
    np.testing.assert_allclose(weights, [np.sum(1 / counts[start:end]) for start, end in windows])
    np.testing.assert_allclose(weights.sum(), length)


def test_weights_of_windows_that_leave_a_gap():
    np.testing.assert_allclose(coverage_weights([Window(0, 4), Window(2, 4), Window(8, 10)], 10), [3, 1, 2])


@given(lengths, sizes, st.integers(0, 2**32 - 1))
def test_pieces_lie_inside_the_record(length, size, seed):
    for start, end in (
        crop(length, size, np.random.default_rng(seed)),
        central(length, size),
    ):
        assert 0 <= start <= end <= length
        assert end - start == min(size, length)


def test_crops_are_uniform():
    rng = np.random.default_rng(0)
    counts = np.bincount([crop(12, 3, rng).start for _ in range(5000)], minlength=10)
    assert len(counts) == 10
    assert np.all(np.abs(counts - 500) < 110)


def test_leading_and_central():
    assert central(11, 4) == Window(3, 7)


@pytest.mark.parametrize(("length", "window", "stride"), [(10, 4, 5), (10, 4, 0), (10, 0, None), (-1, 4, None)])
def test_impossible_tilings_are_refused(length, window, stride):
    with pytest.raises(ValueError, match=r"stride|window|length"):
        cover(length, window, stride)


def test_a_window_outside_the_record_is_refused():
    with pytest.raises(ValueError, match="beyond the record of 10 bp"):
        coverage_weights([Window(5, 11)], 10)
