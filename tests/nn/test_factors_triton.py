"""The Triton kernels of `mix_factors` equal the plain computation, and compile: on a GPU, or interpreted on the CPU."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

pytest.importorskip("triton")

from genomix.nn import factors, factors_triton, factors_triton_backward
from genomix.nn.factors import LinkMlps, mix_factors_reference
from genomix.nn.protocols import link_offsets

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RESIDUAL_INPUT = pytest.mark.parametrize("residual_input", [False, True], ids=["step", "input"])


def make_inputs(lengths, num_positions, offsets, dim, hidden_dim, *, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=1.0):
        return (torch.randn(shape, generator=generator) * scale).to(DEVICE, dtype)

    num_factors, num_links = len(offsets), len(offsets[0])
    weight1 = draw(num_factors, hidden_dim, dim, scale=dim**-0.5)
    weight2 = draw(num_factors, num_links, hidden_dim, scale=hidden_dim**-0.5)
    link_mlps = LinkMlps(weight1, draw(num_factors, hidden_dim), weight2, draw(num_factors, num_links))
    values = [draw(len(lengths), num_positions, dim) for _ in range(3)]
    return *values, link_mlps, torch.tensor(offsets, device=DEVICE), torch.tensor(lengths, device=DEVICE)


def outcome_and_gradients(problem, residual_input, *, recompute=False):
    grad_out, inputs, start, link_mlps, offsets, lengths = problem
    options = {"keep_values": True, "keep_weights": not recompute}
    shared = (inputs, start, link_mlps, offsets, lengths)
    out, *kept = factors_triton.forward(*shared, residual_input=residual_input, **options)
    return out, *factors_triton.backward(grad_out, *shared, *kept, residual_input=residual_input)


def expected_outcome_and_gradients(problem, residual_input):
    grad_out, inputs, start, link_mlps, offsets, lengths = problem
    leaves = [tensor.double().requires_grad_() for tensor in (inputs, start, *link_mlps)]
    networks = LinkMlps(*leaves[2:])
    out = mix_factors_reference(*leaves[:2], networks, offsets, lengths, residual_input=residual_input)
    return out.detach(), *torch.autograd.grad(out, leaves, grad_out.double())


def assert_all_close(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance * scale)


def assert_zero_behind(found, lengths):
    for tensor in found:
        for row, length in zip(tensor, lengths.tolist(), strict=True):
            assert not row[length:].any()


@st.composite
def problems(draw):
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=2))
    num_positions = max(lengths) + draw(st.sampled_from([0, 1, 33]))
    num_links = draw(st.integers(1, 6))
    links = st.lists(st.integers(-4, 4) | st.integers(-(2**62), 2**62), min_size=num_links, max_size=num_links)
    offsets = draw(st.lists(links, min_size=1, max_size=3))
    sizes = draw(st.sampled_from([(8, 16), (5, 7), (16, 40)]))
    return make_inputs(lengths, num_positions, offsets, *sizes, seed=draw(st.integers(0, 9)))


@settings(deadline=None, max_examples=10)
@given(problem=problems(), residual_input=st.booleans(), recompute=st.booleans())
def test_any_lengths_and_offsets(problem, residual_input, recompute):
    found = outcome_and_gradients(problem, residual_input, recompute=recompute)
    assert_all_close(found, expected_outcome_and_gradients(problem, residual_input))
    assert_zero_behind(found[:3], problem[-1])


@pytest.mark.parametrize(
    ("dim", "hidden_dim", "num_links"), [(8, 16, 22), (24, 40, 9), (32, 128, 15), (64, 70, 4), (256, 20, 1)]
)
def test_sizes(dim, hidden_dim, num_links):
    rows = factors_triton_backward.BLOCKS[factors_triton.pad(dim)].rows
    problem = make_inputs([1, rows + 1], rows + 2, [[(-3) ** k for k in range(num_links)]], dim, hidden_dim)
    found = outcome_and_gradients(problem, False)
    assert_all_close(found, expected_outcome_and_gradients(problem, False))
    assert_zero_behind(found[:3], problem[-1])


@pytest.mark.parametrize("protocol", ["chord", "cdil"])
def test_protocols_with_links_that_collide(protocol):
    problem = make_inputs([16, 11], 16, link_offsets(protocol, 4), 8, 16)
    assert_all_close(outcome_and_gradients(problem, False), expected_outcome_and_gradients(problem, False))


@RESIDUAL_INPUT
def test_link_weights_made_again_are_those_that_were_kept(residual_input):
    problem = make_inputs([1, 37], 38, [[0, 1, -5]] * 2, 16, 40)
    kept = outcome_and_gradients(problem, residual_input)
    assert_all_close(outcome_and_gradients(problem, residual_input, recompute=True), kept, tolerance=1e-6)


@pytest.mark.parametrize("num_factors", [1, 2, 3])
def test_inference_keeps_nothing_and_finds_the_same(num_factors):
    _, *shared = make_inputs([1, 37], 40, [[0, 1, -5]] * num_factors, 8, 16)
    start = shared[1].clone()
    expected, values, weights = factors_triton.forward(
        *shared, residual_input=False, keep_values=True, keep_weights=True
    )
    assert [tensor.shape for tensor in values] == [(2, 40, 8)] * (num_factors - 1)
    assert [tensor.shape for tensor in weights] == [(2, 40, 3)] * num_factors
    assert_zero_behind([*values, *weights], shared[-1])
    found, *kept = factors_triton.forward(*shared, residual_input=False, keep_values=False, keep_weights=False)
    assert_all_close([found], [expected], tolerance=1e-6)
    assert torch.equal(shared[1], start)
    assert kept == [[], []]


@RESIDUAL_INPUT
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 2e-3)])
def test_half_types_are_as_good_as_their_rounding(dtype, tolerance, residual_input):
    problem = make_inputs([1, 37], 40, [[0, 1, -5, 9]] * 3, 16, 32, dtype=dtype)
    found = outcome_and_gradients(problem, residual_input)
    for one, other in zip(found, expected_outcome_and_gradients(problem, residual_input), strict=True):
        assert one.dtype == dtype
        assert float((one.double() - other).norm() / other.norm()) < tolerance


@RESIDUAL_INPUT
def test_what_lies_behind_a_record_is_never_read(residual_input):
    problem = make_inputs([1, 35], 70, [[0, 1, -7]] * 2, 8, 16)
    clean = outcome_and_gradients(problem, residual_input)
    for tensor in problem[:3]:
        for row, length in zip(tensor, problem[-1].tolist(), strict=True):
            row[length:] = torch.nan
    for one, other in zip(outcome_and_gradients(problem, residual_input), clean, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("programs", [1, 3])
def test_gradients_do_not_depend_on_how_blocks_are_shared_out(programs, monkeypatch):
    problem = make_inputs([100, 3, 150], 150, [[0, 1, -7]], 8, 16)
    monkeypatch.setattr(factors_triton_backward, "MOST_PROGRAMS", programs)
    assert_all_close(outcome_and_gradients(problem, False), expected_outcome_and_gradients(problem, False))


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "again"])
def test_the_operator_runs_these_kernels(recompute, monkeypatch):
    monkeypatch.setattr(factors, "choose_kernel", lambda inputs, link_mlps: factors_triton)
    problem = make_inputs([4, 9], 9, [[0, 1, -20]] * 2, 8, 16)
    grad_out, inputs, start, link_mlps, offsets, lengths = problem
    leaves = [tensor.requires_grad_() for tensor in (inputs, start, *link_mlps)]
    out = factors.mix_factors(inputs, start, link_mlps, offsets, lengths, recompute=recompute)
    found = out.detach(), *torch.autograd.grad(out, leaves, grad_out)
    assert_all_close(found, expected_outcome_and_gradients(problem, False))


def test_float32_is_multiplied_exactly_unless_torch_may_do_otherwise():
    inputs, _, _, link_mlps, _, _ = make_inputs([4], 4, [[0]], 8, 16)
    before = torch.get_float32_matmul_precision()
    try:
        for allowed, precision in [("highest", "ieee"), ("high", "tf32")]:
            torch.set_float32_matmul_precision(allowed)
            sizes = factors_triton_backward.compile_sizes(inputs, link_mlps, factors_triton_backward.BLOCKS[16])
            assert sizes["precision"] == precision
    finally:
        torch.set_float32_matmul_precision(before)


def test_serves_what_the_kernels_hold():
    def serves(dim=32, hidden_dim=64, num_links=9, dtype=torch.float32, other_dtype=None):
        shapes = (2, hidden_dim, dim), (2, hidden_dim), (2, num_links, hidden_dim), (2, num_links)
        link_mlps = LinkMlps(*(torch.empty(shape, dtype=other_dtype or dtype, device="meta") for shape in shapes))
        return factors_triton.serves(torch.empty(1, 40, dim, dtype=dtype, device="meta"), link_mlps)

    assert all(serves(dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16))
    assert serves(256, 512, 32)
    assert serves(1, 1, 1)
    assert not serves(dtype=torch.float64)
    assert not serves(dtype=torch.bfloat16, other_dtype=torch.float32)
    assert not serves(dim=257)
    assert not serves(hidden_dim=513)
    assert not serves(num_links=33)


COMPILE = """
import subprocess, torch, triton
from pathlib import Path
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from genomix.nn import factors_triton, factors_triton_backward, mixing_triton
from genomix.nn.factors import LinkMlps

