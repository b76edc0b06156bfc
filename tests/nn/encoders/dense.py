"""Multi-head softmax attention over what a pattern lets each position see, in plain loops."""

import torch


def randomise(module, seed=0):
    """Every parameter random, so that none is at a special value, in float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.4)
    return module


def make_records(lengths, dim, most):
    """Records of some lengths, zero behind them, that gradients are taken of."""
    hidden = torch.randn(len(lengths), most, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inside = torch.arange(most) < torch.tensor(lengths)[:, None]
    return (hidden * inside[..., None]).requires_grad_()


def split(inward, record, num_heads):
    """Queries, keys and values, each a list of (N, P), one a head."""
    dim = record.shape[1]
    projected = record @ inward.weight.T + inward.bias
    parts = projected[:, :dim], projected[:, dim : 2 * dim], projected[:, 2 * dim :]
    return [part.split(dim // num_heads, 1) for part in parts]


def attend_one(query, keys, values, seen):
    """One query (P,) over the keys that it sees, a list of positions."""
    weights = torch.exp(keys[seen] @ query / len(query) ** 0.5)
    return weights @ values[seen] / weights.sum()


def attend(record, inward, outward, num_heads, sees):
    """Attention of a record (N, D), where sees(head, i, j) says whether position i sees j."""
    queries, keys, values = split(inward, record, num_heads)
    length = len(record)
    heads = []
    for h in range(num_heads):
        seen = [[j for j in range(length) if sees(h, i, j)] for i in range(length)]
        heads.append(torch.stack([attend_one(queries[h][i], keys[h], values[h], seen[i]) for i in range(length)]))
    return torch.cat(heads, 1) @ outward.weight.T + outward.bias


def assert_equal_values_and_gradients(mixer, lengths, most, expect):
    """Compare a mixer with expect(record (N, D), length) on each record, within the lengths."""
    dim = mixer.projections.outward.in_features
    records = make_records(lengths, dim, most)
    inputs = [records, *mixer.parameters()]
    together = mixer(records, torch.tensor(lengths))
    found = torch.cat([row[:length] for row, length in zip(together, lengths, strict=True)])
    expected = torch.cat([expect(row[:length]) for row, length in zip(records, lengths, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    towards = torch.cos(torch.arange(found.numel(), dtype=torch.float64)).view_as(found)
    gradients = [torch.autograd.grad((part * towards).sum(), inputs) for part in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
