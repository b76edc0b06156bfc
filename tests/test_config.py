"""A configuration: presets, files and overrides come together, and what is wrong is said all at once."""

import pytest
import yaml

from genomix.config import (
    ENCODER_SECTIONS,
    PRESETS,
    Config,
    KmerConfig,
    NetworkConfig,
    make_config,
    parse_assignment,
    to_yaml,
)
from genomix.errors import NoInputError, UsageError


@pytest.fixture
def write(tmp_path):
    def write(tree, name="config.yaml"):
        path = tmp_path / name
        path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
        return path

    return write


def complaints(**ways):
    with pytest.raises(UsageError) as caught:
        make_config(**ways)
    return str(caught.value).splitlines()


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_each_is_valid_and_keeps_its_name(self, name):
        assert make_config(name).preset == name

    @pytest.mark.parametrize("name", PRESETS)
    def test_each_survives_a_round_trip(self, name, write):
        config = make_config(name)
        assert make_config(path=write(to_yaml(config))) == config

    def test_the_default_is_the_one_of_the_defaults(self):
        assert make_config() == Config() == make_config("paramixer")

    def test_kinds_of_models(self):
        assert isinstance(make_config("kmer").model, KmerConfig)
        assert isinstance(make_config("paramixer-cdil").model, NetworkConfig)

    def test_a_folder_with_a_configuration_is_a_preset(self, write, tmp_path):
        write({"preset": "kmer", "model": {"k": 3}})
        assert make_config(str(tmp_path)).model == KmerConfig(k=3)

    def test_so_is_the_file_in_it(self, write):
        assert make_config(str(write({"preset": "kmer", "model": {"k": 3}}))).model == KmerConfig(k=3)

    def test_an_unknown_one_is_told_with_the_nearest_and_all(self):
        (message,) = complaints(preset="parmixer-cdil")
        assert "did you mean 'paramixer-cdil'?" in message
        assert all(name in message for name in PRESETS)

    def test_one_far_from_all_has_no_nearest(self):
        (message,) = complaints(preset="xyz")
        assert "did you mean" not in message


class TestPrecedence:
    def test_a_file_is_laid_over_its_preset(self, write):
        config = make_config(path=write({"preset": "paramixer-cdil", "training": {"seed": 5}}))
        assert config.training.seed == 5
        assert config.model.encoder.protocol == "cdil"

    def test_overrides_are_laid_over_the_file(self, write):
        path = write({"preset": "kmer", "model": {"k": 3}, "training": {"seed": 5}})
        config = make_config(path=path, overrides={"model.k": 4})
        assert (config.model.k, config.training.seed) == (4, 5)

    def test_the_later_override_wins_where_one_holds_the_other(self):
        overrides = {"training": {"seed": 1, "patience": 2}, "training.seed": 3}
        training = make_config(overrides=overrides).training
        assert (training.seed, training.patience) == (3, 2)

    def test_an_override_may_take_a_part_away(self):
        overrides = {"model.stem": None, "model.embedding.dim": Config().model.encoder.dim}
        assert make_config(overrides=overrides).model.stem is None

    def test_an_override_may_bring_a_part_back(self):
        assert make_config("paramixer-paper").model.stem is None
        assert make_config("paramixer-paper", overrides={"model.stem.widths": [5]}).model.stem.widths == (5,)

    def test_another_kind_of_model_needs_its_preset(self):
        assert isinstance(make_config("kmer", overrides={"training.seed": 1}).model, KmerConfig)

    @pytest.mark.parametrize("name", ENCODER_SECTIONS)
    def test_another_encoder_leaves_the_keys_of_the_former_behind(self, name, write):
        written = write(to_yaml(make_config("paramixer-paper")))
        for below in ({"preset": "paramixer-cdil"}, {"preset": "hyena"}, {"path": written}):
            former = make_config(**below).model.encoder
            changed = make_config(**below, overrides={"model.encoder.name": name}).model.encoder
            assert changed == (former if name == former.name else ENCODER_SECTIONS[name](dim=former.dim))

    def test_another_encoder_in_a_file_does_so_too(self, write):
        path = write({"preset": "paramixer-cdil", "model": {"encoder": {"name": "hyena", "order": 3}}})
        config = make_config(path=path)
        assert config.model.encoder == ENCODER_SECTIONS["hyena"](order=3)
        assert make_config(path=write(to_yaml(config), "again.yaml")) == config

    @pytest.mark.parametrize("turn", [1, -1])
    def test_keys_stated_beside_another_encoder_are_kept_in_any_order(self, turn):
        stated = [("model.encoder.num_layers", 4), ("model.encoder.name", "transformer"), ("model.encoder.dim", 32)]
        encoder = make_config("paramixer-cdil", overrides=dict(stated[::turn])).model.encoder
        assert encoder == ENCODER_SECTIONS["transformer"](num_layers=4, dim=32)

    def test_the_same_encoder_named_again_keeps_its_keys(self):
        encoder = make_config("paramixer-cdil", overrides={"model.encoder.name": "paramixer"}).model.encoder
        assert encoder.protocol == "cdil"

    def test_an_empty_file_is_the_default(self, write):
        assert make_config(path=write("")) == Config()

    def test_presets_are_not_changed_by_overrides(self):
        make_config("kmer", overrides={"model.k": 7})
        assert make_config("kmer").model.k == KmerConfig().k


