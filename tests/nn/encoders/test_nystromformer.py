"""Attention through landmarks equals its formulas, computed record by record; the pseudo-inverse is one."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from genomix.nn.encoders.nystromformer import NystromAttention, Nystromformer, pseudo_inverse, segment_means

LENGTHS = [1, 2, 4, 5, 6, 13, 40]


def make(num_landmarks=5, num_iterations=6, width=5, seed=0):
    torch.manual_seed(seed)
    return NystromAttention(6, 2, num_landmarks, num_iterations, width).double()


def batch(lengths, num_positions, scale=1.0):
    x = scale * torch.randn(len(lengths), num_positions, 6, dtype=torch.float64)
    return x * (torch.arange(num_positions) < torch.tensor(lengths)[:, None])[..., None], torch.tensor(lengths)


def softmax(queries, keys):
    weights = torch.exp(queries @ keys.T / math.sqrt(queries.shape[1]))
    return weights / weights.sum(1, keepdim=True)


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


def convolve(values, weights):
    """out[i] = sum_t weights[t] values[i + t - width // 2], zero beyond the ends."""
    rows = []
    for i in range(len(values)):
        near = range(max(0, i - len(weights) // 2), min(len(values), i + len(weights) // 2 + 1))
        rows.append(sum(weights[j - i + len(weights) // 2] * values[j] for j in near))
    return torch.stack(rows)


def mix(mixer, record):
    """One record (n, D), head by head."""
    inward, outward = mixer.projections.inward, mixer.projections.outward
    heads = []
    projected = (record @ inward.weight.T + inward.bias).chunk(3, 1)
    for h, (q, k, v) in enumerate(zip(*(part.chunk(2, 1) for part in projected), strict=True)):
        landmark_q, landmark_k = means(q, mixer.num_landmarks), means(k, mixer.num_landmarks)
        inverse = invert(softmax(landmark_q, landmark_k), mixer.num_iterations)
        head = softmax(q, landmark_k) @ inverse @ softmax(landmark_q, k) @ v
        heads.append(head + convolve(v, mixer.convolution.weight[h].flatten()) if mixer.convolution else head)
    return torch.cat(heads, 1) @ outward.weight.T + outward.bias


@pytest.mark.parametrize("width", [0, 1, 5])
@pytest.mark.parametrize("num_landmarks", [1, 5, 13])
def test_equals_the_formulas(num_landmarks, width):
    mixer = make(num_landmarks, width=width)
    anything, lengths = batch(LENGTHS, 45, scale=2.0)
    anything.requires_grad_()
    x = anything * (anything != 0)  # a mixer is given zeros behind the lengths, and no gradient is asked of it there
    pairs = [
        (row[:length], mix(mixer, record[:length]))
        for row, record, length in zip(mixer(x, lengths), x, LENGTHS, strict=True)
    ]
    gradients = [
        torch.autograd.grad(
            sum(torch.sin(3 * part).sum() for part in side), [anything, *mixer.parameters()], retain_graph=True
        )
        for side in zip(*pairs, strict=True)
    ]
    for found, expected in [*pairs, *zip(*gradients, strict=True)]:
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_with_a_landmark_a_position_it_is_softmax_attention():
    mixer = make(num_landmarks=16, num_iterations=30, width=0)
    x, lengths = batch([1, 2, 7, 16], 20, scale=4.0)
    for row, record, length in zip(mixer(x, lengths), x, lengths.tolist(), strict=True):
        q, k, v = (
            part.unflatten(1, (2, 3)).transpose(0, 1) for part in mixer.projections.inward(record[:length]).chunk(3, 1)
        )
        expected = torch.cat([softmax(*pair) @ value for *pair, value in zip(q, k, v, strict=True)], 1)
        torch.testing.assert_close(row[:length], mixer.projections.outward(expected), rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(0, 999))
def test_the_iteration_comes_to_the_inverse(size, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(2, size, size, generator=generator, dtype=torch.float64).mul(3).softmax(-1)
    matrix = matrix + 0.1 * torch.eye(size, dtype=torch.float64)
    torch.testing.assert_close(pseudo_inverse(matrix, 40), torch.linalg.pinv(matrix), rtol=1e-5, atol=1e-5)


def test_a_singular_matrix_comes_to_its_pseudo_inverse():
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
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
    x, lengths = torch.randn(3, 100, 8), torch.tensor([100, 57, 9])
    garbage = torch.randn(3, 300, 8)
    garbage[:, :100] = torch.where((torch.arange(100) < lengths[:, None])[..., None], x, garbage[:, :100])
    found = network(garbage, lengths)
    torch.testing.assert_close(found[:, :100], network(x, lengths), rtol=1e-5, atol=1e-5)
    assert not found[:, 100:].any()
