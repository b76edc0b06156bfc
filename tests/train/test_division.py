"""Training divides by its configuration."""

import numpy as np
import pytest

from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.data.splits import divide_into_folds, divide_records
from genomix.errors import UsageError
from genomix.train.division import divide, divide_folds


@pytest.fixture
def records(tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(30)]
    (tmp_path / "data.fa").write_text("".join(f">r{row}\n{text}\n" for row, text in enumerate(texts)))
    (tmp_path / "labels.tsv").write_text("id\tlabel\n" + "".join(f"r{row}\t{'ab'[row % 2]}\n" for row in range(30)))
    return load_labelled(
        [str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"), cache_dir=tmp_path, warn=lambda _: None
    )


def test_the_configuration_says_how(records):
    config = make_config(overrides={"data.split": "random", "data.test_fraction": 0.3, "training.seed": 5})
    assert divide(records, config).names() == divide_records(records, config.data, 5).names()
    assert divide(records, config).names() != divide_records(records, config.data, 6).names()
    assert len(divide(records, config).test) == pytest.approx(9, abs=1)
    found, expected = divide_folds(records, config, 3), divide_into_folds(records, config.data, 5, 3)
    assert [one.names() for one in found] == [one.names() for one in expected]


def test_similarity_is_a_way_to_divide(records):
    splits = divide(records, make_config(overrides={"data.split": "similarity"}))
    assert (splits.kind, len(set(splits.groups))) == ("similarity", 30)


def test_what_is_not_there_is_refused(records):
    with pytest.raises(UsageError, match="no column group"):
        divide(records, make_config(overrides={"data.split": "group"}))
    with pytest.raises(UsageError, match="say how many folds"):
        divide_folds(records, make_config())


@pytest.mark.parametrize("value", [0, 1.1, "high"])
def test_a_similarity_is_over_0_and_at_most_1(value):
    with pytest.raises(UsageError, match=r"data\.similarity"):
        make_config(overrides={"data.similarity": value})
