"""A model comes back from disk as it went there; anything else is a clear error and never runs code."""

import json
import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from genomix.checkpoint import (
    CALIBRATION,
    CONFIG,
    META,
    REFERENCE,
    SCHEMA_VERSION,
    WEIGHTS,
    Lengths,
    Meta,
    Model,
    find_members,
    is_model,
    library_versions,
    load_calibration,
    load_model,
    save_model,
)
from genomix.config import make_config
from genomix.data.composition import NUM_KMERS, Composition
from genomix.data.reference import Reference
from genomix.errors import CannotWriteError, DataError, NoInputError
from genomix.metrics.calibration import calibrate
from genomix.nn.build import build_classifier

SMALL = {
    "model.max_length": 32,
    "model.embedding.dim": 4,
    "model.encoder.dim": 8,
    "model.encoder.hidden_dim": 8,
    "model.composition": None,
}


def make_model(path, preset="paramixer", overrides=SMALL, classes=("a", "b", "c")):
    config = make_config(preset, overrides=overrides)
    classifier = build_classifier(config.model, len(classes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in classifier.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    meta = Meta(
        classes=list(classes),
        train_lengths=Lengths(min=10, median=20, max=30),
        num_parameters=1,
        created="2026-01-01T00:00:00+00:00",
        versions=library_versions(),
        inputs={"sequences": "0" * 64},
        command=["genomix", "train"],
        training={"device": "cpu"},
    )
    return Model(classifier, config, meta, path)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    save_model(make_model(path))
    return path


def edit_meta(path, **changes):
    meta = json.loads((path / META).read_text())
    (path / META).write_text(json.dumps(meta | changes))


@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("paramixer", SMALL),
        ("paramixer-cdil", SMALL | {"model.pooling": "cls", "model.embedding.position": "sinusoidal"}),
        ("paramixer-paper", {"model.max_length": 32}),
        ("kmer", {"model.k": 3}),
    ],
)
def test_model_comes_back_as_it_was_saved(preset, overrides, tmp_path):
    model = make_model(tmp_path, preset, overrides)
    save_model(model)
    loaded = load_model(tmp_path)
    assert loaded.config == model.config
    assert loaded.meta == model.meta
    assert loaded.classes == ["a", "b", "c"]
    assert loaded.path == tmp_path
    assert loaded.max_length == (None if preset == "kmer" else 32)
    assert not loaded.classifier.training
    tokens, lengths = torch.randint(0, 5, (3, 32), dtype=torch.uint8), torch.tensor([4, 20, 32])
    with torch.inference_mode():
        assert torch.equal(loaded.classifier(tokens, lengths), model.classifier(tokens, lengths))


@pytest.mark.parametrize("name", ["", WEIGHTS, CONFIG])
def test_model_is_found_by_its_folder_or_a_file_in_it(saved, name):
    assert load_model(str(saved / name)).path == saved


def test_nothing_but_the_three_files_is_left(saved):
    assert sorted(path.name for path in saved.iterdir()) == sorted([CONFIG, WEIGHTS, META])


def test_same_model_gives_the_same_bytes(saved, tmp_path):
    save_model(make_model(tmp_path))
    for name in (CONFIG, WEIGHTS, META):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_what_later_versions_add_to_the_meta_data_is_kept(saved):
    edit_meta(saved, colour="blue")
    model = load_model(saved)
    save_model(model)
    assert json.loads((saved / META).read_text())["colour"] == "blue"


def test_failed_write_leaves_the_old_weights(saved, monkeypatch):
    before = (saved / WEIGHTS).read_bytes()

    def fail(state, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with pytest.raises(CannotWriteError) as caught:
        save_model(make_model(saved))
    assert caught.value.exit_code == 73
    assert (saved / WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in saved.iterdir()) == sorted([CONFIG, WEIGHTS, META])


def test_directory_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError):
        save_model(make_model(tmp_path / "file" / "run"))


def assert_no_input(path, message):
    with pytest.raises(NoInputError, match=message) as caught:
        load_model(path)
    assert caught.value.exit_code == 66
    assert str(path) in str(caught.value)


def assert_bad_data(path, name, message):
    with pytest.raises(DataError, match=message) as caught:
        load_model(path)
    assert caught.value.exit_code == 65
    assert str(path / name) in str(caught.value)


def test_no_such_directory(tmp_path):
    assert_no_input(tmp_path / "nothing", "no such run directory or model")


