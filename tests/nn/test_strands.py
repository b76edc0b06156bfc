"""The other strand of a batch is that of each record, and a network that reads both says the same of either."""

import numpy as np
import pytest
import torch
from networks import LENGTHS, NUM_CLASSES, assert_gradients, assert_records_are_alone, make, make_batch

from genomix.config import make_config
from genomix.data.vocabulary import COMPLEMENT as DATA_COMPLEMENT
from genomix.data.vocabulary import PAD, reverse_complement
from genomix.errors import UsageError
from genomix.nn.build import Inputs, build_regressor
from genomix.nn.strands import COMPLEMENT, other_strand


def test_complement_is_that_of_the_data():
    assert list(COMPLEMENT) == DATA_COMPLEMENT[: PAD + 1].tolist()


def test_each_record_is_turned_by_itself():
    tokens, lengths = make_batch()
    for turned, record, length in zip(other_strand(tokens, lengths), tokens, LENGTHS, strict=True):
        np.testing.assert_array_equal(turned[:length].numpy(), reverse_complement(record[:length].numpy()))
        assert (turned[length:] == PAD).all()
    assert torch.equal(other_strand(other_strand(tokens, lengths), lengths), tokens)


def test_one_hot_vectors_are_turned_alike():
    tokens, lengths = make_batch()
    one_hot = torch.nn.functional.one_hot(tokens.long(), PAD + 1)
    expected = torch.nn.functional.one_hot(other_strand(tokens, lengths).long(), PAD + 1)
    assert torch.equal(other_strand(one_hot, lengths), expected)


@pytest.mark.parametrize("pooling", ["mean-max", "regions", "flatten"])
@pytest.mark.parametrize("padding", ["mask", "token"])
def test_both_strands_get_the_same(pooling, padding):
    network = make(pooling=pooling, position="learned", **{"model.both_strands": True, "model.padding": padding})
    tokens, lengths = make_batch()
    with torch.no_grad():
        torch.testing.assert_close(network(tokens, lengths), network(other_strand(tokens, lengths), lengths))
        one = make(pooling=pooling, position="learned", **{"model.padding": padding})
        assert not torch.allclose(one(tokens, lengths), one(other_strand(tokens, lengths), lengths))


def test_gradients_and_company():
    network = make(pooling="regions", **{"model.both_strands": True})
    assert_records_are_alone(network, *make_batch())
    assert_gradients(network, *make_batch())


def test_is_for_dna():
    config = make_config(overrides={"model.both_strands": True, "model.max_length": 16}).model
    with pytest.raises(UsageError, match=r"model\.both_strands: is for DNA"):
        build_regressor(config, Inputs("values", NUM_CLASSES))
