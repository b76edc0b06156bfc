"""Labels from each of the four places, and everything that can be wrong with them."""

import gzip
import io
import sys

import pytest

from genomix.data.labels import load_labelled, read_labels
from genomix.errors import DataError, GenomixError, NoInputError, UsageError

IDS = [f"r{number}" for number in range(6)]
FASTA = "".join(f">r{number} class={'ab'[number % 2]}\nACGTAC\n" for number in range(6))
TSV = "".join(f"r{number}\t{'ab'[number % 2]}\n" for number in range(6))
EXPECTED = list("ababab")


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def load(tmp_path):
    """Load, with the warnings as a result rather than an argument."""

    def load(sequences, labels=None, **options):
        told = []
        found = load_labelled(sequences, labels, cache_dir=tmp_path / "cache", warn=told.append, **options)
        assert found.warnings == told
        return found

    return load


LABEL_TABLES = [
    ("tabs", TSV),
    ("commas", TSV.replace("\t", ",")),
    ("compressed", gzip.compress(TSV.encode())),
    ("a header", "id\tlabel\n" + TSV),
    ("a header in other letters and order", "Label,ID\n" + "".join(f'{"ab"[n % 2]}," r{n} "\n' for n in range(6))),
    ("a byte order mark and CRLF", "\ufeff" + TSV.replace("\n", "\r\n")),
    ("blank lines and no last line end", "\n" + TSV.replace("\n", "\n\n").rstrip()),
    ("the whole header in place of the id", TSV.replace("\t", " class\t")),
    ("other order of rows", "".join(sorted(TSV.splitlines(keepends=True), reverse=True))),
    ("empty columns", "id\tlabel\tgroup\tsplit\n" + TSV.replace("\n", "\t\t\n")),
]


@pytest.mark.parametrize(("what", "table"), LABEL_TABLES, ids=[case[0] for case in LABEL_TABLES])
def test_a_table_of_labels_in_any_form(write, load, what, table):
    found = load([write("x.fa", FASTA)], write("labels", table))
    assert found.labels == EXPECTED
    assert found.ids == IDS
    assert found.classes == ["a", "b"]
    assert found.targets.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.lengths.tolist() == [6] * 6
    assert found.indices.tolist() == list(range(6))
    assert (found.groups, found.splits, found.warnings) == (None, None, [])


def test_labels_from_stdin(write, load, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TSV.encode())))
    assert load([write("x.fa", FASTA)], "-").labels == EXPECTED


@pytest.mark.parametrize("regex", [r"class=(\w+)", r"(class)=(?P<label>\w+)"])
def test_labels_in_headers(write, load, regex):
    assert load([write("x.fa", FASTA)], label_regex=regex).labels == EXPECTED


def test_one_file_or_directory_per_class(write, load, tmp_path):
    write("cats/1.fa", ">c1\nAC\n>c2\nACC\n")
    write("cats/2.fa", ">c3\nACG\n")
    dogs = write("dogs.fa", ">d1\nAC\n>d2\nAC\n>d3\nACG\n")
    found = load([], class_files=[("dog", dogs), ("cat", str(tmp_path / "cats"))])
    assert dict(zip(found.ids, found.labels, strict=True)) == {
        **dict.fromkeys(["d1", "d2", "d3"], "dog"),
        **dict.fromkeys(["c1", "c2", "c3"], "cat"),
    }


@pytest.mark.parametrize("id_column", [True, False])
def test_labels_in_the_table_of_sequences(write, load, id_column):
    rows = "".join(f"{f'r{n},' * id_column}{'ab'[n % 2]},ACGT\n" for n in range(6))
    found = load([write("x.csv", "id," * id_column + "label,sequence\n" + rows)])
    assert found.labels == EXPECTED
    assert found.ids == (IDS if id_column else [f"row_{n}" for n in range(1, 7)])


def test_groups_and_splits(write, load):
    splits = ["train", "Training", "dev", "validation", "test", "test"]
    rows = "".join(f"r{n},{'ab'[n % 2]},g{n // 2},{split},7\n" for n, split in enumerate(splits))
    table = write("labels.csv", "id,label,group,split,length\n" + rows)
    found = load([write("x.fa", FASTA)], table)
    assert found.groups == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert found.splits == ["train", "train", "val", "val", "test", "test"]
    assert found.warnings == [
        f"{table}: columns that are not used: length",
        f'{table}: splits are read as the usual words: "Training" as train, "dev" as val, "validation" as val',
    ]