def test_directory_that_is_no_model(tmp_path):
    assert_no_input(tmp_path, f"{CONFIG}, {WEIGHTS}, {META} missing")


def test_preset_without_weights_says_train_it(saved):
    (saved / WEIGHTS).unlink()
    (saved / META).unlink()
    assert_no_input(saved, "preset without weights.*genomix train --model")


@pytest.mark.parametrize("name", [CONFIG, META])
def test_missing_file_is_named(saved, name):
    (saved / name).unlink()
    assert_no_input(saved, f"{name} missing")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_torn_weights(saved, keep):
    content = (saved / WEIGHTS).read_bytes()
    (saved / WEIGHTS).write_bytes(content[:keep])
    assert_bad_data(saved, WEIGHTS, "damaged or not a safetensors file")


@pytest.mark.parametrize("content", [b"not weights at all", b"\xff" * 64, b"\x08" + b"\0" * 7 + b"[1,2,3]  "])
def test_weights_file_of_something_else(saved, content):
    (saved / WEIGHTS).write_bytes(content)
    assert_bad_data(saved, WEIGHTS, "damaged or not a safetensors file")


@pytest.mark.parametrize(
    "overrides",
    [
        SMALL | {"model.encoder.hidden_dim": 16},
        SMALL | {"model.encoder.num_layers": 2},
        SMALL | {"model.pooling": "attention"},
        SMALL | {"model.stem": None, "model.embedding.dim": 8},
    ],
)
def test_weights_of_another_network(saved, tmp_path, overrides):
    other = tmp_path / "other"
    other.mkdir()
    save_model(make_model(other, overrides=overrides))
    (saved / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
    assert_bad_data(saved, WEIGHTS, f"do not fit the {CONFIG}")


def test_weights_for_another_number_of_classes(saved):
    edit_meta(saved, classes=["a", "b"])
    assert_bad_data(saved, WEIGHTS, f"do not fit the {CONFIG}")


def test_newer_schema_says_update(saved):
    edit_meta(saved, schema_version=SCHEMA_VERSION + 1)
    assert_bad_data(saved, META, "newer genomix.*update genomix")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"text"', "{}", '{"schema_version": "new"}', '{"schema_version": null}', "\0\1", "NaN"],
)
def test_damaged_meta_data(saved, content):
    (saved / META).write_text(content)
    assert_bad_data(saved, META, "damaged meta data")


@pytest.mark.parametrize(
    "changes", [{"classes": "abc"}, {"classes": None}, {"train_lengths": {"min": 1}}, {"versions": 3}]
)
def test_meta_data_of_the_wrong_kind(saved, changes):
    edit_meta(saved, **changes)
    assert_bad_data(saved, META, next(iter(changes)))


def test_meta_data_that_are_not_text(saved):
    (saved / META).write_bytes(b"\xff\xfe{}")
    assert_bad_data(saved, META, "damaged meta data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: [", "not valid YAML"),
        ("model: {colour: blue}", "no such key"),
        ("schema_version: 2", "schema_version"),
        ("model: {encoder: {dim: -1}}", r"model\.encoder\.dim"),
        ("model: {max_length: null}", r"model\.max_length"),
        ("model: {max_length: 32, stem: null, embedding: {dim: 4}, encoder: {dim: 8}}", "must be equal"),
    ],
)
def test_damaged_configuration(saved, content, message):
    (saved / CONFIG).write_text(content)
    assert_bad_data(saved, CONFIG, message)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_weights_file_is_not_run(saved, tmp_path):
    trace = tmp_path / "the code was run"
    for write in (
        lambda: (saved / WEIGHTS).write_bytes(pickle.dumps(Bomb(trace))),
        lambda: torch.save({"weight": Bomb(trace)}, saved / WEIGHTS),
    ):
        write()
        assert_bad_data(saved, WEIGHTS, "damaged or not a safetensors file")
        assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.is_dir()  # so the bomb was a real one


def test_code_in_a_configuration_is_not_run(saved, tmp_path):
    trace = tmp_path / "the code was run"
    (saved / CONFIG).write_text(f"model: !!python/object/apply:os.mkdir ['{trace}']")
    assert_bad_data(saved, CONFIG, "not valid YAML")
    assert not trace.exists()


def test_versions_name_what_numbers_depend_on():
    assert library_versions()["torch"] == torch.__version__
    assert {"genomix", "python", "numpy", "scikit-learn"} <= set(library_versions())


