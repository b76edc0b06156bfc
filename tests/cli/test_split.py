"""`genomix split`: a table of splits or folds on stdout or in a file, and on stderr what it is like."""

import random
import re

import pytest
from tiny import rows_of, to_fasta

USAGE, BAD_DATA, NO_INPUT, CANNOT_WRITE = 2, 65, 66, 73
NUM_FAMILIES = 12
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def make_family(rng):
    """An original, its reverse complement, and a copy that lacks both ends and differs in every thirtieth base."""
    original = "".join(rng.choices("ACGT", k=400))
    piece = list(original[40:360])
    for place in range(0, len(piece), 30):
        piece[place] = piece[place].translate(COMPLEMENT)
    return original, original[::-1].translate(COMPLEMENT), "".join(piece)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`data.fa` with families of similar records, and tables of their labels with and without more columns."""
    directory = tmp_path_factory.mktemp("families")
    rng = random.Random(2)
    sequences = {f"f{family}_{n}": text for family in range(NUM_FAMILIES) for n, text in enumerate(make_family(rng))}
    label_of = {name: "ab"[int(name[1:].split("_")[0]) % 2] for name in sequences}
    (directory / "data.fa").write_text(to_fasta(sequences))
    located = {f"chr{number % 6}:{number}-{number + 400}": text for number, text in enumerate(sequences.values())}
    (directory / "located.fa").write_text(to_fasta(located))
    labels = list(label_of.values())
    write_table(directory / "located.tsv", "id\tlabel", zip(located, labels, strict=True))
    write_table(directory / "labels.tsv", "id\tlabel", label_of.items())
    rows = [(name, label, ("train", "val", "test")[n % 3]) for n, (name, label) in enumerate(label_of.items())]
    write_table(directory / "given.tsv", "id\tlabel\tsplit", rows)
    write_table(directory / "groups.tsv", "id\tlabel\tgroup", [(*row[:2], f"g{n // 4}") for n, row in enumerate(rows)])
    return directory


def write_table(path, header, rows):
    path.write_text(header + "\n" + "".join("\t".join(row) + "\n" for row in rows))


def split(genomix, place, *arguments, labels="labels.tsv"):
    done = genomix("split", "data.fa", labels, *arguments, "--threads", 1, directory=place)
    assert done.code == 0, done.stderr
    return done


def test_a_table_on_stdout_and_what_it_is_like_on_stderr(genomix, place):
    done = split(genomix, place)
    rows = rows_of(done.stdout)
    assert [row["id"] for row in rows] == [f"f{family}_{n}" for family in range(NUM_FAMILIES) for n in range(3)]
    assert list(rows[0]) == ["id", "label", "split"]
    lines = done.stderr.splitlines()
    assert "split at random" in lines
    table = lines[lines.index("split at random") + 1 :][:4]
    assert table[0].split() == ["train", "val", "test", "all"]
    for label, line in zip(("a", "b", "all"), table[1:], strict=True):
        chosen = [row["split"] for row in rows if label in (row["label"], "all")]
        assert line.split() == [
            label,
            *(str(chosen.count(part)) for part in ("train", "val", "test")),
            str(len(chosen)),
        ]
    assert re.search(r"\d held-out records, .* 1\.000 at most; \d+ \(\d+\.\d %\) at or above 0\.9", done.stderr)


def test_families_stay_on_one_side(genomix, place):
    done = split(genomix, place, "--split", "similarity", "-o", "-")
    sides = {}
    for row in rows_of(done.stdout):
        sides.setdefault(row["id"].split("_")[0], set()).add((row["split"], row["group"]))
    assert all(len(side) == 1 for side in sides.values())
    assert {part for side in sides.values() for part, _ in side} == {"train", "val", "test"}
    assert f"split by similarity of 0.9 or more; {NUM_FAMILIES} clusters" in done.stderr
    assert "; 0 (0.0 %) at or above 0.9" in done.stderr


def test_a_higher_similarity_makes_smaller_clusters(genomix, place):
    done = split(genomix, place, "--split", "similarity", "--similarity", "0.999")
    assert f"split by similarity of 0.999 or more; {2 * NUM_FAMILIES} clusters" in done.stderr


def test_similarity_1_keeps_copies_together(genomix, place):
    done = split(genomix, place, "--split", "similarity", "--similarity", "1")
    assert f"split by similarity of 1; {2 * NUM_FAMILIES} clusters" in done.stderr


def test_folds_in_a_file(genomix, place, tmp_path):
    done = split(genomix, place, "--split", "similarity", "--folds", 3, "-o", tmp_path / "folds.tsv")
    assert done.stdout == ""
    folds = {}
    for row in rows_of((tmp_path / "folds.tsv").read_text()):
        folds.setdefault(row["id"].split("_")[0], set()).add(row["fold"])
    assert all(len(found) == 1 for found in folds.values())
    assert set.union(*folds.values()) == {"1", "2", "3"}
    assert re.search(r"\n +fold 1 +fold 2 +fold 3 +all\n", done.stderr)
    assert f"the splits are in {tmp_path / 'folds.tsv'}\n" in done.stderr
    taken = split(genomix, place, "--folds", 3, "--seed", 9, labels=tmp_path / "folds.tsv")
    assert taken.stdout == (tmp_path / "folds.tsv").read_text()


def test_the_files_are_labels_to_train_on(genomix, place, tmp_path):
    split(genomix, place, "--split", "similarity", "-o", tmp_path / "splits.tsv")
    trained = genomix(
        "train", "data.fa", tmp_path / "splits.tsv", "-o", tmp_path / "run", "-m", "kmer", "-t", 1, directory=place
    )
    assert trained.code == 0, trained.stderr
    assert (tmp_path / "run" / "splits.tsv").read_text() == (tmp_path / "splits.tsv").read_text()


def test_fractions_and_the_seed(genomix, place):
    one, same, other = (
        split(genomix, place, "--val-fraction", "0.25", "--test-fraction", "0", "--seed", seed).stdout
        for seed in (1, 1, 2)
    )
    assert one == same != other
    assert [[row["split"] for row in rows_of(one)].count(part) for part in ("train", "val", "test")] == [27, 9, 0]


def test_what_the_labels_have(genomix, place):
    given = split(genomix, place, labels="given.tsv")
    assert given.stdout == (place / "given.tsv").read_text()
    assert "split as given\n" in given.stderr
    grouped = split(genomix, place, labels="groups.tsv")
    assert "split by group; 9 groups" in grouped.stderr
    assert "column group of the labels is not used" not in grouped.stderr
    at_random = split(genomix, place, "--split", "random", "--quiet", labels="groups.tsv")
    (line,) = at_random.stderr.splitlines()
    assert line.startswith("warning: the column group of the labels is not used (split random)")
    joined = split(genomix, place, "--split", "similarity", labels="groups.tsv")
    assert re.search(r"warning: clusters are kept together, and so are the groups .* became \d+ of both", joined.stderr)


def test_sequences_of_the_ids(genomix, place):
    done = genomix("split", "located.fa", "located.tsv", "--split", "sequence", "-t", 1, directory=place)
    assert done.code == 0, done.stderr
    assert "split by sequence, which stands before the coordinates in the ids; 6 sequences" in done.stderr
    parts = {(row["id"].split(":")[0], row["split"]) for row in rows_of(done.stdout)}
    assert len(parts) == 6


def test_splits_from_a_file(genomix, place):
    done = split(genomix, place, "--splits", "given.tsv")
    assert done.stdout == (place / "given.tsv").read_text()
    folds = split(genomix, place, "--splits", "given.tsv", "--folds", 3)
    rows = rows_of(folds.stdout)
    assert {row["fold"] == "" for row in rows if row["split"] == "test"} == {True}
    assert {row["fold"] for row in rows if row["split"] == "train"} == {"1", "2", "3"}
    assert re.search(r"fold 3 +held out +all\n", folds.stderr)
    assert "split at random; the given test records are held out\n" in folds.stderr
    assert folds.stderr.count("folds are made of the 24 records of train and val in the column split") == 1


def test_unused_records_stay_so_and_are_counted(genomix, place, tmp_path):
    lines = (place / "given.tsv").read_text().splitlines(keepends=True)
    lines[1] = "\t".join([*lines[1].split("\t")[:2], "unused\n"])
    (tmp_path / "labels.tsv").write_text("".join(lines))
    done = split(genomix, place, labels=tmp_path / "labels.tsv")
    assert done.stdout == "".join(lines)
    assert re.search(r"train +val +test +unused +all\n", done.stderr)
    assert "of 1 records that they are unused" in done.stderr
    folds = split(genomix, place, "--folds", 3, labels=tmp_path / "labels.tsv")
    assert [row["split"] for row in rows_of(folds.stdout)].count("unused") == 1
    assert "the given test and unused records are held out\n" in folds.stderr


def test_records_of_several_classes(genomix, place, tmp_path):
    labels = [row["id"] for row in rows_of((place / "labels.tsv").read_text())]
    write_table(
        tmp_path / "multi.tsv", "id\tlabel", [(name, ("x", "x;y", "-")[n % 3]) for n, name in enumerate(labels)]
    )
    done = split(genomix, place, "--multi-label", labels=tmp_path / "multi.tsv")
    lines = done.stderr.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("x ", "y ", "all "))] == ["24", "12", "36"]


BAD = [
    ("--folds 1", USAGE, "--folds 1: make 2 at least"),
    ("--folds 40", BAD_DATA, "36 records are too few for 40 folds; give more records"),
    ("--folds 3 --test-fraction 0.2", USAGE, "--test-fraction: each fold is the test in its turn"),
    ("--split group", USAGE, "split by group: the labels have no column group; add it"),
    ("--split given", USAGE, "split given: the labels have no column split; add it, or name a table of splits"),
    ("--split sequence", USAGE, '36 of 36 ids have no coordinates ("f0_0", "f0_1", "f0_2", ...)'),
    ("--split chromosome", USAGE, "'chromosome'"),
    ("--split similarity --similarity 0.01 --folds 20", BAD_DATA, "which stay whole: too few for 20 folds; a higher"),
    ("--similarity 1.5", USAGE, "data.similarity"),
    ("--similarity 0", USAGE, "data.similarity"),
    ("--val-fraction 0.6 --test-fraction 0.5", USAGE, "val_fraction and test_fraction must sum to less than 1"),
    ("--splits given.tsv --split random", USAGE, "--split random: --splits given.tsv names the splits already"),
    ("--splits nowhere.tsv", NO_INPUT, "nowhere.tsv: there is no such file"),
    ("--splits labels.tsv", BAD_DATA, "labels.tsv:1: the first line must name the columns id and split (or fold)"),
    ("--splits unknown.tsv", BAD_DATA, 'unknown.tsv:38: there is no record "f99_0"; correct the id'),
    ("--splits doubled.tsv", BAD_DATA, 'doubled.tsv:38: record "f0_0" is here a second time, after doubled.tsv:2'),
    ("--splits short.tsv", BAD_DATA, 'data.fa:71: record "f11_2" is not in short.tsv; add a row with its id and split'),
    ("-o given.tsv", CANNOT_WRITE, "given.tsv: exists; use --force to replace it"),
    ("-o nowhere/splits.tsv", CANNOT_WRITE, "there is no directory nowhere; make it first"),
]


@pytest.mark.parametrize(("options", "code", "message"), BAD, ids=[case[0] for case in BAD])
def test_bad_requests(genomix, place, options, code, message):
    given = (place / "given.tsv").read_text()
    (place / "unknown.tsv").write_text(given + "f99_0\ta\ttest\n")
    (place / "doubled.tsv").write_text(given + "f0_0\ta\ttest\n")
    (place / "short.tsv").write_text("".join(given.splitlines(keepends=True)[:-1]))
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    done = genomix("split", "data.fa", "labels.tsv", *options.split(), "-t", 1, directory=place)
    assert done.code == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_force_replaces(genomix, place, tmp_path):
    (tmp_path / "old.tsv").write_text("old")
    split(genomix, place, "-o", tmp_path / "old.tsv", "--force")
    assert (tmp_path / "old.tsv").read_text().startswith("id\tlabel\tsplit\n")
