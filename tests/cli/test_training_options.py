"""What the shared options of training come to in the configuration."""

import pytest

from genomix.cli.training_options import (
    check_resume,
    data_overrides,
    learning_overrides,
    parse_interval,
    parse_limit,
    parse_settings,
)
from genomix.config import make_config
from genomix.errors import UsageError

LEARNING = {"max_length": None, "max_epochs": None, "budget_s": None, "seed": None}
DATA = dict.fromkeys(["split", "splits_path", "similarity", "multi_label", "levels", "positive"])


def test_what_is_not_stated_overrides_nothing():
    assert parse_settings(None) == {}
    assert learning_overrides(**LEARNING, learning_rate=None) == {}
    assert data_overrides(**DATA) == {}


def test_what_is_stated_of_learning_is_in_the_configuration():
    stated = learning_overrides(
        max_length=300, max_epochs=7, budget_s=90.0, seed=3, learning_rate=0.02, batch_records=5, deterministic=True
    )
    config = make_config(overrides=stated)
    training = config.training
    assert config.model.max_length == 300
    assert (training.max_epochs, training.budget_s, training.seed) == (7, 90, 3)
    assert (training.learning_rate, training.batch_records, training.deterministic) == (0.02, 5, True)


@pytest.mark.parametrize(("strands", "both"), [("both", True), ("forward", False), (None, None)])
def test_strands_say_whether_the_other_is_learnt_from(strands, both):
    config = make_config(overrides=learning_overrides(**LEARNING, strands=strands))
    assert config.training.reverse_complement is both


def test_what_is_stated_of_the_division_is_in_the_configuration():
    data = make_config(overrides=data_overrides(**DATA | {"split": "similarity", "similarity": 0.75})).data
    assert (data.split, data.similarity) == ("similarity", 0.75)


@pytest.mark.parametrize(
    ("stated", "labels", "levels", "positive"),
    [
        ({}, "single", None, None),
        ({"positive": "b"}, "single", None, "b"),
        ({"multi_label": True}, "multi", None, None),
        ({"levels": "order, family"}, "single", ("order", "family"), None),
    ],
)
def test_what_is_stated_of_the_labels_is_in_the_configuration(stated, labels, levels, positive):
    data = make_config(overrides=data_overrides(**DATA | stated)).data
    assert (data.labels, data.levels and tuple(data.levels), data.positive) == (labels, levels, positive)


@pytest.mark.parametrize(("split", "path", "found"), [(None, "a.tsv", "given"), ("auto", "a.tsv", "auto")])
def test_a_table_of_splits_is_one_that_is_given(split, path, found):
    assert data_overrides(**DATA | {"split": split, "splits_path": path}) == {"data.split": found}


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("step", 0), ("2m", 120)])
def test_seconds_between_checkpoints(text, seconds):
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("parse", [parse_interval, lambda text: parse_limit("--checkpoint-every", text)])
def test_what_is_no_duration_is_an_error(parse):
    with pytest.raises(UsageError, match="--checkpoint-every 'soon' is not a duration"):
        parse("soon")


@pytest.mark.parametrize(("out", "force"), [("there", False), (None, True)])
def test_what_is_gone_on_with_is_not_replaced(out, force):
    check_resume(None, out, force=force)
    check_resume("run", None, force=False)
    with pytest.raises(UsageError, match=r"--resume run: names the study, .*leave out --out and --force"):
        check_resume("run", out, force=force, names="the study")
