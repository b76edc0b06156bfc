"""A record is pooled from its own positions alone."""

import pytest
import torch

from genomix.nn.pooling import (
    AttentionPooling,
    ClsPooling,
    FlattenPooling,
    MaxPooling,
    MeanMaxPooling,
    MeanPooling,
    PooledNorm,
    RegionPooling,
    pooled_dim,
)

DIM, ROOM = 4, 9
LENGTHS = [1, 3, 7]
POOLINGS = {
    "mean": MeanPooling,
    "max": MaxPooling,
    "mean-max": MeanMaxPooling,
    "regions": RegionPooling,
    "attention": lambda: AttentionPooling(DIM),
    "cls": lambda: ClsPooling(DIM),
    "flatten": lambda: FlattenPooling(ROOM),
}
EVERY = pytest.mark.parametrize("name", POOLINGS)


@pytest.fixture
def encoded():
    return torch.randn(3, 7, DIM, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask():
    return torch.arange(7) < torch.tensor(LENGTHS)[:, None]


@EVERY
def test_padding_does_not_count(name, encoded, mask):
    pooling = POOLINGS[name]()
    garbage = torch.where(mask.unsqueeze(-1), encoded, torch.full_like(encoded, 1e4))
    torch.testing.assert_close(pooling(encoded, mask), pooling(garbage, mask))


@EVERY
def test_record_alone_is_pooled_to_the_same(name, encoded, mask):
    pooling = POOLINGS[name]()
    together = pooling(encoded, mask)
    assert together.shape == (3, pooled_dim(name, DIM, ROOM))
    for b, length in enumerate(LENGTHS):
        alone = pooling(encoded[b : b + 1, :length], mask[b : b + 1, :length])
        torch.testing.assert_close(together[b : b + 1], alone)


def test_regions_are_means_of_equal_parts(encoded, mask):
    pooled = RegionPooling(3)(encoded, mask)
    for row, record, length in zip(pooled, encoded, LENGTHS, strict=True):
        parts = torch.nn.functional.adaptive_avg_pool1d(record[:length].T, 3).T.flatten()
        torch.testing.assert_close(row, torch.cat([record[:length].mean(0), record[:length].amax(0), parts]))


def test_mean_is_over_real_positions(encoded, mask):
    pooled = MeanPooling()(encoded, mask)
    for row, record, length in zip(pooled, encoded, LENGTHS, strict=True):
        torch.testing.assert_close(row, record[:length].mean(0))


def test_maximum_may_be_negative(encoded, mask):
    below = encoded - 100
    pooled = MaxPooling()(below, mask)
    for row, record, length in zip(pooled, below, LENGTHS, strict=True):
        torch.testing.assert_close(row, record[:length].amax(0))


def test_attention_is_a_softmax_of_one_score_a_position(encoded, mask):
    pooling = AttentionPooling(DIM)
    pooled = pooling(encoded, mask)
    for row, record, length in zip(pooled, encoded, LENGTHS, strict=True):
        weights = (record[:length] @ pooling.score.weight[0]).exp()
        torch.testing.assert_close(row, (weights / weights.sum()) @ record[:length])


def test_attention_with_equal_scores_is_the_mean(encoded, mask):
    pooling = AttentionPooling(DIM)
    torch.nn.init.zeros_(pooling.score.weight)
    torch.testing.assert_close(pooling(encoded, mask), MeanPooling()(encoded, mask))


def test_cls_token_comes_first_and_is_what_is_read(encoded, mask):
    pooling = ClsPooling(DIM)
    longer = pooling.prepend(encoded)
    torch.testing.assert_close(longer[:, 0], pooling.token.expand(3, DIM))
    torch.testing.assert_close(longer[:, 1:], encoded)
    torch.testing.assert_close(pooling(longer, mask), longer[:, 0])


def test_flatten_keeps_every_position_at_its_place(encoded, mask):
    pooled = FlattenPooling(ROOM)(encoded, mask).view(3, ROOM, DIM)
    for row, record, length in zip(pooled, encoded, LENGTHS, strict=True):
        torch.testing.assert_close(row[:length], record[:length])
        assert not row[length:].any()


def test_flatten_has_room_for_so_many_and_no_more(encoded, mask):
    assert FlattenPooling(7)(encoded, mask).shape == (3, 7 * DIM)
    with pytest.raises(ValueError, match="holds 6 positions, not 7"):
        FlattenPooling(6)(encoded, mask)


def test_norm_standardises_a_training_batch_by_itself():
    norm = PooledNorm(DIM)
    pooled = torch.randn(20, DIM, generator=torch.Generator().manual_seed(0)) * 3 + 100
    expected = (pooled - pooled.mean(0)) / pooled.std(0, correction=0)
    torch.testing.assert_close(norm(pooled), expected, rtol=1e-4, atol=1e-4)


def test_norm_follows_the_records_where_batches_are_too_small():
    norm = PooledNorm(DIM)
    pooled = torch.randn(8, DIM, generator=torch.Generator().manual_seed(0)) + 5
    for row in pooled:
        assert norm(row.unsqueeze(0)).isfinite().all()
    torch.testing.assert_close(norm.running_mean, pooled.mean(0))


@pytest.mark.parametrize("batch", [1, 3])
def test_norm_learns_the_spread_from_small_batches(batch):
    norm = PooledNorm(256)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        norm(torch.randn(batch, 256, generator=generator) * 3 + 50)
    assert 8 < norm.running_var.mean().item() < 11  # 9, seen from a mean that is itself an estimate


def test_norm_in_use_does_not_depend_on_the_batch_nor_remember_it():
    norm = PooledNorm(DIM)
    norm(torch.randn(20, DIM) * 3 + 100)
    norm.eval()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    pooled = torch.randn(6, DIM)
    expected = (pooled - norm.running_mean) / norm.running_var.sqrt()
    torch.testing.assert_close(norm(pooled), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat([norm(row.unsqueeze(0)) for row in pooled]), norm(pooled))
    for name, tensor in norm.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_norm_passes_gradients_on(batch):
    norm = PooledNorm(DIM)
    pooled = torch.randn(batch, DIM, requires_grad=True)
    norm(pooled).square().sum().backward()
    for tensor in (pooled, *norm.parameters()):
        assert tensor.grad.isfinite().all()
