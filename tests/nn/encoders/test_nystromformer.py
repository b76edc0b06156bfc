"""Attention through landmarks equals its formulas, computed record by record; the pseudo-inverse is one."""

import hypothesis.strategies as st
import pytest
import torch
from checks import assert_mixes, assert_padding_changes_nothing, draw, randomise
from dense import assert_is_softmax_attention, linear, shift, softmax_weights, split
from hypothesis import given, settings

from genomix.nn.encoders.nystromformer import NystromAttention, Nystromformer, pseudo_inverse, segment_means

DIM = 6
LENGTHS = [1, 2, 4, 5, 6, 13, 40]


def make(num_landmarks=5, num_iterations=6, width=5):
    return randomise(NystromAttention(DIM, 2, num_landmarks, num_iterations, width))


def means(rows, num_landmarks):
    """Means of rows (n, P) over the segments floor(i m / n)."""
    num_used = min(num_landmarks, len(rows))
    members = [[] for _ in range(num_used)]
    for i in range(len(rows)):
        members[i * num_used // len(rows)].append(rows[i])
    return torch.stack([sum(member) / len(member) for member in members])


def invert(matrix, num_iterations):
    identity = torch.eye(len(matrix), dtype=matrix.dtype)
    z = matrix.T / (matrix.abs().sum(0).max() * matrix.abs().sum(1).max())
    for _ in range(num_iterations):
        az = matrix @ z
        z = 0.25 * z @ (13 * identity - az @ (15 * identity - az @ (7 * identity - az)))
    return z


def convolve(values, taps):
    """out[i] = sum_t taps[t] values[i + t - width // 2], zero beyond the ends."""
    return sum(tap * shift(values, offset - len(taps) // 2) for offset, tap in enumerate(taps))


def mix(mixer, record):
    """One record (n, D), head by head."""
    heads = []
    for h, (q, k, v) in enumerate(split(2, *linear(mixer.projections.inward, record).chunk(3, 1))):
        landmark_q, landmark_k = means(q, mixer.num_landmarks), means(k, mixer.num_landmarks)
        inverse = invert(softmax_weights(landmark_q, landmark_k), mixer.num_iterations)
        head = softmax_weights(q, landmark_k) @ inverse @ softmax_weights(landmark_q, k) @ v
        heads.append(head + convolve(v, mixer.convolution.weight[h].flatten()) if mixer.convolution else head)
    return linear(mixer.projections.outward, torch.cat(heads, 1))


@pytest.mark.parametrize("width", [0, 1, 5])
@pytest.mark.parametrize("num_landmarks", [1, 5, 13])
def test_equals_the_formulas(num_landmarks, width):
    mixer = make(num_landmarks, width=width)
    assert_mixes(mixer, lambda x: mix(mixer, x), LENGTHS, DIM, padding=5, counts_zeros=True)


def test_with_a_landmark_a_position_it_is_softmax_attention():
    mixer = make(num_landmarks=16, num_iterations=30, width=0)
    assert_is_softmax_attention(mixer, [1, 2, 7, 16], DIM, scale=4.0, tolerance=1e-6)


def test_there_are_never_more_landmarks_than_positions():
    mixer = make(num_landmarks=10**9, num_iterations=30, width=0)
    assert_is_softmax_attention(mixer, [1, 2, 7, 16], DIM, scale=4.0, tolerance=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(0, 999))
def test_the_iteration_comes_to_the_inverse(size, seed):
    matrix = (3 * draw(2, size, size, seed=seed)).softmax(-1)
    matrix = matrix + 0.1 * torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(pseudo_inverse(matrix, 40), torch.linalg.pinv(matrix), rtol=1e-5, atol=1e-5)


def test_a_singular_matrix_comes_to_its_pseudo_inverse():
    left, right = draw(2, 7, 3)
    matrix = left @ right.T
    torch.testing.assert_close(pseudo_inverse(matrix, 12), torch.linalg.pinv(matrix, rtol=1e-9), rtol=1e-6, atol=1e-6)


def test_a_matrix_is_inverted_as_if_alone():
    torch.manual_seed(0)
    matrices = torch.randn(4, 6, 6).softmax(-1) * torch.tensor([1.0, 0.01, 7.0, 100.0])[:, None, None]
    together = pseudo_inverse(matrices, 3)
    torch.testing.assert_close(together, torch.stack([pseudo_inverse(matrix, 3) for matrix in matrices]))


def test_segments_count_from_the_records_own_length():
    x = torch.arange(10.0).repeat(3, 1).unsqueeze(2) * (torch.arange(10) < torch.tensor([[10], [5], [2]])).unsqueeze(2)
    found = segment_means(x, torch.tensor([10, 5, 2]), 4).squeeze(2)
    expected = [[1.0, 3.5, 6.0, 8.5], [0.5, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_the_length_of_the_batch_changes_nothing():
    torch.manual_seed(0)
    network = Nystromformer(8, 8, 2, 2, num_landmarks=12, num_iterations=6, width=9)
    assert_padding_changes_nothing(network, 8)
