"""The Triton kernels of `mix` equal the plain gather, values and gradients: on a GPU, or interpreted on the CPU."""

import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

pytest.importorskip("triton")

from genomix.nn import mixing, mixing_triton
from genomix.nn.mixing import mix_reference
from genomix.nn.protocols import count_factors, link_offsets

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RESIDUAL = pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])


def make_inputs(lengths, num_positions, offsets, dim, *, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), num_positions)
    link_weights, values, grad_out = (
        torch.randn(*shape, size, generator=generator).to(DEVICE, dtype) for size in (len(offsets), dim, dim)
    )
    return link_weights, torch.tensor(offsets, device=DEVICE), values, torch.tensor(lengths, device=DEVICE), grad_out


def outcome_and_gradients(inputs, residual):
    link_weights, offsets, values, lengths, grad_out = inputs
    out = mixing_triton.forward(link_weights, offsets, values, lengths, residual)
    return out, *mixing_triton.backward(link_weights, offsets, values, lengths, grad_out, residual)


def expected_outcome_and_gradients(inputs, residual):
    link_weights, offsets, values, lengths, grad_out = inputs
    leaves = [link_weights.double().requires_grad_(), values.double().requires_grad_()]
    out = mix_reference(leaves[0], offsets, leaves[1], lengths, residual=residual)
    return out.detach(), *torch.autograd.grad(out, leaves, grad_out.double())


def assert_equals_reference(inputs, residual, tolerance=1e-5):
    expected = expected_outcome_and_gradients(inputs, residual)
    for one, other in zip(outcome_and_gradients(inputs, residual), expected, strict=True):
        assert one.dtype == inputs[2].dtype
        scale = float(other.abs().max())
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance * scale)
        for row, length in zip(one, inputs[3].tolist(), strict=True):
            assert not row[length:].any()


@st.composite
def problems(draw):
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    num_positions = max(lengths) + draw(st.sampled_from([0, 0, 1, 3, 130]))
    near, far = st.integers(-4, 4), st.integers(-(2**62), 2**62)
    offsets = draw(st.lists(near | far, min_size=1, max_size=9))
    dim = draw(st.sampled_from([1, 8, 24, 31, 32, 64]))
    return make_inputs(lengths, num_positions, offsets, dim, seed=draw(st.integers(0, 9)))


@settings(deadline=None, max_examples=15)
@given(inputs=problems(), residual=st.booleans())
def test_any_lengths_and_offsets(inputs, residual):
    assert_equals_reference(inputs, residual)


@RESIDUAL
@pytest.mark.parametrize(("dim", "num_links"), [(8, 15), (24, 9), (32, 22), (64, 2), (256, 1)])
def test_blocks_meet_and_are_left_half_empty(dim, num_links, residual):
    rows = min(128, 4096 // mixing_triton.pad(dim))
    offsets = [(-3) ** k for k in range(num_links)]
    assert_equals_reference(make_inputs([1, rows, rows + 1], rows + 3, offsets, dim), residual)


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_protocols_with_links_that_collide(protocol):
    for offsets in link_offsets(protocol, count_factors(32)):
        assert_equals_reference(make_inputs([32, 17], 32, offsets, 8), residual=True)


@RESIDUAL
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2**-7), (torch.float16, 2**-10)])
def test_half_types_are_rounded_once(dtype, tolerance, residual):
    assert_equals_reference(make_inputs([1, 37, 70], 70, [0, 1, -2, 4, 10**9], 32, dtype=dtype), residual, tolerance)


@RESIDUAL
def test_what_lies_behind_a_record_is_never_read(residual):
    inputs = make_inputs([1, 5, 70], 71, [0, 1, -7, 400], 16)
    clean = outcome_and_gradients(inputs, residual)
    for tensor in (inputs[0], inputs[2], inputs[4]):
        for row, length in zip(tensor, inputs[3].tolist(), strict=True):
            row[length:] = torch.nan
    for one, other in zip(outcome_and_gradients(inputs, residual), clean, strict=True):
        assert torch.equal(one, other)


def test_strided_lengths_and_offsets_are_taken():
    link_weights, offsets, values, lengths, grad_out = make_inputs([4, 9, 2], 9, [0, 1, -2], 8)
    strided = (tensor.repeat_interleave(2)[::2] for tensor in (offsets, lengths))
    inputs = (link_weights, next(strided), values, next(strided), grad_out)
    assert not inputs[3].is_contiguous()
    assert_equals_reference(inputs, residual=False)


def test_the_operator_runs_these_kernels(monkeypatch):
    monkeypatch.setattr(mixing, "choose_kernel", lambda values: mixing_triton)
    *inputs, grad_out = make_inputs([4, 9], 9, [0, 1, -20], 24)
    inputs[0].requires_grad_()
    inputs[2].requires_grad_()
    out = mixing.mix(*inputs, residual=True)
    found = out.detach(), *torch.autograd.grad(out, [inputs[0], inputs[2]], grad_out)
    for one, other in zip(found, expected_outcome_and_gradients((*inputs, grad_out), True), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("num_batch", "num_positions", "rows"), [(1, 1, 16), (3, 127, 32), (2, 129, 128), (5, 64, 64)])
def test_every_row_is_in_exactly_one_block(num_batch, num_positions, rows):
    (programs,), blocks = mixing_triton.share_out(torch.empty(num_batch, num_positions, 1), rows)
    covered = [
        (program // blocks, row)
        for program in range(programs)
        for row in range(program % blocks * rows, program % blocks * rows + rows)
        if row < num_positions
    ]
    assert covered == [(record, row) for record in range(num_batch) for row in range(num_positions)]


def test_offsets_are_wrapped_by_the_length_of_each_record():
    offsets = torch.tensor([[0, -1, 2**62, -(2**63)], [5, 6, 7, -(10**18)]])
    steps = mixing_triton.wrap(offsets, torch.tensor([1, 7, 1000]))
    assert steps.dtype == torch.int32
    expected = [[[offset % n for offset in factor] for n in (1, 7, 1000)] for factor in offsets.tolist()]
    assert steps.tolist() == expected


def test_serves_what_the_kernels_hold():
    def serves(*shape, dtype=torch.float32):
        return mixing_triton.serves(torch.empty(*shape, dtype=dtype, device="meta"))

    assert all(serves(2, 9, 32, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16))
    assert serves(2, 9, 1)
    assert serves(2, 9, 256)
    assert serves(10**6, 2**23 - 1, 256)
    assert not serves(2, 9, 257)
    assert not serves(2, 9, 0)
    assert not serves(1, 2**23, 8)
    assert not serves(9, 32)
    assert not serves(2, 9, 32, dtype=torch.float64)
    assert not serves(2, 9, 32, dtype=torch.int32)


def test_an_old_gpu_is_not_served(monkeypatch):
    for capability, served in [((7, 5), False), ((8, 0), True), ((9, 0), True), ((12, 0), True)]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert mixing_triton.compiles_for(torch.device("cuda")) == served


def test_without_triton_nothing_is_served():
    program = """
import sys, torch
sys.modules["triton"] = None
from genomix.nn import factors_triton, mixing_triton
from genomix.nn.factors import LinkMlps
values = torch.zeros(1, 4, 8)
shapes = (1, 16, 8), (1, 16), (1, 3, 16), (1, 3)
assert mixing_triton.serves(values) is False
assert factors_triton.serves(values, LinkMlps(*(torch.zeros(shape) for shape in shapes))) is False
"""
    subprocess.run([sys.executable, "-c", program], check=True)
