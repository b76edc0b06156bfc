"""Hyena: long convolutions whose filters are functions of the lag, and gates between them, in both directions.

Poli, Massaroli, Nguyen, Fu, Dao, Baccus, Bengio, Ermon, Re: Hyena Hierarchy (ICML 2023). B batch, N positions, D
embedding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from genomix.nn.encoders.stack import Stack
from genomix.nn.positions import inside_records

NUM_BANDS = 2
"""Cosines and sines that a filter is a function of, of 1, 2, ... periods in `max_length`."""

NUM_INNER = 2
"""Hidden layers of the filter's network beside the first."""

FREQUENCY = 10.0
"""What the sines of the filter's network multiply their argument by before training, as in HyenaDNA."""

SLOWEST, FASTEST = math.log(100) / 1.5, math.log(100) / 0.3
"""Decay of the filters of the first and the last channel, in 1 / max_length: 0.01 is left at 1.5 and 0.3 max_length."""

FAINTEST = -40.0
"""The window falls no further than exp of this, which no sum feels: processors are slow with the tiniest floats."""

CACHED_VALUES = 1 << 19
"""Values convolved at once on a CPU: at long lengths what stays in its cache takes half the time."""


class Sine(nn.Module):
    """sin(w x), with one trained frequency w for each of `dim` entries (Sitzmann et al. 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.full((dim,), FREQUENCY))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., dim) to the same."""
        return torch.sin(self.frequencies * inputs)


class ImplicitFilters(nn.Module):
    """h(lag) = window(t) network([t, cos 2 pi t, ..., -sin 2 pi t, ...]), t = lag / max_length (paper, section 3.3).

    The network has sines for activations; the window is exp(-decay t), with decays spread over channels. Filters are
    multiplied by sqrt(2 decay / max_length), which makes the window's energy 1, so that what an untrained
    convolution makes of noise is of one size whatever `max_length`.

    Args:
        num_filters: Filters of each channel.
        dim: D.
        filter_dim: Width of the network's hidden layers.
        max_length: Lags that make one unit of t.
    """

    def __init__(self, num_filters: int, dim: int, filter_dim: int, max_length: int) -> None:
        super().__init__()
        self.dim, self.max_length = dim, max_length
        inner = [layer for _ in range(NUM_INNER) for layer in (nn.Linear(filter_dim, filter_dim), Sine(filter_dim))]
        self.network = nn.Sequential(nn.Linear(1 + 2 * NUM_BANDS, filter_dim), Sine(filter_dim), *inner)
        self.outward = nn.Linear(filter_dim, num_filters * dim, bias=False)

    def forward(self, num_lags: int) -> Tensor:
        """Return the filters at the lags 0, 1, ..., (num_filters, D, num_lags)."""
        like = self.outward.weight
        lags = torch.arange(num_lags, dtype=like.dtype, device=like.device) / self.max_length
        decays = torch.linspace(SLOWEST, FASTEST, self.dim, dtype=like.dtype, device=like.device).unsqueeze(1)
        bands = torch.arange(1, NUM_BANDS + 1, dtype=like.dtype, device=like.device)
        angles = 2 * math.pi * lags.unsqueeze(1) * bands
        hidden = self.network(torch.cat([lags.unsqueeze(1), angles.cos(), -angles.sin()], 1))
        filters = (like @ hidden.T).unflatten(0, (-1, self.dim))
        window = (-decays * lags).clamp(min=FAINTEST).exp()
        return filters * (window * (2 * decays / self.max_length).sqrt())