def test_labels_are_strings_in_natural_order(write, load):
    labels = ["10", "1.0", "1", "Class10", "class2", "2"]
    found = load(
        [write("x.fa", FASTA)],
        write("l.tsv", "".join(f"r{n}\t{label}\n" for n, label in enumerate(labels))),
        min_per_class=1,
    )
    assert found.classes == ["1", "1.0", "2", "10", "class2", "Class10"]
    assert found.labels == labels


def test_what_has_no_partner_can_be_left_out(write, load):
    table = TSV.replace("r5", "x5").replace("r4", "x4")
    found = load([write("x.fa", FASTA)], write("l.tsv", table), on_missing="skip", min_per_class=2)
    assert found.ids == IDS[:4]
    assert found.warnings == [
        "2 of 6 records have no label and are left out (--on-missing skip)",
        "2 labels have no record and are left out (--on-missing skip)",
    ]


def test_labels_of_skipped_records_are_not_missing(write, load):
    found = load([write("x.fa", FASTA + ">bad\nAJ\n")], write("l.tsv", TSV + "bad\ta\n"), on_invalid="skip")
    assert found.ids == IDS
    assert found.warnings == ["1 records with invalid letters or no sequence are left out (--on-invalid skip)"]


def test_a_row_said_twice_is_counted(write, load):
    found = load([write("x.fa", FASTA)], write("l.tsv", TSV + "r0\ta\nr1\tb\n"))
    assert found.labels == EXPECTED
    assert found.warnings == ["2 rows of labels say again what an earlier one says"]


def test_evaluation_needs_no_second_class(write, load):
    found = load([write("x.fa", ">r\nAC\n")], write("l.tsv", "r\ta\n"), min_per_class=1, min_classes=1)
    assert found.classes == ["a"]


BAD_LABELS = [
    ("two labels for one record", TSV + "r0\tb\n", ':7: record "r0" has the label "b" here and "a" at', 65),
    ("two splits", "id,label,split\nr0,a,train\nr0,a,test\n", ':3: record "r0" has the split "test" here and', 65),
    ("an empty label", TSV + "r6\t \n", ':7: the label of "r6" is empty; fill it in', 65),
    ("an empty id", TSV + "\ta\n", ":7: the id is empty; fill it in or remove the row", 65),
    ("a cell too many", TSV + "r6\ta\tb\n", ':7: the row of "r6" has 3 cells instead of 2; mend its tabs', 65),
    ("a cell too few", TSV + "r6\n", ':7: the row of "r6" has 1 cell instead of 2', 65),
    ("one column", "r0 a\nr1 b\n", ":1: has 1 column; labels are a table of 2 to 4 columns", 65),
    ("five columns", "a,b,c,d,e\n", ":1: has 5 columns; labels are a table", 65),
    ("no label column", "id\tclass\nr0\ta\n", ":1: has no column 'label' but 'id', 'class'; rename", 65),
    ("no id column", "name\tlabel\nr0\ta\n", ":1: has no column 'id' but 'name', 'label'; rename", 65),
    ("a column twice", "id\tlabel\tlabel\nr0\ta\tb\n", ":1: has the column 'label' twice; remove one", 65),
    ("an unknown split", "id,label,split\nr0,a,holdout\n", ':2: record "r0": the split is "holdout"; use train', 65),
    ("a split in some rows", "id,label,split\nr0,a,train\nr1,a,\n", ":3: the split is empty in 1 of 2 rows", 65),
    ("a group in some rows", "r0,a,g\nr1,a,\n", ":2: the group is empty in 1 of 2 rows (lines 2); fill it in", 65),
    ("a third column of splits", "r0,a,train\nr1,a,test\n", "the third column looks like the split, but", 65),
    ("not UTF-8", b"r0\t\xe9\n", ":1: is not UTF-8; convert the file, e.g. with iconv", 65),
    ("UTF-16", TSV.encode("utf-16"), "is UTF-16 text; save it as UTF-8", 65),
    ("an open quotation mark", 'r0,a\nr1,"b\n', ":2: not a row of a table", 65),
    ("FASTA", FASTA, "is FASTA, not a table of labels; give the sequences first, then the labels", 65),
    ("a cut file", gzip.compress(TSV.encode())[:-9], "the gzip stream ends too early", 65),
    ("nothing", "", "is empty; give a table with the columns id and label", 66),
    (
        "a record without label",
        TSV.replace("r5\tb\n", ""),
        'x.fa:11: record "r5" has no label; add it, or use --on-m',
        65,
    ),
    ("a label without record", TSV + "z\ta\n", ':7: the label of "z" has no record; correct the id, or use', 65),
    (
        "other ids",
        TSV.replace("r", "s"),
        ':1: no label has the id of a record: labels are of "s0", "s1", "s2", ...',
        65,
    ),
    ("a class too small", TSV.replace("r5\tb", "r5\tc"), 'class "c" has 1 record, and needs at least 3; add', 65),
    ("one class", TSV.replace("\tb", "\ta"), 'all 6 records have the label "a"; there must be at least 2', 65),
]


