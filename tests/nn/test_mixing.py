"""`mix` is a product with a sparse matrix: values and gradients equal those of the dense product, record by record."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from genomix.nn import mixing_cpu, mixing_plain
from genomix.nn.mixing import dense_factor, mix, mix_reference
from genomix.nn.protocols import count_factors, link_offsets


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, link_weights, offsets, values, lengths, residual):
        ctx.save_for_backward(link_weights, offsets, values, lengths)
        ctx.residual = residual
        return mixing_plain.forward(link_weights, offsets, values, lengths, residual)

    @staticmethod
    def backward(ctx, grad_out):
        grad_weights, grad_values = mixing_plain.backward(*ctx.saved_tensors, grad_out, ctx.residual)
        return grad_weights, None, grad_values, None, None


def mix_plainly(link_weights, offsets, values, lengths, *, residual=False):
    return _Plain.apply(link_weights, offsets, values, lengths, residual)


MIXES = pytest.mark.parametrize("mixing", [mix, mix_plainly, mix_reference], ids=["kernel", "plain torch", "reference"])
RESIDUAL = pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])


def dense_mix(link_weights, offsets, values, lengths, residual):
    rows = []
    for weights, record, length in zip(link_weights, values, lengths.tolist(), strict=True):
        operator = dense_factor(weights, offsets, length)
        if residual:
            operator = operator + torch.eye(length, dtype=values.dtype)
        rows.append(torch.nn.functional.pad(operator @ record[:length], (0, 0, 0, len(record) - length)))
    return torch.stack(rows)


def make_inputs(lengths, num_positions, offsets, dim, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), num_positions)
    link_weights = torch.randn(*shape, len(offsets), generator=generator, dtype=dtype, requires_grad=True)
    values = torch.randn(*shape, dim, generator=generator, dtype=dtype, requires_grad=True)
    return link_weights, torch.tensor(offsets), values, torch.tensor(lengths)


def outcome_and_gradients(mixing, inputs, residual, upstream):
    link_weights, offsets, values, lengths = inputs
    out = mixing(link_weights, offsets, values, lengths, residual=residual)
    return out.detach(), *torch.autograd.grad(out, [link_weights, values], upstream)


def assert_equals_dense(mixing, inputs, residual, tolerance=1e-11):
    upstream = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(1), dtype=inputs[2].dtype)
    found = outcome_and_gradients(mixing, inputs, residual, upstream)
    expected = outcome_and_gradients(
        lambda *parts, residual: dense_mix(*parts, residual=residual), inputs, residual, upstream
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    for tensor in found:
        for row, length in zip(tensor, inputs[3].tolist(), strict=True):
            assert not row[length:].any()


@st.composite
def problems(draw):
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    num_positions = max(lengths) + draw(st.sampled_from([0, 0, 1, 3]))
    near, far = st.integers(-4, 4), st.integers(-10_000, 10_000)
    offsets = draw(st.lists(near | far, min_size=1, max_size=22))
    dim = draw(st.integers(1, 64))
    return make_inputs(lengths, num_positions, offsets, dim, seed=draw(st.integers(0, 9)))


@MIXES
@settings(deadline=None, max_examples=60)
@given(inputs=problems(), residual=st.booleans())
def test_mixing_equals_the_dense_product(mixing, inputs, residual):
    assert_equals_dense(mixing, inputs, residual)


@settings(deadline=None, max_examples=25)
@given(inputs=problems(), residual=st.booleans(), rows_per_task=st.integers(1, 9))
def test_kernel_does_not_depend_on_how_rows_are_shared_out(inputs, residual, rows_per_task):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixing_cpu, "ROWS_PER_TASK", rows_per_task)
        assert_equals_dense(mix, inputs, residual)


@RESIDUAL
def test_kernel_is_right_where_its_tasks_meet(residual):
    task = mixing_cpu.ROWS_PER_TASK
    lengths = [1, task - 1, task, task + 1, 2 * task]
    inputs = make_inputs(lengths, 2 * task + 1, [0, 1, -3, 600, 10**6], 2)
    assert_equals_dense(mix, inputs, residual)


@MIXES
@RESIDUAL
def test_single_precision_is_as_good_as_single_precision_can_be(mixing, residual):
    inputs = make_inputs([1, 7, 33, 40], 40, [0, 1, 2, 4, 8, 16, 32, -5], 16, dtype=torch.float32)
    assert_equals_dense(mixing, inputs, residual, tolerance=1e-5)


def test_dense_factor_has_the_weights_where_the_links_are():
    rng = np.random.default_rng(0)
    for length, offsets in [(1, [0, 1, -7]), (5, [0, 1, 6, -4]), (8, [0, 4, -4, 3])]:
        weights = rng.normal(size=(length + 2, len(offsets)))
        expected = np.zeros((length, length))
        for i in range(length):
            for k, offset in enumerate(offsets):
                expected[i, (i + offset) % length] += weights[i, k]
        found = dense_factor(torch.from_numpy(weights), torch.tensor(offsets), length)
        np.testing.assert_allclose(found.numpy(), expected)


@MIXES
@RESIDUAL
def test_gradients_equal_finite_differences(mixing, residual):
    link_weights, offsets, values, lengths = make_inputs([1, 3, 5], 5, [0, 1, -2, 7], 2)

    def mixed(link_weights, values):
        return mixing(link_weights, offsets, values, lengths, residual=residual)

    assert torch.autograd.gradcheck(mixed, (link_weights, values))


@MIXES
def test_strided_inputs_and_gradients_give_the_same(mixing):
    link_weights, offsets, values, lengths = make_inputs([4, 9], 9, [0, 1, -2], 6)
    strided_weights = link_weights.detach().permute(2, 1, 0).contiguous().permute(2, 1, 0).requires_grad_()
    strided_values = values.detach().repeat_interleave(2, 2)[:, :, ::2].requires_grad_()
    assert not strided_weights.is_contiguous()
    assert not strided_values.is_contiguous()
    upstream = torch.randn(6, 9, 2, dtype=torch.float64).permute(2, 1, 0)
    found = outcome_and_gradients(mixing, (strided_weights, offsets, strided_values, lengths), True, upstream)
    expected = outcome_and_gradients(mixing, (link_weights, offsets, values, lengths), True, upstream.contiguous())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@MIXES
def test_broadcast_gradient_is_taken(mixing):
    link_weights, offsets, values, lengths = make_inputs([4, 9], 9, [0, 1, -2], 6)
    mixing(link_weights, offsets, values, lengths).sum().backward()
    expected = torch.zeros_like(values)
    for b, length in enumerate(lengths.tolist()):
        expected[b, :length] = dense_factor(link_weights[b], offsets, length).sum(0).unsqueeze(1)
    torch.testing.assert_close(values.grad, expected.detach())


@MIXES
@pytest.mark.parametrize("exponent", [3, 4, 5, 6])
def test_colliding_links_of_cdil_add_up(mixing, exponent):
    length = 2**exponent
    factors = link_offsets("cdil", count_factors(length))
    assert [len({offset % length for offset in factor}) for factor in factors[-3:]] == [8, 4, 2]
    for offsets in factors[-3:]:
        assert_equals_dense(mixing, make_inputs([length], length, offsets, 3), residual=False)
    ones = torch.ones(1, length, 9, dtype=torch.float64)
    values = torch.ones(1, length, 1, dtype=torch.float64)
    assert (mixing(ones, torch.tensor(factors[-1]), values, torch.tensor([length])) == 9).all()


@MIXES
def test_a_single_position_is_linked_to_itself_by_every_link(mixing):
    inputs = make_inputs([1], 1, [0, 1, -1, 5], 3)
    found = mixing(*inputs, residual=True)
    torch.testing.assert_close(found, inputs[2] * (1 + inputs[0].sum()))


@MIXES
def test_records_do_not_see_each_other(mixing):
    link_weights, offsets, values, lengths = make_inputs([3, 8, 5], 8, [0, 1, 2, 4], 4)
    together = mixing(link_weights, offsets, values, lengths)
    for b, length in enumerate(lengths.tolist()):
        one = slice(b, b + 1)
        alone = mixing(link_weights[one, :length], offsets, values[one, :length], lengths[one])
        torch.testing.assert_close(together[one, :length], alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@RESIDUAL
def test_half_precision_is_as_good_as_half_precision_can_be(dtype, residual):
    inputs = make_inputs([1, 7, 33, 40], 40, [0, 1, 2, 4, -8], 16, dtype=torch.float32)
    inputs = (
        inputs[0].detach().to(dtype).requires_grad_(),
        inputs[1],
        inputs[2].detach().to(dtype).requires_grad_(),
        inputs[3],
    )
    upstream = torch.randn(4, 40, 16).to(dtype)
    found = outcome_and_gradients(mix, inputs, residual, upstream)
    exact = [tensor.detach().double().requires_grad_() if tensor.is_floating_point() else tensor for tensor in inputs]
    expected = outcome_and_gradients(mix_reference, exact, residual, upstream.double())
    resolution = torch.finfo(dtype).eps
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.double(), other, rtol=resolution, atol=resolution)


def test_autocast_on_a_cpu_stays_in_single_precision():
    link_weights, offsets, values, lengths = make_inputs([2, 6], 6, [0, 1, 2], 4, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mix(link_weights, offsets, values, lengths)
    assert mixed.dtype == torch.float32
    mixed.sum().backward()
    assert link_weights.grad.dtype == values.grad.dtype == torch.float32


@RESIDUAL
def test_operator_is_registered_as_torch_wants_it(residual):
    link_weights, offsets, values, lengths = make_inputs([2, 6], 6, [0, 1, -2], 4, dtype=torch.float32)
    torch.library.opcheck(torch.ops.genomix.mix.default, (link_weights, offsets, values, lengths, residual))


def test_kernel_is_right_on_two_threads():
    program = """
import torch
from genomix.nn.mixing import mix, mix_reference
torch.set_num_threads(2)
torch.manual_seed(0)
weights, values = torch.randn(2, 3000, 4, requires_grad=True), torch.randn(2, 3000, 8, requires_grad=True)
offsets, lengths, upstream = torch.tensor([0, 1, -700, 9999]), torch.tensor([3000, 1700]), torch.randn(2, 3000, 8)
outcomes = []
for mixing in (mix, mix_reference):
    out = mixing(weights, offsets, values, lengths, residual=True)
    outcomes.append([out, *torch.autograd.grad(out, [weights, values], upstream)])
for one, other in zip(*outcomes):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "2"})