class HyenaOperator(nn.Module):
    """z^1 = v, z^(n+1) = x^n (h^n * z^n), y = W z^(order+1) (paper, definition 3.1), where * goes in both directions.

    v, x^1, x^2, ... are projections of the input, each convolved with a filter of width 3 per channel; h^n is a filter
    for either direction, and a number for each channel that is added at lag 0. O(N log N) time, O(N) memory.

    Args:
        dim: D.
        order: How many long convolutions and gates follow one another.
        filter_dim: See `ImplicitFilters`.
        max_length: See `ImplicitFilters`; longer records continue the filters.
    """

    def __init__(self, dim: int, order: int, filter_dim: int, max_length: int) -> None:
        super().__init__()
        width = (order + 1) * dim
        self.order = order
        self.inward, self.outward = nn.Linear(dim, width), nn.Linear(dim, dim)
        self.short = nn.Conv2d(width, width, (1, 3), padding=(0, 1), groups=width)
        self.filters = ImplicitFilters(2 * order, dim, filter_dim, max_length)
        self.skip = nn.Parameter(torch.randn(order * dim))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Mix (B, N, D), of which lengths (B,) positions are real."""
        inside = inside_records(hidden, lengths)
        projected = self.inward(hidden) * inside
        # as an image of height 1 the channels stay innermost in memory, which torch's depthwise kernels are fastest for
        short = self.short(projected.transpose(1, 2).unsqueeze(2)).squeeze(2) * inside.transpose(1, 2)
        with torch.autocast(hidden.device.type, enabled=False):
            wide = torch.promote_types(hidden.dtype, torch.float32)
            mixed, *gates = short.to(wide, memory_format=torch.contiguous_format).chunk(self.order + 1, 1)
            ahead, back = self.filters(hidden.shape[1]).chunk(2)
            skips = self.skip.unflatten(0, (self.order, -1))
            for gate, *filter_and_skip in zip(gates, ahead, back, skips, strict=True):
                mixed = gate * BothWays.apply(mixed, *filter_and_skip)
        return self.outward(mixed.transpose(1, 2).to(short.dtype))


class BothWays(torch.autograd.Function):
    """y_i = skip v_i + sum_{j<=i} ahead_(i-j) v_j + sum_{j>i} back_(j-i) v_j, by FFT.

    torch goes back through its real FFTs by complex ones of the full size; here all are real. Spectra, the largest
    tensors, exist for a few channels at a time and are made again on the way back.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, ahead: Tensor, back: Tensor, skip: Tensor) -> Tensor:
        """Convolve.

        Args:
            ctx: What autograd keeps.
            values: v, (B, D, N), zero where a record has no positions.
            ahead: The filter on what is before, by lag, (D, N).
            back: The filter on what is behind, by lag, (D, N); lag 0 is not used.
            skip: (D,).

        Returns:
            (B, D, N).
        """
        ctx.save_for_backward(values, ahead, back, skip)
        outputs, num = torch.empty_like(values), values.shape[-1]
        for few in _few_channels(values):
            kernel = _make_kernel(ahead[few], back[few], skip[few])
            spectrum = torch.fft.rfft(values[:, few], kernel.shape[-1])
            outputs[:, few] = torch.fft.irfft(spectrum.mul_(torch.fft.rfft(kernel)), kernel.shape[-1])[..., :num]
        return outputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the four tensors."""
        values, ahead, back, skip = ctx.saved_tensors
        grad_values, grad_ahead, grad_back, grad_skip = (torch.empty_like(tensor) for tensor in ctx.saved_tensors)
        num = values.shape[-1]
        for few in _few_channels(values):
            kernel = _make_kernel(ahead[few], back[few], skip[few])
            size = kernel.shape[-1]
            spectrum = torch.fft.rfft(grad_outputs[0][:, few], size)
            by_value = (torch.fft.rfft(values[:, few], size).conj() * spectrum).sum(0)
            spectrum *= torch.fft.rfft(kernel).conj()
            grad_values[:, few] = torch.fft.irfft(spectrum, size)[..., :num]
            grad_kernel = torch.fft.irfft(by_value, size)
            grad_ahead[few], grad_skip[few] = grad_kernel[:, :num], grad_kernel[:, 0]
            grad_back[few, 1:], grad_back[few, 0] = grad_kernel[:, size - num + 1 :].flip(1), 0
        return grad_values, grad_ahead, grad_back, grad_skip


def _few_channels(values: Tensor) -> list[slice]:
    """Return the channels of values (B, D, N) to convolve at a time: on a CPU as many as stay in its cache."""
    batch, dim, num_positions = values.shape
    few = max(1, CACHED_VALUES // (batch * num_positions)) if values.device.type == "cpu" else dim
    return [slice(first, first + few) for first in range(0, dim, few)]


def _make_kernel(ahead: Tensor, back: Tensor, skip: Tensor) -> Tensor:
    """Lay out the filters (D, N) for a circular convolution, with so many zeros that nothing comes round the end."""
    num = ahead.shape[1]
    kernel = ahead.new_zeros(len(ahead), fast_size(2 * num - 1))
    kernel[:, :num] = ahead
    kernel[:, kernel.shape[1] - num + 1 :] = back[:, 1:].flip(1)
    kernel[:, 0] += skip
    return kernel


def fast_size(least: int) -> int:
    """Return a fast size for an FFT, even, not below `least` and little above: a power of 2 times 1, 3, 5, 9 or 15."""
    return min(factor << max(1, (-(-least // factor) - 1).bit_length()) for factor in (1, 3, 5, 9, 15))


class Hyena(Stack):
    """A stack of pre-norm layers of Hyena operators; for arguments see `Stack` and `HyenaOperator`."""

    MIXER = HyenaOperator