@pytest.mark.parametrize(("what", "table", "message", "exit_code"), BAD_LABELS, ids=[bad[0] for bad in BAD_LABELS])
def test_bad_labels(write, load, what, table, message, exit_code):
    with pytest.raises(GenomixError) as caught:
        load([write("x.fa", FASTA)], write("labels.tsv", table))
    assert message in str(caught.value)
    assert caught.value.exit_code == exit_code


def test_bad_sequences_and_bad_labels_are_reported_together(write, load):
    with pytest.raises(DataError) as caught:
        load([write("x.fa", FASTA + ">bad\nAJ\n>bad\nA\n")], write("l.tsv", TSV + "r6\t\nr7\ta\tb\n"))
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in str(caught.value).splitlines()] == [
        "l.tsv:7",
        "l.tsv:8",
        "x.fa:14",
    ]


def test_a_flawed_row_of_a_table_of_sequences_is_reported_once(write, load):
    rows = "".join(f"r{n},{'ab'[n % 2]},ACGT\n" for n in range(6))
    table = write("x.csv", "id,label,sequence\n" + rows + "r6,a\n,a,ACGT\n")
    with pytest.raises(DataError) as caught:
        load([table])
    assert len(str(caught.value).splitlines()) == 2
    assert load([table], on_invalid="skip").ids == IDS


def test_many_problems_are_counted(write, load):
    with pytest.raises(DataError, match="and 15 more problems like these"):
        load([write("x.fa", FASTA)], write("l.tsv", TSV + "".join(f"z{n}\ta\n" for n in range(25))))


def test_every_header_must_match(write, load):
    with pytest.raises(DataError) as caught:
        load([write("x.fa", FASTA)], label_regex=r"class=(a|(?=b))")
    assert str(caught.value).count("finds an empty label in the header") == 3
    with pytest.raises(DataError, match=r'x.fa:3: record "r1": .* finds no label in the header "r1 class=b"'):
        load([write("x.fa", FASTA)], label_regex=r"class=(a)")


def test_a_class_file_without_usable_records(write, load):
    files = [("a", write("a.fa", ">a\nAJ\n")), ("b", write("b.fa", ">b\nAC\n"))]
    with pytest.raises(DataError, match="class 'a' has no record; mend its file or leave the class out"):
        load([], class_files=files, on_invalid="skip")


def test_one_record_in_the_files_of_two_classes(write, load):
    files = [("a", write("a.fa", ">x\nAC\n")), ("b", write("b.fa", ">x\nAC\n"))]
    with pytest.raises(DataError, match=r'b.fa:1: record "x": the record at .*a.fa:1 has the same id'):
        load([], class_files=files)


@pytest.mark.parametrize("name", ["x.fa", "x.csv"])
def test_without_labels_the_four_ways_are_named(write, load, name):
    path = write(name, FASTA if name == "x.fa" else "id,sequence\na,ACGT\n")
    with pytest.raises(
        UsageError, match=r"table with the columns id and label .*--label-regex.*NAME=FILE.*column label"
    ):
        load([path])


def test_what_cannot_be_asked_for(write, load):
    fasta, labels = write("x.fa", FASTA), write("l.tsv", TSV)
    with pytest.raises(UsageError, match="in more than one way"):
        load([fasta], labels, label_regex="(.)")
    with pytest.raises(UsageError, match="choose one way"):
        load([fasta], class_files=[("a", fasta)])
    with pytest.raises(UsageError, match="both sequences and labels are to come from stdin"):
        load(["-"], "-")
    with pytest.raises(UsageError, match="has 2 groups; put the label"):
        load([fasta], label_regex="(.)(.)")
    with pytest.raises(UsageError, match="is wrong: missing"):
        load([fasta], label_regex="(")
    with pytest.raises(NoInputError, match="there is no such file"):
        load([fasta], "missing.tsv")


def test_read_labels_reports_all_bad_rows_itself(write):
    path = write("l.tsv", TSV + "r6\t\nr7\n")
    with pytest.raises(DataError) as caught:
        read_labels(path, pytest.fail)
    assert len(str(caught.value).splitlines()) == 2
    assert [row.place for row in read_labels(write("m.tsv", TSV), pytest.fail)][:2] == [
        path.replace("l.tsv", f"m.tsv:{line}") for line in (1, 2)
    ]
