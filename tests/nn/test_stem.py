"""The stem convolves every record as if it were alone."""

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, pad

from genomix.nn import stem as stem_module
from genomix.nn.stem import ConvStem

LENGTHS = [1, 2, 3, 4, 5, 8, 11, 16, 19]
STRIDES = pytest.mark.parametrize("stride", [1, 3, 4])
WIDTHS = pytest.mark.parametrize(
    ("widths", "beside"),
    [([1], []), ([9], []), ([3, 7], []), ([5, 5, 5], []), ([5], [1]), ([3, 7], [13]), ([9, 3], [5, 19])],
    ids=str,
)


def convolve(record, convolution):
    """Cross-correlate (N, I) with zeros around it, one output position after another."""
    width = convolution.kernel_size[0]
    around = pad(record, (0, 0, width // 2, width // 2))
    rows = [(convolution.weight * around[i : i + width].T).sum((1, 2)) for i in range(len(record))]
    return torch.stack(rows) + convolution.bias


def stem_of_one(stem, record):
    record = gelu(torch.cat([convolve(record, convolution) for convolution in (stem.first, *stem.beside)], 1))
    record = pad(record, (0, 0, 0, -len(record) % stem.stride))
    groups = record.reshape(-1, stem.stride, record.shape[1])
    record = gelu(torch.einsum("nsi,ois->no", groups, stem.merge.weight) + stem.merge.bias)
    for convolution in stem.others:
        record = record + gelu(convolve(record, convolution))
    return layer_norm(record, stem.norm.normalized_shape, stem.norm.weight, stem.norm.bias, stem.norm.eps)


def make_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randn(len(LENGTHS), max(LENGTHS), 3, generator=generator, dtype=torch.float64)
    lengths = torch.tensor(LENGTHS)
    return batch * (torch.arange(max(LENGTHS)) < lengths[:, None]).unsqueeze(-1), lengths


@STRIDES
@WIDTHS
def test_batch_equals_plain_convolutions_of_each_record(stride, widths, beside):
    stem = ConvStem(3, 5, 4, widths, stride, beside).double()
    torch.nn.init.normal_(stem.norm.bias)
    batch, lengths = make_batch()
    found = stem(batch, lengths)
    assert found.shape == (len(LENGTHS), -(-max(LENGTHS) // stride), 4)
    for row, record, length in zip(found, batch, LENGTHS, strict=True):
        expected = stem_of_one(stem, record[:length])
        torch.testing.assert_close(row[: len(expected)], expected)
        assert not row[len(expected) :].any()


@STRIDES
def test_output_lengths_are_the_lengths_that_come_out(stride):
    stem = ConvStem(3, 5, 4, [5], stride)
    for length in range(1, 20):
        found = stem(torch.randn(1, length, 3), torch.tensor([length])).shape[1]
        assert found == stem.output_lengths(torch.tensor([length])).item()


@STRIDES
@pytest.mark.parametrize("beside", [[], [15]], ids=str)
def test_padding_behind_the_batch_changes_nothing(stride, beside):
    stem = ConvStem(3, 5, 4, [9, 3], stride, beside).double()
    batch, lengths = make_batch()
    longer = stem(pad(batch, (0, 0, 0, 13)), lengths)
    found = stem(batch, lengths)
    torch.testing.assert_close(longer[:, : found.shape[1]], found)
    assert not longer[:, found.shape[1] :].any()


@pytest.mark.parametrize(("widths", "beside"), [([9, 4], []), ([9], [5, 18])], ids=str)
def test_even_widths_are_an_error(widths, beside):
    with pytest.raises(ValueError, match="odd"):
        ConvStem(3, 5, 4, widths, 1, beside)


def test_weights_of_a_stem_with_nothing_beside_the_first_convolution_are_drawn_one_after_another():
    torch.manual_seed(1)
    stem = ConvStem(3, 5, 4, [9, 7], 2)
    torch.manual_seed(1)
    drawn = {
        "first": torch.nn.Conv1d(3, 5, 9),
        "merge": torch.nn.Conv1d(5, 4, 2, 2),
        "others.0": torch.nn.Conv1d(4, 4, 7),
        "norm": torch.nn.LayerNorm(4),
    }
    expected = {f"{name}.{key}": one for name, part in drawn.items() for key, one in part.state_dict().items()}
    found = stem.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@STRIDES
@WIDTHS
@pytest.mark.parametrize("block_bases", [1, 40, 95])
def test_blocks_give_the_values_and_gradients_of_the_whole(stride, widths, beside, block_bases, monkeypatch):
    torch.manual_seed(0)
    stem = ConvStem(3, 4, 6, widths, stride, beside).double()
    batch, lengths = make_batch()
    batch.requires_grad_()
    parameters = [batch, *stem.parameters()]

    def run():
        out = stem(batch, lengths)
        with torch.no_grad():
            torch.testing.assert_close(stem(batch, lengths), out)
        return [out.detach(), *torch.autograd.grad(out.square().sum(), parameters, allow_unused=True)]

    whole = run()
    monkeypatch.setattr(stem_module, "BLOCK_BASES", block_bases)
    for one, other in zip(run(), whole, strict=True):
        torch.testing.assert_close(one, other)
