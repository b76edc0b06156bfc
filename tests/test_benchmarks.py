"""The scripts in benchmarks/: the opponents compute what they say, counts and ratios are right."""

import contextlib
import statistics

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genomix.config import make_config
from genomix.nn.build import build_classifier

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")


def published_name(name):
    """Return what the published network calls a parameter of ours."""
    for ours, theirs in (("embedding.", ""), ("encoder.layers.0.", ""), ("head.0.", "head.")):
        if name.startswith(ours):
            return name.replace(ours, theirs, 1)
    raise AssertionError(name)


def published_and_ours(length, protocol):
    """The published network, and ours with the same weights."""
    from published import PublishedParamixer

    overrides = {"model.max_length": length, "model.encoder.protocol": protocol}
    ours = build_classifier(make_config("paramixer-paper", overrides=overrides).model, 2)
    published = PublishedParamixer(length, protocol=protocol)
    published.load_state_dict({published_name(name): weight for name, weight in ours.state_dict().items()})
    return published, ours


class TestPublished:
    @pytest.mark.parametrize("protocol", ["chord", "cdil"])
    @pytest.mark.parametrize("length", [64, 97])
    def test_it_gives_our_logits_and_gradients(self, length, protocol):
        """Records of full length and shorter ones, which both fill up with the padding token."""
        torch.manual_seed(1)
        published, ours = (network.eval() for network in published_and_ours(length, protocol))
        lengths = torch.tensor([length, length - 13, 5])
        tokens = torch.randint(0, 5, (3, length), dtype=torch.uint8)
        padded = tokens.masked_fill(torch.arange(length) >= lengths[:, None], 5)
        logits = published(padded, lengths), ours(tokens, lengths)
        torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)
        for one in logits:
            (one * torch.tensor([1.0, -2.0])).sum().backward()
        gradients = {name: parameter.grad for name, parameter in published.named_parameters()}
        for name, parameter in ours.named_parameters():
            expected = gradients.pop(published_name(name))
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        assert not gradients

    def test_it_drops_out_where_ours_does(self):
        published, ours = published_and_ours(64, "chord")
        for network in (published, ours):
            rates = sorted(part.p for part in network.modules() if isinstance(part, torch.nn.Dropout))
            assert {*rates} == {0.2, 0.8}


def test_attention_is_a_softmax_over_all_positions():
    from attention import AttentionEncoder

    torch.manual_seed(2)
    encoder = AttentionEncoder(dim=8, num_heads=2, hidden_dim=16).eval()
    embedded = torch.randn(3, 11, 8)
    normed = encoder.attention_norm(embedded)
    queries, keys, values = encoder.queries_keys_values(normed).chunk(3, dim=2)
    heads = []
    for head in range(2):
        own = slice(4 * head, 4 * head + 4)
        weights = (queries[..., own] @ keys[..., own].transpose(1, 2) / 4**0.5).softmax(2)
        heads.append(weights @ values[..., own])
    hidden = embedded + encoder.output(torch.cat(heads, dim=2))
    torch.testing.assert_close(encoder(embedded, torch.full((3,), 11)), hidden + encoder.mlp(hidden))


