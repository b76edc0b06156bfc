"""Random modules and batches, and what is asked of an encoder or mixer: to equal its formula, record by record."""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def draw(*shape, seed=0):
    """Normal deviates in float64, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randomise(module, seed=0, scale=0.4):
    """Give every parameter any value, in float64; buffers, which hold what was drawn, keep theirs."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale
    return module


def find_inside(lengths, num_positions):
    return (torch.arange(num_positions) < torch.tensor(lengths)[:, None]).unsqueeze(2)


def make_batch(lengths, dim, padding=2):
    """Records (B, N, D) with zeros behind them, as a mixer is given, and their lengths."""
    num_positions = max(lengths) + padding
    return draw(len(lengths), num_positions, dim, seed=1) * find_inside(lengths, num_positions), torch.tensor(lengths)


def assert_same(found, expected, inputs, tolerance=1e-9):
    """Compare two tensors, and their gradients, which are returned, with respect to all inputs."""
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    towards = draw(*found.shape, seed=2)
    pairs = [torch.autograd.grad(side, inputs, towards) for side in (found, expected)]
    for index, (one, other) in enumerate(zip(*pairs, strict=True)):
        torch.testing.assert_close(
            one,
            other,
            rtol=tolerance,
            atol=tolerance * max(1, other.abs().max().item()),
            msg=lambda text, index=index: f"gradient of input {index}, {tuple(inputs[index].shape)}: {text}",
        )
    return pairs[1]


def apply_alone(expect, x, lengths):
    """expect(record (n, D)) of each record of x (B, N, D), with zeros behind it."""
    records = [expect(record[:length]) for record, length in zip(x, lengths, strict=True)]
    return torch.stack([torch.nn.functional.pad(record, (0, 0, 0, x.shape[1] - len(record))) for record in records])


def assert_encodes(encoder, expect, lengths, dim, *, padding=2, tolerance=1e-9):
    """An encoder gives expect(record (n, D)) and zeros behind it, whatever lies behind a record; with all gradients."""
    x = draw(len(lengths), max(lengths) + padding, dim, seed=1).requires_grad_()
    found = encoder(x, torch.tensor(lengths))
    return assert_same(found, apply_alone(expect, x, lengths), [x, *encoder.parameters()], tolerance)


def assert_mixes(mixer, expect, lengths, dim, *, padding=2, counts_zeros=False):
    """A mixer, given zeros behind a record, gives expect(record (n, D)), and there anything; with all gradients.

    One that counts the zeros leaves a gradient behind the record, of which the layer around it makes nothing.
    """
    x, inside = make_batch(lengths, dim, padding)[0].requires_grad_(), find_inside(lengths, max(lengths) + padding)
    found = mixer(x * inside if counts_zeros else x, torch.tensor(lengths)) * inside
    assert_same(found, apply_alone(expect, x, lengths), [x, *mixer.parameters()])


def assert_padding_changes_nothing(network, dim):
    lengths = torch.tensor([100, 57, 9])
    short, garbage = torch.randn(3, 100, dim), torch.randn(3, 300, dim)
    inside = find_inside(lengths.tolist(), 100)
    garbage[:, :100] = torch.where(inside, short, garbage[:, :100])
    found = network(garbage, lengths)
    torch.testing.assert_close(found[:, :100], network(short, lengths), rtol=1e-5, atol=1e-5)
    assert not found[:, 100:].any()


def assert_dropout_acts_in_training_only(make, dim):
    """make(dropout=...) makes a network, in training."""
    dropping, plain, batch = make(dropout=0.5), make(), make_batch([20], dim)
    plain.load_state_dict(dropping.state_dict())
    assert not torch.equal(dropping(*batch), dropping(*batch))
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(dropping.eval()(*batch), plain.eval()(*batch))


def find_felt(network, length, dim, place):
    """The positions of a record that position `place` of the outcome depends on."""
    x = draw(1, length, dim, seed=1).requires_grad_()
    (felt,) = torch.autograd.grad(network(x, torch.tensor([length]))[0, place, 0], x)
    return set(felt[0].any(1).nonzero().flatten().tolist())


@contextmanager
def watch_kept():
    """A list that gets the number of entries of every tensor that autograd keeps meanwhile."""
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda x: x):
        yield sizes


class WatchMade(TorchDispatchMode):
    """Knows the largest tensor, in entries of its own in memory, that any operation has given meanwhile."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        tensors = [part for part in tree_leaves(made) if isinstance(part, torch.Tensor)]
        sizes = [min(part.numel(), part.untyped_storage().nbytes() // part.element_size()) for part in tensors]
        self.largest = max([self.largest, *sizes])
        return made
