"""Training divides by its configuration."""

import numpy as np
import pytest

from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.data.splits import divide_into_folds, divide_records, write_splits
from genomix.errors import UsageError
from genomix.train.division import check_metric, divide, divide_folds
from genomix.train.run import Training


def make_records(tmp_path, texts, splits=None):
    (tmp_path / "data.fa").write_text("".join(f">r{row}\n{text}\n" for row, text in enumerate(texts)))
    table = [f"r{row}\t{'ab'[row % 2]}" for row in range(len(texts))]
    table = (
        ["id\tlabel", *table]
        if splits is None
        else ["id\tlabel\tsplit", *(f"{line}\t{split}" for line, split in zip(table, splits, strict=True))]
    )
    (tmp_path / "labels.tsv").write_text("\n".join(table) + "\n")
    return load_labelled(
        [str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"), cache_dir=tmp_path, warn=lambda _: None
    )


def random_texts(number):
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("ACGT"), 60)) for _ in range(number)]


@pytest.fixture
def records(tmp_path):
    return make_records(tmp_path, random_texts(30))


class TestCopies:
    """Records 0 to 19 are for training, 20 to 39 for validation, 40 to 49 for the test."""

    SPLITS = ("train",) * 20 + ("val",) * 20 + ("test",) * 10

    def divided(self, tmp_path, copies):
        texts = random_texts(50)
        for copy, original in copies.items():
            texts[copy] = texts[original]
            if copy % 3 == 0:
                texts[copy] = texts[copy][::-1].translate(str.maketrans("ACGT", "TGCA"))
        return divide(make_records(tmp_path, texts, self.SPLITS), make_config())

    def test_those_of_training_records_choose_nothing(self, tmp_path):
        copies = {21: 0, 24: 1, 30: 2, 33: 31, 44: 3}  # on either strand; of a training record or another; in the test
        splits = self.divided(tmp_path, copies)
        assert splits.unused.tolist() == [21, 24, 30]
        assert splits.val.tolist() == [row for row in range(20, 40) if row not in {21, 24, 30}]
        assert splits.train.tolist() == list(range(20))
        assert splits.test.tolist() == list(range(40, 50))
        assert any("3 of 20 validation records are copies of training records" in note for note in splits.notes)
        assert splits.names()[21] == ""

    def test_they_are_unused_when_the_table_of_splits_is_given_again(self, tmp_path):
        splits = self.divided(tmp_path, {21: 0, 30: 2})
        names = [name or "unused" for name in splits.names()]
        write_splits(tmp_path / "splits.tsv", [f"r{row}" for row in range(50)], list("ab" * 25), splits)
        records = load_labelled(
            [str(tmp_path / "data.fa")], str(tmp_path / "splits.tsv"), cache_dir=tmp_path, warn=lambda _: None
        )
        again = divide(records, make_config())
        assert [name or "unused" for name in again.names()] == names
        assert not any("copies" in note for note in again.notes)

    @pytest.mark.parametrize(
        "copied", [range(20, 31), range(20, 40, 2)], ids=["nine are left", "ten of one class are left"]
    )
    def test_they_stay_where_too_few_others_are_left(self, tmp_path, copied):
        splits = self.divided(tmp_path, {row: row - 20 for row in copied})
        assert splits.val.tolist() == list(range(20, 40))
        assert len(splits.unused) == 0
        assert any("too few others" in note for note in splits.notes)

    def test_ten_others_of_all_classes_suffice(self, tmp_path):
        assert self.divided(tmp_path, dict.fromkeys(range(20, 30), 0)).val.tolist() == list(range(30, 40))

    def test_without_copies_nothing_is_said(self, tmp_path):
        splits = self.divided(tmp_path, {})
        assert (splits.notes, len(splits.unused)) == ([], 0)


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


class TestMetric:
    """What chooses must be defined on the validation records before anything is searched or trained."""

    SPLITS = (["train"] * 4 + ["val"]) * 8

    def load(self, tmp_path):
        (tmp_path / "data.fa").write_text("".join(f">q{i}\n{'ACGTTGCA' * (i + 1)}\n" for i in range(40)))
        labels = ["a" if split == "val" else "ab"[i % 2] for i, split in enumerate(self.SPLITS)]
        rows = (f"q{i}\t{label}\t{split}\n" for i, (label, split) in enumerate(zip(labels, self.SPLITS, strict=True)))
        (tmp_path / "labels.tsv").write_text("id\tlabel\tsplit\n" + "".join(rows))
        return load_labelled(
            [str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"), cache_dir=tmp_path / "cache", warn=lambda _: None
        )

    @pytest.mark.parametrize("changes", [{}, {"preset": "kmer"}])
    def test_it_is_told_before_there_is_a_run_directory(self, tmp_path, changes):
        records = self.load(tmp_path)
        config = make_config(changes.get("preset"), overrides={"training.metric": "roc_auc"})
        with pytest.raises(UsageError, match=r"training\.metric: roc_auc is undefined on these validation records"):
            Training(config, records, tmp_path / "run").run()
        assert not (tmp_path / "run").exists()

    def test_where_nothing_is_chosen_it_does_not_matter(self, tmp_path):
        records = self.load(tmp_path)
        settled = {"training.metric": "roc_auc", "model.k": 2, "model.inverse_regularisation": 1.0}
        config = make_config("kmer", overrides=settled)
        check_metric(config, records, divide(records, config))
