"""`mix_factors` is M link MLPs and M mixes in a row: values and gradients equal those of plain steps."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from genomix.nn import factors_cpu, factors_plain
from genomix.nn.factors import LinkMlps, choose_kernel, mix_factors, mix_factors_reference
from genomix.nn.protocols import count_factors, link_offsets
from genomix.nn.simd import LANES
from genomix.nn.tiles_cpu import TILE_ROWS

NAMES = ("out", "inputs", "start", "weight1", "bias1", "weight2", "bias2")
RESIDUAL = pytest.mark.parametrize("residual_input", [False, True], ids=["step", "input"])
RECOMPUTE = pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])


def make_problem(lengths, num_positions, dim, hidden_dim, offsets, *, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    num_factors, num_links = len(offsets), len(offsets[0])

    def draw(*shape, fan=1):
        tensor = torch.randn(*shape, generator=generator, dtype=torch.float64) / fan**0.5
        return tensor.to(dtype).requires_grad_()

    return (
        draw(len(lengths), num_positions, dim),
        draw(len(lengths), num_positions, dim),
        LinkMlps(
            draw(num_factors, hidden_dim, dim, fan=dim),
            draw(num_factors, hidden_dim),
            draw(num_factors, num_links, hidden_dim, fan=hidden_dim * num_links),
            draw(num_factors, num_links, fan=num_links),
        ),
        torch.tensor(offsets),
        torch.tensor(lengths),
    )


def outcome_and_gradients(function, problem, upstream, **options):
    inputs, start, link_mlps, offsets, lengths = problem
    out = function(inputs, start, link_mlps, offsets, lengths, **options)
    gradients = torch.autograd.grad(out, [inputs, start, *link_mlps], upstream)
    return dict(zip(NAMES, [out.detach(), *gradients], strict=True))


def in_double(problem):
    inputs, start, link_mlps, offsets, lengths = problem
    inputs, start, *weights = (tensor.detach().double().requires_grad_() for tensor in (inputs, start, *link_mlps))
    return inputs, start, LinkMlps(*weights), offsets, lengths


def assert_equals_reference(problem, tolerance, *, recompute=False, **options):
    upstream = torch.randn(problem[1].shape, generator=torch.Generator().manual_seed(1)).to(problem[1].dtype)
    found = outcome_and_gradients(mix_factors, problem, upstream, recompute=recompute, **options)
    expected = outcome_and_gradients(mix_factors_reference, in_double(problem), upstream.double(), **options)
    for name in NAMES:
        scale = max(1.0, expected[name].abs().max().item())  # sums over rows may cancel
        torch.testing.assert_close(
            found[name].double(),
            expected[name],
            rtol=tolerance,
            atol=tolerance * scale,
            msg=lambda text, n=name: f"{n}: {text}",
        )
    for tensor in (found["out"], found["inputs"], found["start"]):
        for row, length in zip(tensor, problem[4].tolist(), strict=True):
            assert not row[length:].any()
    with torch.no_grad():
        assert torch.equal(mix_factors(*problem, **options), found["out"])


@st.composite
def problems(draw, dims):
    lengths = draw(st.lists(st.integers(1, 120), min_size=1, max_size=3))
    num_links = draw(st.integers(1, 22))
    far = st.integers(-4, 4) | st.integers(-10_000, 10_000)
    row = st.lists(far, min_size=num_links, max_size=num_links)
    offsets = draw(st.lists(row, min_size=1, max_size=4))
    num_positions = max(lengths) + draw(st.sampled_from([0, 0, 1, 3]))
    return make_problem(
        lengths,
        num_positions,
        draw(st.sampled_from(dims)),
        draw(st.integers(1, 70)),
        offsets,
        seed=draw(st.integers(0, 9)),
    )


@RESIDUAL
@RECOMPUTE
@settings(deadline=None, max_examples=25)
@given(problem=problems([16, 32, 48, 64]))
def test_kernel_equals_the_reference_to_float32_rounding(problem, residual_input, recompute):
    assert choose_kernel(problem[0], problem[2]) is factors_cpu
    assert_equals_reference(problem, 3e-5, residual_input=residual_input, recompute=recompute)


@RESIDUAL
@RECOMPUTE
@settings(deadline=None, max_examples=15)
@given(problem=problems([LANES // 2, 3 * LANES // 2, 5 * LANES // 2]))
def test_plain_blocks_equal_the_reference(problem, residual_input, recompute):
    assert choose_kernel(problem[0], problem[2]) is factors_plain
    assert_equals_reference(problem, 3e-5, residual_input=residual_input, recompute=recompute)


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
@pytest.mark.parametrize("dim", [16, 128, 256])
def test_protocols_at_odd_lengths_that_end_within_a_tile(protocol, dim):
    lengths = [1, TILE_ROWS - 1, TILE_ROWS + 1, 4 * TILE_ROWS, 5 * TILE_ROWS + 7]
    offsets = link_offsets(protocol, count_factors(max(lengths)))
    assert_equals_reference(make_problem(lengths, max(lengths) + 2, dim, 33, offsets), 3e-5)


@RESIDUAL
def test_double_precision_is_exact_and_has_the_right_gradients(residual_input):
    problem = make_problem([1, 3, 6], 6, 3, 4, [[0, 1, -2], [0, 2, 7]], dtype=torch.float64)
    assert_equals_reference(problem, 1e-12, residual_input=residual_input)

    def mixed(inputs, start, *weights):
        return mix_factors(inputs, start, LinkMlps(*weights), *problem[3:], residual_input=residual_input)

    assert torch.autograd.gradcheck(mixed, (problem[0], problem[1], *problem[2]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_good_as_half_precision_can_be(dtype):
    problem = make_problem([5, 40], 40, 32, 24, link_offsets("chord", 4), dtype=dtype)
    assert_equals_reference(problem, 16 * torch.finfo(dtype).eps)


def test_weights_that_are_strided_give_the_same():
    inputs, start, mlps, offsets, lengths = make_problem([70], 70, 32, 16, [[0, 1, 2], [0, 4, -1]])
    strided = LinkMlps(*(torch.stack([w, w], -1)[..., 0].detach().requires_grad_() for w in mlps))
    turned = inputs.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    assert not turned.is_contiguous()
    upstream = torch.randn(1, 70, 32)
    one = outcome_and_gradients(mix_factors, (inputs, start, mlps, offsets, lengths), upstream)
    other = outcome_and_gradients(mix_factors, (turned, start, strided, offsets, lengths), upstream)
    for name in NAMES:
        assert torch.equal(one[name], other[name])


def test_nothing_is_kept_without_gradients():
    inputs, start, mlps, offsets, lengths = make_problem([70], 70, 32, 16, [[0, 1, 2], [0, 4, -1]])
    tensors = (inputs, start, *mlps, offsets, lengths)
    _, values, weights = torch.ops.genomix.mix_factors(*tensors, False, False, False)
    assert values == weights == []
    _, values, weights = torch.ops.genomix.mix_factors(*tensors, False, True, False)
    assert [tensor.shape for tensor in values] == [(1, 70, 32)]
    assert weights == []


def test_what_is_saved_for_the_way_back_does_not_hold_the_hidden_layer():
    inputs, start, mlps, offsets, lengths = make_problem([500], 500, 16, 200, [[0, 1, 2]] * 3)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        mix_factors(inputs, start, mlps, offsets, lengths)
    assert sum(sizes) < 500 * (2 * 16 + 2 * 16 + 3 * 3) + 3 * 201 * (16 + 3 + 2)


def test_gradient_of_unused_outcome_is_none():
    problem = make_problem([9], 9, 16, 4, [[0, 1]])
    out = mix_factors(*problem)
    assert torch.autograd.grad((out * 0).sum(), problem[0])[0].abs().sum() == 0


def test_autocast_on_a_cpu_stays_in_single_precision():
    problem = make_problem([40], 40, 32, 24, link_offsets("chord", 4))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mix_factors(*problem)
    assert mixed.dtype == torch.float32
    mixed.sum().backward()
    assert problem[0].grad.dtype == problem[2].weight1.grad.dtype == torch.float32


def test_operator_is_registered_as_torch_wants_it():
    inputs, start, mlps, offsets, lengths = make_problem([9, 20], 20, 16, 4, [[0, 1], [0, -3]])
    for flags in ((False, True, True), (True, True, False)):
        arguments = (inputs, start, *mlps, offsets, lengths, *flags)
        torch.library.opcheck(
            torch.ops.genomix.mix_factors.default,
            arguments,
            test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
        )


def test_compiled_graph_gives_the_same():
    problem = make_problem([9, 20], 20, 16, 4, [[0, 1], [0, -3]])

    def network(inputs, start):
        return mix_factors(inputs.sin(), start, *problem[2:]).cos()

    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    for one, other in zip(
        torch.autograd.grad(compiled(*problem[:2]).sum(), problem[:2]),
        torch.autograd.grad(network(*problem[:2]).sum(), problem[:2]),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_same_bits_each_time_and_for_a_record_alone():
    problem = make_problem([300, 1000], 1000, 32, 64, link_offsets("chord", 10))
    upstream = torch.randn(2, 1000, 32)
    one, other = (outcome_and_gradients(mix_factors, problem, upstream) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in NAMES)
    inputs, start, mlps, offsets, lengths = problem
    alone = mix_factors(inputs[:1, :300], start[:1, :300], mlps, offsets, lengths[:1])
    assert torch.equal(alone[0], one["out"][0, :300])


def test_kernel_is_right_on_two_threads():
    program = """