NAMES = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.int32: "*i32", torch.int64: "*i64"}
usage = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
seen = set()

class Compiling:
    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *arguments, **named):
        options = {name: named.pop(name) for name in ("num_warps", "num_stages") if name in named}
        signature, constants, attributes = {}, {}, {}
        for i, parameter in enumerate(self.kernel.params):
            value = arguments[i] if i < len(arguments) else named[parameter.name]
            if parameter.is_constexpr:
                signature[parameter.name], constants[(i,)] = "constexpr", value
            else:
                signature[parameter.name] = NAMES[value.dtype] if isinstance(value, torch.Tensor) else "i32"
                if not parameter.do_not_specialize:
                    attributes[(i,)] = [["tt.divisibility", 16]]
        source = ASTSource(self.kernel, signature, constants, attributes)
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        if compiled.hash not in seen:
            seen.add(compiled.hash)
            Path("kernel.cubin").write_bytes(compiled.asm["cubin"])
            told = subprocess.check_output([usage, "-res-usage", "kernel.cubin"], text=True)
            print(self.kernel.fn.__name__, NAMES[arguments[0].dtype], told.split("Function")[1].split()[1:3])

for module in (mixing_triton, factors_triton, factors_triton_backward):
    for name in [name for name in vars(module) if name.endswith("_kernel")]:
        setattr(module, name, Compiling(getattr(module, name)))
for dtype, dim, hidden_dim, num_links in ((torch.float32, 32, 128, 15), (torch.bfloat16, 64, 64, 10)):
    shapes = (hidden_dim, dim), (hidden_dim,), (num_links, hidden_dim), (num_links,)
    link_mlps = LinkMlps(*(torch.zeros(2, *shape, dtype=dtype) for shape in shapes))
    values, lengths = torch.zeros(2, 64, dim, dtype=dtype), torch.tensor([64, 3])
    shared = values, values, link_mlps, torch.zeros(2, num_links, dtype=torch.int64), lengths
    mixing_triton.forward(torch.zeros(2, 64, num_links, dtype=dtype), shared[3][0], values, lengths, False)
    for keep in (False, True):
        _, *kept = factors_triton.forward(*shared, residual_input=False, keep_values=True, keep_weights=keep)
        factors_triton.backward(values, *shared, *kept, residual_input=False)
"""


def test_all_kernels_compile_for_a_gpu_and_fit_its_registers(tmp_path):
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-c", COMPILE]
    told = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True).splitlines()
    # for either type: both gathers, the gradients of links and of networks, and three uses of `mix_factor_kernel`
    assert len(told) == 2 * 7
    assert all("STACK:0" in line for line in told), told
