"""`Mlp` is Linear, GELU, Linear: values and gradients equal those of the three modules run one after another."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from genomix.nn.mlp import Mlp


def outcome_and_gradients(run, mlp, inputs, upstream):
    out = run(inputs)
    return [out.detach(), *torch.autograd.grad(out, [inputs, *mlp.parameters()], upstream)]


def one_after_another(mlp):
    return lambda inputs: mlp[2](mlp[1](mlp[0](inputs)))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 400),
    dim=st.sampled_from([1, 8, 16, 32, 48]),
    hidden_dim=st.integers(1, 140),
    output_dim=st.sampled_from([1, 15, 16, 64, 80]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_equals_its_three_modules(rows, dim, hidden_dim, output_dim, dtype):
    torch.manual_seed(0)
    mlp = Mlp(dim, hidden_dim, output_dim).to(dtype)
    inputs = (3 * torch.randn(rows, dim, dtype=dtype)).requires_grad_()
    upstream = torch.randn(rows, output_dim, dtype=dtype)
    found = outcome_and_gradients(mlp, mlp, inputs, upstream)
    expected = outcome_and_gradients(one_after_another(mlp), mlp, inputs, upstream)
    tolerance = 1e-11 if dtype is torch.float64 else 2e-5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * max(1.0, other.abs().max().item()))


def test_gelu_is_exact_to_single_precision_wherever_it_bends():
    mlp = Mlp(16, 16, 16)
    with torch.no_grad():
        for layer in (mlp[0], mlp[2]):
            layer.weight.copy_(torch.eye(16))
            layer.bias.zero_()
    inputs = torch.linspace(-14, 14, 16 * 20_000).view(-1, 16).requires_grad_()
    out = mlp(inputs)
    out.sum().backward()
    exact = inputs.detach().double().requires_grad_()
    expected = torch.nn.functional.gelu(exact)
    expected.sum().backward()
    assert (out - expected).abs().max() < 1.2e-6
    assert (inputs.grad - exact.grad).abs().max() < 1e-6
    assert not mlp(torch.zeros(3, 16)).any()
    small = torch.full((1, 16), 1e-6)
    torch.testing.assert_close(mlp(small), small / 2, rtol=1e-5, atol=0)


def test_many_positions_and_leading_dimensions():
    mlp = Mlp(16, 20, 32)
    inputs = torch.randn(2, 3, 5, 16)
    torch.testing.assert_close(mlp(inputs), one_after_another(mlp)(inputs), rtol=1e-5, atol=1e-5)


def test_hidden_layer_is_not_saved():
    mlp = Mlp(16, 256, 16)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        mlp(torch.randn(1000, 16, requires_grad=True))
    assert sum(sizes) == 1000 * 16 + sum(parameter.numel() for parameter in mlp.parameters())


@pytest.mark.parametrize("dim", [16, 5])
def test_operator_is_registered_as_torch_wants_it(dim):
    mlp = Mlp(dim, 7, 16)
    inputs = torch.randn(9, dim, requires_grad=True)
    torch.library.opcheck(torch.ops.genomix.mlp.default, (inputs, *mlp.weights))


def test_autocast_on_a_cpu_stays_in_single_precision():
    mlp = Mlp(16, 8, 16)
    inputs = torch.randn(5, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = mlp(inputs)
    assert out.dtype == torch.float32
    out.sum().backward()
    assert inputs.grad.dtype == mlp[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dim", [16, 5], ids=["kernel", "plain torch"])
def test_nothing_inside_is_computed_in_another_type_under_autocast(dim):
    mlp = Mlp(dim, 8, 16)
    inputs = torch.randn(5, dim, requires_grad=True)
    expected = mlp(inputs)
    expected_gradients = torch.autograd.grad(expected.sum(), [inputs, *mlp.parameters()])
    with torch.autocast("cpu", torch.bfloat16):
        out = mlp(inputs)
        gradients = torch.autograd.grad(out.sum(), [inputs, *mlp.parameters()])
    assert torch.equal(out, expected)
    assert all(torch.equal(one, other) for one, other in zip(gradients, expected_gradients, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_passed_on_as_torch_does(bad):
    torch.manual_seed(0)
    mlp = Mlp(16, 16, 16)
    inputs = torch.randn(4, 16)
    inputs[1, 3] = bad
    inputs.requires_grad_()
    found, expected = mlp(inputs), one_after_another(mlp)(inputs)
    assert not expected[1].isfinite().all()
    assert torch.equal(found.isfinite(), expected.isfinite())
    (gradient,) = torch.autograd.grad(found.sum(), inputs)
    assert not gradient[1].isfinite().all() or bad == float("-inf") or bad == float("inf")
    assert gradient[[0, 2, 3]].isfinite().all()