import torch
from genomix.nn.factors import LinkMlps, mix_factors, mix_factors_reference
torch.set_num_threads(2)
torch.manual_seed(0)
draw = lambda *shape: (torch.randn(*shape) * 0.3).requires_grad_()
tensors = [draw(2, 3000, 32), draw(2, 3000, 32), draw(2, 20, 32), draw(2, 20), draw(2, 4, 20), draw(2, 4)]
offsets, lengths = torch.tensor([[0, 1, -700, 9999]] * 2), torch.tensor([3000, 1700])
upstream = torch.randn(2, 3000, 32)
outcomes = []
for function in (mix_factors, mix_factors_reference):
    out = function(tensors[0], tensors[1], LinkMlps(*tensors[2:]), offsets, lengths)
    outcomes.append([out, *torch.autograd.grad(out, tensors, upstream)])
for one, other in zip(*outcomes):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "2"})


def test_kernel_is_right_for_narrower_vectors(tmp_path):
    program = """
import llvmlite.binding as llvm
real, llvm.get_host_cpu_features = llvm.get_host_cpu_features, lambda: {"avx": True}
from genomix.nn import simd
llvm.get_host_cpu_features = real
import torch
from genomix.nn import factors_cpu
from genomix.nn.factors import LinkMlps, choose_kernel, mix_factors, mix_factors_reference
assert simd.LANES == 8
torch.manual_seed(0)
draw = lambda *shape: (torch.randn(*shape) * 0.3).requires_grad_()
tensors = [draw(2, 150, 40), draw(2, 150, 40), draw(2, 70, 40), draw(2, 70), draw(2, 5, 70), draw(2, 5)]
assert choose_kernel(tensors[0], None) is factors_cpu
offsets, lengths = torch.tensor([[0, 1, -2, 70, 9999]] * 2), torch.tensor([150, 83])
outcomes = []
for function in (mix_factors, mix_factors_reference):
    out = function(tensors[0], tensors[1], LinkMlps(*tensors[2:]), offsets, lengths)
    outcomes.append([out, *torch.autograd.grad(out.sin().sum(), tensors)])
for one, other in zip(*outcomes):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())
"""
    plain = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_OPT": "0"}  # compiles sooner
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | plain)