class TestMistakes:
    def test_all_are_told_at_once_with_their_file(self, write):
        path = write({"model": {"encoder": {"protocol": "ring", "dim": 0}}, "training": {"sed": 1}, "data": 3})
        messages = complaints(path=path)
        assert all(message.startswith(f"{path}: ") for message in messages)
        for key in ("model.encoder.protocol", "model.encoder.dim", "training.sed", "data"):
            assert any(message.startswith(f"{path}: {key}: ") for message in messages)

    @pytest.mark.parametrize(
        ("key", "nearest"),
        [
            ("trainin.seed", "training"),
            ("training.learning_rates", "learning_rate"),
            ("model.encoder.num_layer", "num_layers"),
            ("model.head.droput", "dropout"),
            ("model.pool", "pooling"),
        ],
    )
    def test_an_unknown_key_is_told_with_the_nearest(self, key, nearest):
        (message,) = complaints(overrides={key: 1})
        assert f"did you mean '{nearest}'?" in message
        assert "keys here: " in message

    @pytest.mark.parametrize(
        ("key", "meant"),
        [
            ("num_heads", "'model.encoder.num_heads'"),
            ("num_haeds", "'model.encoder.num_heads'"),
            ("training.lr", "'learning_rate'"),
            ("lr", "'training.learning_rate'"),
            ("training.Seed", "'seed'"),
            ("TRAINING", "'training'"),
            ("training.strands", "'model.composition.strands' or 'model.strands' or 'prediction.strands'"),
            ("training.max_length", "'model.max_length'"),
            ("model.encoder.num_lay", "'num_layers'"),
            ("Stride", "'model.stem.stride' or 'model.encoder.stride' or 'prediction.stride'"),
        ],
    )
    def test_what_was_meant_is_found_by_beginning_initials_case_and_elsewhere(self, key, meant):
        (message,) = complaints(overrides={key: 1})
        assert message.startswith(f"{key}: there is no such key; did you mean {meant}?; keys here: ")

    @pytest.mark.parametrize("key", ["xyzzy", "kmer", "hyena.order", "model.encoder.kmer"])
    def test_nothing_is_meant_by_what_is_like_no_key(self, key):
        (message,) = complaints(overrides={key: 1})
        assert message.startswith(f"{key.removesuffix('.order')}: there is no such key; keys here: ")

    def test_keys_of_another_kind_of_model_are_unknown(self):
        (message,) = complaints(preset="kmer", overrides={"model.pooling": "mean"})
        assert message == (
            "model.pooling: there is no such key; pooling belongs to network; "
            "kmer has: kind, k, inverse_regularisation, classifier, strands, features, mismatch"
        )

    def test_an_unknown_kind_of_model(self):
        (message,) = complaints(overrides={"model.kind": "forest"})
        assert message == "model.kind: 'forest' is not known; known: network, kmer"

    def test_an_unknown_encoder(self):
        (message,) = complaints(overrides={"model.encoder.name": "transfomer"})
        assert message.startswith("model.encoder.name: 'transfomer' is not known; did you mean 'transformer'?; known: ")

    def test_the_case_of_a_name(self):
        assert "; did you mean 'hyena'?" in complaints(preset="HYENA")[0]
        assert "; did you mean 'hyena'?" in complaints(overrides={"model.encoder.name": "Hyena"})[0]

    @pytest.mark.parametrize("name", ["psf", "kmer", "paramixer-cdil"])
    def test_a_preset_as_an_encoder(self, name):
        (message,) = complaints(overrides={"model.encoder.name": name})
        assert message == f"model.encoder.name: {name!r} is not known: {name} is a preset: --model {name}"

    def test_a_name_in_place_of_the_section(self):
        assert complaints(overrides={"model.encoder": "hyena"}) == ["model.encoder: write model.encoder.name=hyena"]

    def test_a_key_that_many_others_have(self):
        (message,) = complaints(preset="hyena", overrides={"model.encoder.num_heads": 4})
        assert message.startswith(
            "model.encoder.num_heads: there is no such key; num_heads belongs to transformer, sparse-transformer, "
            "longformer, bigbird and 11 more; hyena has: dim, dropout, "
        )

    def test_keys_of_another_encoder(self):
        (message,) = complaints(overrides={"model.encoder.name": "bigbird", "model.encoder.protocol": "cdil"})
        assert message.startswith("model.encoder.protocol: there is no such key; ")
        assert "num_random" in message

    @pytest.mark.parametrize("turn", [1, -1])
    def test_keys_of_the_former_encoder_stated_beside_another_in_any_order(self, turn):
        stated = [("model.encoder.protocol", "cdil"), ("model.encoder.name", "hyena")]
        (message,) = complaints(preset="paramixer-cdil", overrides=dict(stated[::turn]))
        assert message.startswith("model.encoder.protocol: there is no such key; ")

    def test_an_encoder_where_a_file_has_no_model(self, write):
        (message,) = complaints(path=write({"model": 3}))
        assert "model" in message
        assert make_config(path=write({"model": 3}), overrides={"model.encoder.name": "hyena", "model.kind": "network"})

    def test_heads_that_do_not_share_out(self):
        (message,) = complaints(preset="performer", overrides={"model.encoder.num_heads": 3})
        assert message == "model.encoder.num_heads: 3 does not divide dim (64); use 1, 2, 4, 8, 16, 32 or 64"

    @pytest.mark.parametrize(
        ("preset", "overrides", "message"),
        [
            ("mamba", {"head_dim": 4, "dim": 3}, "head_dim: 4 does not divide expand * dim (6); use 1, 2, 3 or 6"),
            ("mamba", {"head_dim": 9, "dim": 1, "expand": 1}, "head_dim: 9 does not divide expand * dim (1); use 1"),
            (
                "sparse-transformer",
                {"num_summaries": 9, "stride": 8},
                "num_summaries: 9 exceeds stride (8); use at most",
            ),
            (
                "tfk",
                {"feature_map": "elu", "feature_layers": 2},
                "feature_layers: 2, but feature_map elu has no layers",
            ),
        ],
    )
    def test_values_that_do_not_go_together_are_told_by_the_key_to_mend(self, preset, overrides, message):
        (said,) = complaints(
            preset=preset, overrides={f"model.encoder.{key}": value for key, value in overrides.items()}
        )
        assert said.startswith(f"model.encoder.{message}")
        assert "{" not in said

    def test_even_widths(self):
        (message,) = complaints(overrides={"model.stem.widths": [4]})
        assert "widths of convolutions must be odd (found [4])" in message
        (message,) = complaints(preset="conv-transformer", overrides={"model.encoder.width": 4})
        assert message == "model.encoder.width: width must be odd, not 4 (found 4)"
        (message,) = complaints(preset="nystromformer", overrides={"model.encoder.width": 4})
        assert message == "model.encoder.width: width must be odd, or 0 for no convolution, not 4 (found 4)"
        assert make_config("nystromformer", overrides={"model.encoder.width": 0}).model.encoder.width == 0

    def test_fractions_that_leave_nothing(self):
        (message,) = complaints(overrides={"data.val_fraction": 0.5, "data.test_fraction": 0.5})
        assert message.endswith("must sum to less than 1, to leave records to train on")

    @pytest.mark.parametrize("key", ["model.max_length", "training.seed", "model.pooling"])
    def test_a_mapping_is_not_shown_as_python_has_it(self, key):
        (message,) = complaints(overrides={key: {"a": 1}})
        assert message.startswith(f"{key}: ")
        assert "{" not in message

    def test_preset_and_file_together(self, write):
        assert "not both" in complaints(preset="kmer", path=write(""))[0]

    def test_a_file_of_an_unknown_preset(self, write):
        assert "did you mean 'kmer'?" in complaints(path=write({"preset": "kmers"}))[0]

    def test_a_file_that_is_no_yaml_is_told_with_its_line(self, write):
        path = write("training:\n  seed: [1\n")
        assert complaints(path=path)[0].startswith(f"{path}:3: not valid YAML: ")

    def test_a_file_that_is_no_text(self, tmp_path):
        (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
        assert "not valid YAML" in complaints(path=tmp_path / "c.yaml")[0]

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(NoInputError, match=r"nowhere.yaml: cannot read this configuration"):
            make_config(path=tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("key", ["stride", "window", "block", "chunk"])
def test_sizes_along_a_record_say_what_they_count(key):
    sections = [section for section in ENCODER_SECTIONS.values() if key in section.model_fields]
    assert sections
    assert all(f"`{key}` counts positions behind the stem, not bp." in section.__doc__ for section in sections)


class TestAssignments:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a.b=1", 1),
            ("a.b=1.5", 1.5),
            ("a.b=true", True),
            ("a.b=null", None),
            ("a.b=[1, 2]", [1, 2]),
            ("a.b=x", "x"),
        ],
    )
    def test_values_are_what_they_look_like(self, text, value):
        assert parse_assignment(text) == ("a.b", value)

    def test_an_exponent_is_a_number(self):
        key, value = parse_assignment("training.learning_rate=1e-3")
        assert make_config(overrides={key: value}).training.learning_rate == 0.001

    @pytest.mark.parametrize("text", ["a.b", "=1", "a=[1"])
    def test_anything_else_is_told(self, text):
        with pytest.raises(UsageError, match="--set"):
            parse_assignment(text)
