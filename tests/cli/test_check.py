"""`genomix check`: what it prints and writes, and how it leaves."""

import json
import random

import pytest
from tiny import to_fasta

from genomix.cli.check import print_checks
from genomix.data.checks import Check, Checks

PASSED, FAILED = 0, 65


def make_set(directory, *, records=120, copies=0, groups=False):
    """Write random records in two classes; so many test records are copies of training records."""
    rng = random.Random(3)
    splits = ["train", "train", "train", "val", "test"]
    sequences, rows = {}, []
    for number in range(records):
        name, label = f"r{number}", "ab"[number % 2]
        sequences[name] = "".join(rng.choices("ACGT", k=rng.randint(200, 300)))
        rows.append([name, label, splits[number // 2 % len(splits)]])
    held_out = [name for name, _, split in rows if split == "test"]
    learnt = [name for name, _, split in rows if split == "train"]
    for copy, original in zip(held_out[:copies], learnt, strict=False):
        sequences[copy] = sequences[original]
    (directory / "data.fa").write_text(to_fasta(sequences))
    header = "id\tlabel" + "\tgroup" * groups
    (directory / "labels.tsv").write_text(
        "\n".join([header, *("\t".join([name, label, f"g{name}"][: 2 + groups]) for name, label, _ in rows)]) + "\n"
    )
    (directory / "splits.tsv").write_text("id\tlabel\tsplit\n" + "".join("\t".join(row) + "\n" for row in rows))
    return directory


@pytest.fixture
def clean(tmp_path):
    return make_set(tmp_path)


@pytest.fixture
def leaking(tmp_path):
    return make_set(tmp_path, copies=5)


def test_clean_data(genomix, clean):
    done = genomix("check", "data.fa", "labels.tsv", directory=clean)
    assert done.code == PASSED, done.stderr
    assert done.stdout.startswith("120 records, ")
    assert "class a" in done.stdout
    assert done.stdout.endswith("PASS: 0 FAIL, 0 WARN, 12 PASS\n")
    assert done.stderr == ""


def test_a_leak_across_the_column_split_fails(genomix, leaking):
    done = genomix("check", "data.fa", "splits.tsv", directory=leaking)
    assert done.code == FAILED
    header, _, everything = done.stdout.splitlines()[2:5]
    assert header.split()[:4] == ["records", "train", "val", "test"]
    assert everything.split()[:5] == ["all", "120", "72", "24", "24"]
    first, *_ = (line for line in done.stdout.splitlines() if line.startswith(" FAIL"))
    assert first.split()[1] == "duplicates"
    assert "5 of 24 test records (21 %) stand in a split used before" in " ".join(done.stdout.split())
    assert done.stdout.endswith("FAIL: 2 FAIL, 0 WARN, 10 PASS\n")


def test_unused_records_are_in_no_split(genomix, leaking):
    rows = [line.split("\t") for line in (leaking / "splits.tsv").read_text().splitlines()]
    leaks = [row[0] for row in rows if row[2] == "test"][:5]

    def write(rows):
        (leaking / "used.tsv").write_text("\n".join(map("\t".join, rows)) + "\n")

    write([[*row[:2], "unused" if row[0] in leaks else row[2]] for row in rows])
    done = genomix("check", "data.fa", "used.tsv", directory=leaking)
    assert done.code == 0, done.stdout
    assert done.stdout.splitlines()[4].split()[:5] == ["all", "120", "72", "24", "19"]
    assert "No held-out record is a copy of one in another split, on either strand." in " ".join(done.stdout.split())
    write(
        [
            [*rows[0], "fold"],
            *([*row[:2], "train", f"f{n % 3}"] for n, row in enumerate(rows[1:-1])),
            [*rows[-1][:2], "unused", ""],
        ]
    )
    folds = genomix("check", "data.fa", "used.tsv", directory=leaking)
    assert "fold 'f0' is looked at as the test split" in folds.stderr
    assert folds.stdout.splitlines()[4].split()[:2] == ["all", "120"]


def test_json_and_the_file_say_the_same(genomix, leaking):
    options = ("--splits", "splits.tsv", "--json", "-o", "checks.json", "--similarity", 0.8)
    done = genomix("check", "data.fa", "labels.tsv", *options, directory=leaking)
    assert done.code == FAILED
    printed = json.loads(done.stdout)
    assert printed == json.loads((leaking / "checks.json").read_text())
    assert printed["status"] == "FAIL"
    assert printed["settings"] == {"fast": False, "similarity": 0.8, "seed": 0}
    by_name = {check["name"]: check for check in printed["checks"]}
    assert by_name["duplicates"]["figures"]["across"] == {"val": 0, "test": 5}
    assert by_name["duplicates"]["sentence"].endswith(".")
    assert printed["summary"]["splits"]["test"]["classes"] == {"a": 12, "b": 12}


def test_warnings_leave_with_0_unless_strict(genomix, tmp_path):
    make_set(tmp_path, records=30)
    for options, code in (((), PASSED), (("--strict",), FAILED)):
        done = genomix("check", "data.fa", "labels.tsv", "--fast", *options, directory=tmp_path)
        assert done.code == code
        assert done.stdout.endswith("WARN: 0 FAIL, 1 WARN, 11 PASS\n")


def test_groups_and_folds(genomix, tmp_path):
    make_set(tmp_path, groups=True)
    rows = [line.split("\t") for line in (tmp_path / "splits.tsv").read_text().splitlines()[1:]]
    (tmp_path / "folds.tsv").write_text(
        "id\tfold\n" + "".join(f"{name}\t{number // 2 % 3 + 1}\n" for number, (name, *_) in enumerate(rows))
    )
    done = genomix("check", "data.fa", "labels.tsv", "--splits", "folds.tsv", "--fast", directory=tmp_path)
    assert "fold '1' is looked at as the test split, the others as train" in done.stderr
    assert "None of the 120 groups has records in more than one split." in " ".join(done.stdout.split())
    assert done.code == PASSED, done.stdout


def test_several_labels_a_record(genomix, clean):
    rows = [f"r{number}\t{('a', 'b', 'a;b', '-')[number % 4]}" for number in range(120)]
    (clean / "several.tsv").write_text("id\tlabel\n" + "\n".join(rows) + "\n")
    done = genomix("check", "data.fa", "several.tsv", "--multi-label", "--json", directory=clean)
    assert done.code == PASSED, done.stderr
    found = json.loads(done.stdout)
    assert found["checks"][0]["figures"]["counts"] == {"a": 60, "b": 60}
    assert found["checks"][6]["figures"]["classes"] == ["a", "b"]


def test_labels_that_are_paths(genomix, clean):
    rows = [f"r{number}\tlife;{'ab'[number % 2]}" for number in range(120)]
    (clean / "paths.tsv").write_text("id\tlabel\n" + "\n".join(rows) + "\n")
    done = genomix("check", "data.fa", "paths.tsv", "--levels", "kingdom,phylum", "--fast", directory=clean)
    assert (done.code, done.stderr) == (PASSED, "")
    assert "class life;a" in done.stdout
    assert "have a semicolon" in genomix("check", "data.fa", "paths.tsv", "--fast", directory=clean).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("none.fa", "labels.tsv"), 66, "none.fa"),
        (("data.fa", "labels.tsv", "--splits", "none.tsv"), 66, "none.tsv"),
        (("data.fa",), 2, "no labels are given"),
        (("data.fa", "labels.tsv", "--similarity", 0), 2, "--similarity 0: give a value over 0 and at most 1"),
        (("data.fa", "labels.tsv", "--similarity", "much"), 2, "--similarity"),
        (("data.fa", "labels.tsv", "--threads", 0), 2, "--threads"),
        (("data.fa", "labels.tsv", "--levels", "kingdom"), 2, "name at least two levels"),
        (("data.fa", "labels.tsv", "--levels", "kingdom,phylum"), 65, "r0"),
        (("data.fa", "labels.tsv", "--levels", "a,b", "--multi-label"), 2, "leave one of them out"),
        (("data.fa", "labels.tsv", "-o", "none/checks.json"), 73, "there is no directory none"),
        (("data.fa", "labels.tsv", "-o", "labels.tsv"), 73, "use --force"),
        (("data.fa", "bad.tsv"), 65, "r1"),
        (("data.fa", "labels.tsv", "--splits", "labels.tsv"), 65, "must name the columns id and split"),
    ],
)
def test_bad_requests(genomix, clean, arguments, code, says):
    (clean / "bad.tsv").write_text("id\tlabel\nr0\ta\n")
    before = sorted(clean.iterdir())
    done = genomix("check", *arguments, directory=clean)
    assert done.code == code, done.stderr
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sorted(clean.iterdir()) == before


def test_many_classes_are_not_all_printed(capsys):
    one = {"bases": 9, "shortest": 3, "median": 3.0, "longest": 3, "gc": None, "unknown": 1.0}
    classes = {f"c{number}": {**one, "records": number} for number in range(1, 31)}
    check = Check("classes", "WARN", "[Some] classes.")
    print_checks(Checks([check], {"all": {**one, "records": 465}, "classes": classes, "splits": {}}, {}, {}))
    text = capsys.readouterr().out
    assert "30 classes (the 20 largest; all of them: --json)" in text
    shown = [line.split()[1] for line in text.splitlines() if line.startswith(" class c")]
    assert shown == [f"c{number}" for number in range(30, 10, -1)]
    assert "[Some] classes." in text