class TestRoofline:
    @pytest.mark.parametrize("protocol", ["chord", "cdil"])
    def test_products_are_those_that_torch_counts(self, protocol):
        import roofline
        from published import PublishedParamixer

        sizes = roofline.Sizes(length=50, batch_size=3, dim=8, hidden_dim=12, protocol=protocol)
        network = PublishedParamixer(50, 8, 12, protocol)
        tokens, lengths = torch.zeros(3, 50, dtype=torch.uint8), torch.full((3,), 50)
        with FlopCounterMode(display=False) as inference, torch.no_grad():
            network(tokens, lengths)
        with FlopCounterMode(display=False) as training:
            network(tokens, lengths).sum().backward()
        for phase, counted in (("inference", inference), ("training", training)):
            assert sum(product.flop for product in roofline.list_products(sizes, phase)) == counted.get_total_flops()

    def test_weights_are_those_of_the_network(self):
        import roofline
        from published import PublishedParamixer

        sizes = roofline.Sizes(length=64, batch_size=1, dim=32, hidden_dim=128, protocol="chord")
        network = PublishedParamixer(64)
        mlps = sum(p.numel() for part in (network.value_mlp, network.link_mlps) for p in part.parameters())
        assert roofline.count_bytes(sizes, "inference")["weights"] == 4 * mlps

    def test_a_bound_is_work_over_rate(self):
        import roofline
        from machine_rates import Rates

        sizes = roofline.Sizes(length=64, batch_size=2, dim=4, hidden_dim=8, protocol="cdil")
        flop = sum(product.flop for product in roofline.list_products(sizes, "inference"))
        traffic = sum(roofline.count_bytes(sizes, "inference").values())
        shapes = {product[2:]: 10.0 for product in roofline.list_products(sizes, "inference")}
        bound = roofline.find_bound(sizes, Rates(100.0, shapes, 5.0, 7.0), "inference")
        assert bound.gemm_s == pytest.approx(flop / 100)
        assert bound.gemm_at_shapes_s == pytest.approx(flop / 10)
        assert bound.bandwidth_s == pytest.approx(traffic / 7)
        assert bound.max_s == max(bound.gemm_s, bound.bandwidth_s)


class TestComparison:
    def test_contenders_take_turns_and_ratios_are_paired(self, monkeypatch):
        """Every round is slower than the one before, for both; the opponent always takes three times as long."""
        import compare_speed
        from contenders import Memory, Sizes

        order = []

        class Fake:
            def __init__(self, name):
                self.name = name

            def take_turn(self, phase):
                order.append((self.name, phase))
                round_number = order.count((self.name, phase))
                return round_number * (3.0 if self.name == "attention" else 1.0)

        monkeypatch.setattr(compare_speed, "contender", lambda name, _: contextlib.nullcontext(Fake(name)))
        monkeypatch.setattr(compare_speed, "measure_memory", lambda *_: Memory(20.0, 10.0))
        monkeypatch.setattr(compare_speed, "REST_S", 0)
        monkeypatch.setattr("machine_rates.LEAST_TOTAL_S", 0)
        compared = compare_speed.compare(Sizes(64, 8, 16, 2, "chord", 2, 1, "cpu"), "attention", rounds=3)
        assert order[:4] == [("genomix", "training"), ("attention", "training")] * 2
        assert len(order) == 2 * 2 * 4
        assert compared["genomix"]["train_step_s"] == statistics.median([2, 3, 4])
        assert compared["ratios"]["train_step_s"] == pytest.approx(3)
        assert compared["ratios"]["peak_memory_mib"] == 1
        assert 0 < compared["fractions"]["inference_s"] < 1

    def test_a_contender_works_in_a_process_of_its_own(self):
        from contenders import Sizes, contender

        with contender("attention", Sizes(64, 8, 16, 2, "chord", 2, 1, "cpu")) as one:
            assert 0 < one.take_turn("inference") < 10
            peak, baseline = one.memory()
            assert 10 < baseline < peak

    @pytest.mark.parametrize(
        ("ratios", "crossing"),
        [
            ([0.5, 0.9, 0.99], None),
            ([1.5, 2.0, 4.0], 100),
            ([0.5, 2.0, 4.0], 200),
            ([2.0, 0.5, 2.0], 800),
        ],
    )
    def test_the_crossing_length(self, ratios, crossing):
        from compare_speed import crossing_length

        lengths = (100, 400, 1600)
        compared = [{"length": length, "ratios": {"s": ratio}} for length, ratio in zip(lengths, ratios, strict=True)]
        assert crossing_length(compared, "s") == (crossing if crossing is None else pytest.approx(crossing))
