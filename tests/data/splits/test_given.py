"""Splits and folds from a file of their own: every record has its row, and mistakes are named with their place."""

import pytest
from made_records import records_of

from genomix.data.splits import take_splits
from genomix.errors import DataError, NoInputError

RECORDS = "abab"


@pytest.fixture
def take(tmp_path):
    """Take the splits of a table for records r0 to r3."""

    def take(table, records=None, **options):
        (tmp_path / "splits.tsv").write_text(table)
        told = []
        records = records_of(RECORDS) if records is None else records
        found = take_splits(records, str(tmp_path / "splits.tsv"), warn=told.append, **options)
        assert found.warnings == told
        return found

    return take


SPLITS = "id\tsplit\nr0\ttrain\nr1\tval\nr2\ttest\nr3\ttrain\n"


def test_by_id_in_any_order(take):
    found = take("split,id\ntest,r2\ntrain,r0\ntrain,r3 of a header\nDev,r1\n")
    assert found.splits == ["train", "val", "test", "train"]
    assert (found.folds, found.groups, found.warnings) == (None, None, [])


def test_folds_may_be_empty_for_the_test(take):
    found = take("id\tgroup\tsplit\tfold\nr0\tg\ttrain\t1\nr1\tg\ttrain\t2\nr2\th\ttest\t\nr3\ti\ttrain\t1\n")
    assert found.splits == ["train", "train", "test", "train"]
    assert found.folds == ["1", "2", "", "1"]
    assert found.groups == ["g", "g", "h", "i"]


def test_what_the_labels_have_is_replaced_but_for_groups(take):
    records = records_of(RECORDS, groups=list("wxyz"), splits=["test"] * 4, folds=list("1212"))
    found = take("id,group,fold\nr0,g,a\nr1,g,b\nr2,h,c\nr3,h,a\n", records)
    assert found.groups == list("wxyz")
    assert (found.splits, found.folds) == (None, list("abca"))
    assert "the columns split and fold of the labels are not used: " in found.warnings[0]
    assert records.splits == ["test"] * 4


def test_other_labels_there_are_told(take):
    found = take("id\tlabel\tsplit\nr0\ta\ttrain\nr1\tx\tval\nr2\ta\ttest\nr3\tb\ttrain\n")
    assert found.labels == list(RECORDS)
    assert "1 of 4 records have another label there, such as 'r1'" in found.warnings[0]


def test_sets_of_labels_may_be_written_in_any_order(take):
    records = records_of(["a;b", "-", "a", "b"], is_multi=True)
    table = "id\tlabel\tsplit\nr0\tb; a\ttrain\nr1\t-\tval\nr2\t{}\ttest\nr3\tb\ttrain\n"
    assert take(table.format("a;a"), records).warnings == []
    assert "1 of 4 records have another label there, such as 'r2'" in take(table.format("a;b"), records).warnings[0]
    paths = records_of(["a;b", "a;b", "a;c", "a;c"])
    told = take("id\tlabel\tsplit\nr0\tb;a\ttrain\nr1\ta;b\tval\nr2\ta;c\ttest\nr3\ta;c\ttrain\n", paths).warnings
    assert "1 of 4 records have another label" in told[0]


def test_a_record_without_a_row_is_a_mistake_whatever_is_missing_otherwise(take):
    with pytest.raises(DataError, match='record "r2" is not in '):
        take(SPLITS.replace("r2\ttest\n", ""), on_missing="skip")


def test_rows_without_a_record_are_passed_over_if_asked(take):
    found = take(SPLITS + "r9\ttest\n", on_missing="skip")
    assert found.splits == ["train", "val", "test", "train"]
    assert "1 rows have no record and are left out" in found.warnings[0]


def test_records_that_were_left_out_are_passed_over(take):
    records = records_of(RECORDS)
    records.store.skipped_ids = frozenset({"r9"})
    assert take(SPLITS + "r9\ttest\n", records).warnings == []


BAD = [
    ("no split", "id\tlabel\nr0\ta\n", ":1: the first line must name the columns id and split (or fold); found 'id'"),
    ("no header", SPLITS.split("\n", 1)[1], ":1: the first line must name the columns id and split (or fold)"),
    ("a column twice", "id,split,split\nr0,train,train\n", ":1: has the column 'split' twice; remove one"),
    ("an id twice", SPLITS + "r1\ttest\n", ':6: record "r1" is here a second time, after '),
    ("an unknown id", SPLITS + "r9\ttest\n", ':6: there is no record "r9"; correct the id, or use --on-missing skip'),
    ("a record without", SPLITS.replace("r2\ttest\n", ""), 'data.fa:5: record "r2" is not in '),
    (
        "an unknown split",
        SPLITS.replace("val", "holdout"),
        ':3: the split of "r1" is "holdout"; use train, val, test or unused',
    ),
    ("an empty split", SPLITS.replace("val", ""), ':3: the split of "r1" is empty; fill it in'),
    ("an empty fold", "id,fold\nr0,1\nr1,\nr2,2\nr3,1\n", ':3: the fold of "r1" is empty; fill it in'),
    ("a group in some rows", "id,group,split\nr0,,train\nr1,g,val\nr2,g,test\nr3,g,train\n", 'group of "r0" is empty'),
    ("too few cells", SPLITS.replace("r1\tval", "r1"), ":3: has 1 cell instead of 2; mend its tabs or commas"),
    ("an open quotation mark", SPLITS + '"r4\ttest\n', "quotation"),
]


@pytest.mark.parametrize(("what", "table", "message"), BAD, ids=[case[0] for case in BAD])
def test_mistakes_are_named(take, what, table, message):
    with pytest.raises(DataError) as caught:
        take(table)
    assert message in str(caught.value)


def test_all_mistakes_at_once(take):
    with pytest.raises(DataError) as caught:
        take("id\tsplit\nr0\tnone\nr1\tval\nr1\tval\nr9\ttest\n")
    assert len(str(caught.value).splitlines()) == 5


def test_nothing_to_read(take, tmp_path):
    with pytest.raises(NoInputError, match="is empty"):
        take(" \n")
    with pytest.raises(NoInputError, match="there is no such file"):
        take_splits(records_of(RECORDS), str(tmp_path / "none.tsv"), warn=lambda _: None)
