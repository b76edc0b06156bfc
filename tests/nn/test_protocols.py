"""The links are those of the paper, and after all factors everything depends on everything."""

import math

import pytest
import torch

from genomix.nn.mixing import dense_factor
from genomix.nn.protocols import count_factors, link_offsets

PROTOCOLS = ["chord", "cdil"]


def reached(offsets, length):
    """Distances from a row to the rows it depends on after these factors."""
    distances = {0}
    for factor in offsets:
        distances = {(distance + offset) % length for distance in distances for offset in factor}
    return distances


@pytest.mark.parametrize("num_factors", [1, 2, 5, 14])
def test_chord_links_to_oneself_and_to_powers_of_two_in_every_factor(num_factors):
    expected = [0, *(2**k for k in range(num_factors))]
    assert link_offsets("chord", num_factors) == [expected] * num_factors


@pytest.mark.parametrize("num_factors", [1, 2, 5, 14])
@pytest.mark.parametrize("reach", [1, 4])
def test_cdil_links_to_neighbours_on_both_sides_farther_in_every_factor(num_factors, reach):
    offsets = link_offsets("cdil", num_factors, reach=reach)
    assert len(offsets) == num_factors
    for m, factor in enumerate(offsets):
        assert factor[0] == 0
        assert sorted(factor) == [k * 2**m for k in range(-reach, reach + 1)]


def test_cdil_has_nine_links_as_published():
    assert {len(factor) for factor in link_offsets("cdil", 14)} == {9}


def test_cdil_offsets_come_in_the_published_order():
    assert link_offsets("cdil", 2)[1] == [0, 2, 4, 6, 8, -2, -4, -6, -8]


def test_unknown_protocol_is_an_error():
    with pytest.raises(ValueError, match="'chord' or 'cdil'"):
        link_offsets("ring", 3)


def test_number_of_factors_is_the_logarithm_rounded_up():
    assert count_factors(1) == 1
    for length in range(2, 5000):
        assert count_factors(length) == math.ceil(math.log2(length))
    for exponent in (20, 30, 48):
        assert [count_factors(2**exponent + step) for step in (-1, 0, 1)] == [exponent, exponent, exponent + 1]


@pytest.mark.parametrize("length", [0, -1])
def test_no_factors_for_no_positions(length):
    with pytest.raises(ValueError, match="at least 1"):
        count_factors(length)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_position_depends_on_every_other(protocol):
    for length in range(1, 301):
        assert len(reached(link_offsets(protocol, count_factors(length)), length)) == length, length


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shorter_records_are_connected_too(protocol):
    offsets = link_offsets(protocol, count_factors(300))
    for length in range(1, 301):
        assert len(reached(offsets, length)) == length, length


@pytest.mark.parametrize("exponent", range(1, 9))
def test_chord_needs_all_its_factors_at_powers_of_two(exponent):
    fewer = link_offsets("chord", count_factors(2**exponent) - 1)
    assert len(reached(fewer, 2**exponent)) < 2**exponent


@pytest.mark.parametrize("num_factors", range(1, 7))
def test_cdil_connects_as_many_positions_as_its_dilations_span(num_factors):
    offsets = link_offsets("cdil", num_factors)
    span = 2 * 4 * (2**num_factors - 1) + 1
    assert len(reached(offsets, span)) == span
    assert len(reached(offsets, span + 1)) == span


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 16, 17, 31, 64, 100])
def test_product_of_dense_factors_has_no_zero(protocol, length):
    generator = torch.Generator().manual_seed(length)
    product = torch.eye(length, dtype=torch.float64)
    for offsets in link_offsets(protocol, count_factors(length)):
        weights = torch.rand(length, len(offsets), generator=generator, dtype=torch.float64) + 0.1
        product = dense_factor(weights, torch.tensor(offsets), length) @ product
    assert (product > 0).all()