@pytest.fixture
def trusted(tmp_path):
    """A model that knows how sure it may be, and what it was trained on."""
    path = tmp_path / "trusted"
    path.mkdir()
    model = make_model(path)
    model.calibration = calibrate([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [0, 2])
    composition = Composition(np.full(NUM_KMERS, 1 / NUM_KMERS), np.eye(NUM_KMERS), np.zeros(NUM_KMERS))
    model.reference = Reference(composition, np.array([32.0]), np.array([1.5]), 20)
    save_model(model)
    return model


def test_calibration_and_reference_come_back(trusted):
    loaded = load_model(trusted.path)
    assert loaded.calibration == trusted.calibration
    counts = np.arange(NUM_KMERS)
    assert loaded.reference.distance(counts) == trusted.reference.distance(counts)
    assert loaded.reference.num_records == 20


def test_older_models_have_neither(saved):
    loaded = load_model(saved)
    assert loaded.calibration is None
    assert loaded.reference is None
    assert load_calibration(saved) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged calibration"),
        ("{", "damaged calibration"),
        ("[]", "damaged calibration"),
        ("{}", "damaged calibration"),
        ('{"schema_version": 99}', r"newer genomix \(schema 99\)"),
    ],
)
def test_damaged_calibration_is_told(trusted, content, message):
    (trusted.path / CALIBRATION).write_text(content)
    with pytest.raises(DataError, match=rf"calibration\.json: .*{message}"):
        load_model(trusted.path)


def test_damaged_values_of_a_calibration_are_told(trusted):
    stated = json.loads((trusted.path / CALIBRATION).read_text())
    (trusted.path / CALIBRATION).write_text(json.dumps(stated | {"temperature": 0}))
    with pytest.raises(DataError, match="damaged calibration"):
        load_model(trusted.path)


def test_damaged_reference_is_told(trusted):
    (trusted.path / REFERENCE).write_bytes(b"hello")
    with pytest.raises(DataError, match=r"reference\.safetensors: damaged"):
        load_model(trusted.path)


def test_members_of_a_directory_are_found_in_their_order(tmp_path, saved):
    for name in ("fold-10", "fold-2", "fold-1", "folder", "member-x", "fold-3.old"):
        (tmp_path / "several" / name).mkdir(parents=True)
    (tmp_path / "several" / "fold-4").touch()
    assert [path.name for path in find_members(tmp_path / "several")] == ["fold-1", "fold-2", "fold-10"]
    assert find_members(saved) == find_members(tmp_path / "nowhere") == []
    (saved / "member-1").mkdir()
    assert find_members(saved) == []


def test_meta_data_that_name_members_say_which_they_are(tmp_path):
    for name in ("fold-1", "fold-2", "fold-3"):
        (tmp_path / name).mkdir()
    (tmp_path / META).write_text('{"members": ["fold-2", "fold-1", "fold-4"]}')
    assert [path.name for path in find_members(tmp_path)] == ["fold-2", "fold-1", "fold-4"]
    for text in ("{", "[]", '{"members": 3}', "{}", '{"members": ["../elsewhere"]}'):
        (tmp_path / META).write_text(text)
        assert [path.name for path in find_members(tmp_path)] == ["fold-1", "fold-2", "fold-3"]


def test_a_file_that_is_no_part_of_a_model(tmp_path):
    (tmp_path / "good.fa").touch()
    with pytest.raises(NoInputError, match=r"good\.fa: is no model; name a run directory or a model's folder first"):
        load_model(tmp_path / "good.fa")


def test_a_calibration_that_is_not_asked_for_is_not_read(trusted):
    save_model(trusted)
    (trusted.path / CALIBRATION).write_text("{")
    assert load_model(trusted.path, calibrated=False).calibration is None
    with pytest.raises(DataError, match=r"damaged calibration .*do without it \(--no-calibration\)"):
        load_model(trusted.path)


def test_what_looks_like_a_model(tmp_path, saved):
    (tmp_path / "several" / "member-1").mkdir(parents=True)
    (tmp_path / "sequences").mkdir()
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / CONFIG).touch()
    for path in (saved, saved / WEIGHTS, str(saved / META), tmp_path / "several", tmp_path / "preset"):
        assert is_model(path)
    for path in (tmp_path / "sequences", tmp_path / "nowhere", "-", "data.fa"):
        assert not is_model(path)
