"""What is searched: each encoder has ranges, what is drawn from them can be built, and the user has the last word."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genomix.config import ENCODER_SECTIONS, PRESETS, make_config
from genomix.errors import NoInputError, UsageError
from genomix.nn.build import build_classifier
from genomix.tune.searched import combine, contains, find_space
from genomix.tune.size import count_parameters
from genomix.tune.space import ENCODERS, Choices, Range
from genomix.tune.space_file import check_space, draw, parse_space, read_space, to_tree, to_yaml
from genomix.tune.values import differences, value_at, with_values

DRAWS = 4


class TestOfEachEncoder:
    def test_all_have_one(self):
        assert set(ENCODERS) == set(ENCODER_SECTIONS)

    @pytest.mark.parametrize("name", ENCODER_SECTIONS)
    def test_what_is_drawn_can_be_built(self, name):
        config = make_config(name, overrides={"model.max_length": 64})
        space, rng = find_space(config), np.random.default_rng(3)
        assert any(key.startswith("model.encoder.") for key in space)
        for _ in range(DRAWS):
            drawn = with_values(config, draw(space, rng))
            logits = build_classifier(drawn.model, 3).eval()(
                torch.zeros(2, 64, dtype=torch.uint8), torch.tensor([64, 40])
            )
            assert logits.shape == (2, 3)

    @pytest.mark.parametrize("name", PRESETS)
    def test_all_it_may_be_is_valid(self, name):
        config = make_config(name)
        check_space(find_space(config), config, "here")

    @pytest.mark.parametrize("name", [name for name in PRESETS if name != "kmer"])
    def test_the_presets_own_values_are_inside(self, name):
        config = make_config(name)
        space = find_space(config)
        outside = {key: own for key in space if not contains(space[key], own := value_at(config, key))}
        assert all(own is None or (own == 0 and space[key].log) for key, own in outside.items())


class TestWhatIsFixed:
    def test_is_not_searched(self):
        config = make_config(overrides={"model.encoder.protocol": "cdil"})
        before, space = find_space(make_config()), find_space(config, ["model.encoder.protocol", "model.stem"])
        assert set(before) - set(space) == {"model.encoder.protocol", "model.stem.base_dim"}

    @given(st.integers(1, 16))
    def test_widths_are_multiples_of_the_heads(self, num_heads):
        own = {"model.encoder.num_heads": num_heads, "model.encoder.dim": 4 * num_heads}
        config = make_config("transformer", overrides=own)
        space = find_space(config, ["model.encoder.num_heads"])
        rng = np.random.default_rng(num_heads)
        for _ in range(8):
            assert with_values(config, draw(space, rng)).model.encoder.dim % num_heads == 0

    def test_heads_divide_a_fixed_width(self):
        config = make_config("transformer", overrides={"model.encoder.dim": 36})
        assert find_space(config, ["model.encoder.dim"])["model.encoder.num_heads"] == Choices((1, 2, 4))

    def test_without_a_stem_the_width_stays(self):
        space = find_space(make_config(overrides={"model.stem": None, "model.embedding.dim": 64}))
        assert not {"model.stem.base_dim", "model.encoder.dim"} & set(space)

    def test_both_is_an_error(self):
        stated = {"model.encoder.protocol": Choices(("chord",))}
        with pytest.raises(UsageError, match=r"here: model\.encoder\.protocol: is fixed by another option"):
            combine({}, stated, ["model.encoder.protocol"], "here")

    def test_something_must_be_left(self):
        with pytest.raises(UsageError, match="nothing is left to search"):
            combine({"training.learning_rate": Range(0.1, 0.2)}, {"training.learning_rate": None}, [], "here")


class TestFile:
    def test_it_replaces_extends_and_leaves_out(self, tmp_path):
        (tmp_path / "space.yaml").write_text(
            "training.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}\n"
            "training.clip_norm: {low: 1, high: 3, step: 0.5}\n"
            "model.stem.widths: {choices: [[9, 5], [15, 7, 7]]}\n"
            "model.encoder.dropout:\n"
        )
        space = find_space(make_config())
        together = combine(space, read_space(tmp_path / "space.yaml"), [], "space.yaml")
        assert together["training.learning_rate"] == Range(1e-5, 1e-3, log=True)
        assert together["training.clip_norm"] == Range(1, 3, step=0.5)
        assert together["model.stem.widths"] == Choices(((9, 5), (15, 7, 7)))
        assert set(space) - set(together) == {"model.encoder.dropout"}
        check_space(together, make_config(), "space.yaml")

    def test_a_section_is_left_out_but_for_what_is_stated(self):
        space, one = find_space(make_config()), Choices((32, 64))
        together = combine(space, {"model.encoder": None, "model.encoder.dim": one}, [], "space.yaml")
        assert together == {key: there for key, there in space.items() if not key.startswith("model.encoder.")} | {
            "model.encoder.dim": one
        }

    @pytest.mark.parametrize("name", PRESETS)
    def test_what_is_printed_is_read_back(self, name, tmp_path):
        space = find_space(make_config(name))
        (tmp_path / "space.yaml").write_text(to_yaml(space))
        assert read_space(tmp_path / "space.yaml") == space == parse_space(to_tree(space), "here")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: 1\nb: [", "space.yaml:2: not valid YAML"),
            ("[1]", "is a mapping of keys"),
            ("", "is a mapping of keys"),
            ("training.ema_decay: 3", "training.ema_decay: 3 is no range; write {low: 1, high: 8}"),
            ("training.ema_decay: {lo: 1, high: 2}", "training.ema_decay: 'lo' is not known; did you mean 'low'?"),
            ("training.ema_decay: {low: 2, high: 1}", "low (2) is above high (1); exchange them"),
            ("training.ema_decay: {low: 0, high: 1, log: true}", "low (0) must be above 0 with log"),
            ("training.ema_decay: {low: 1, high: 4, log: true, step: 1}", "log and step do not go together"),
            ("training.ema_decay: {low: 1, high: 4, step: 2}", "steps of 2 do not lead from 1 to 4"),
            ("training.ema_decay: {low: 1}", "low, high and step are numbers, not None"),
            ("training.ema_decay: {low: 1e-4, high: 1}", "not '1e-4' (YAML reads 1e-4 as text: write 1.0e-4)"),
            ("training.ema_decay: {low: .nan, high: 1}", "low, high and step are numbers, not nan"),
            ("training.ema_decay: {low: 0, high: 1, log: 1}", "log is true or false, not 1"),
            ("training.ema_decay: {choices: []}", "choices are a list of values"),
            ("training.ema_decay: {choices: [{a: 1}]}", "a choice is a value or a list"),
            ("data.val_fraction: {low: 0.1, high: 0.2}", "data.val_fraction: cannot be searched: it decides which rec"),
            ("training.seed: {low: 1, high: 2}", "cannot be searched: luck is no setting"),
            ("training.metric: {choices: [mcc]}", "cannot be searched: trials are compared by it"),
            ("model.encoder.name: {choices: [mamba]}", "a study is of one encoder"),
        ],
    )
    def test_errors_name_file_key_and_mend(self, tmp_path, text, said):
        (tmp_path / "space.yaml").write_text(text)
        with pytest.raises(UsageError) as error:
            read_space(tmp_path / "space.yaml")
        assert said in str(error.value)
        assert str(error.value).startswith(str(tmp_path / "space.yaml"))

    def test_all_errors_at_once(self, tmp_path):
        (tmp_path / "space.yaml").write_text("training.a: 1\ntraining.b: 2\n")
        with pytest.raises(UsageError, match=r"training\.a.*\n.*training\.b"):
            read_space(tmp_path / "space.yaml")

    def test_no_file(self, tmp_path):
        with pytest.raises(NoInputError, match="cannot read this search space"):
            read_space(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        ("key", "parameter", "said"),
        [
            ("training.learning_rat", Range(0.1, 0.2), "training.learning_rat: there is no such key; did you mean"),
            ("model.encoder.num_heads", Range(1, 2), "model.encoder.num_heads: there is no such key"),
            (
                "training.learning_rate.x",
                Range(1, 2),
                "training.learning_rate.x: there is no such key; learning_rate is a value",
            ),
            ("model.encoder.dropout", Range(0.0, 2.0), "model.encoder.dropout: Input should be less than 1"),
            ("model.pooling", Choices(("mean", "median")), "model.pooling: Input should be"),
        ],
    )
    def test_unknown_keys_and_impossible_values_are_found(self, key, parameter, said):
        with pytest.raises(UsageError) as error:
            check_space({key: parameter}, make_config(), "space.yaml")
        assert f"space.yaml: {said}" in str(error.value)

    def test_values_that_go_together_only_with_others(self):
        config = make_config("transformer")
        space = {"model.encoder.dim": Choices((30, 60)), "model.encoder.num_heads": Choices((3, 5))}
        check_space(space, config, "space.yaml")
        with pytest.raises(UsageError, match="7 does not divide dim"):
            check_space({**space, "model.encoder.num_heads": Choices((3, 7))}, config, "space.yaml")


@given(st.data())
def test_what_is_drawn_is_inside(data):
    numbers = st.integers(1, 50) if data.draw(st.booleans()) else st.floats(1e-3, 50)
    low, high = sorted([data.draw(numbers), data.draw(numbers)])
    one = Range(low, high, log=data.draw(st.booleans()))
    assert contains(one, draw({"x": one}, np.random.default_rng(data.draw(st.integers(0, 99))))["x"])


def test_values_by_key():
    config = make_config()
    other = with_values(config, {"model.encoder.dim": 32, "model.stem.widths": [7, 3]})
    assert (value_at(other, "model.encoder.dim"), value_at(other, "model.stem.widths")) == (32, (7, 3))
    assert value_at(make_config(overrides={"model.stem": None}), "model.stem.base_dim") is None
    assert differences(config, other) == {"model.stem.widths": ((9, 5, 5), (7, 3)), "model.encoder.dim": (64, 32)}


def test_sizes_are_those_of_the_networks():
    config = make_config(overrides={"model.max_length": 64})
    sizes = count_parameters(config, {"model.encoder.dim": Range(32, 128, step=32)})
    built = [build_classifier(with_values(config, {"model.encoder.dim": dim}).model, 2) for dim in (32, 128, 64)]
    assert list(sizes) == [sum(parameter.numel() for parameter in one.parameters()) for one in built]
