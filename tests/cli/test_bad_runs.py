"""Everything a user may get wrong when comparing runs, and what the command says to it: see `test_bad_input`.

The directory holds the run directories `a` and `b`, of the same records, and `pred.tsv`, a table of their predictions.
"""

import random
import shlex

import pytest
from test_bad_input import BAD_DATA, CANNOT_WRITE, NO_INPUT, USAGE, Case, check_message, fingerprint, lay_out

IDS = [f"r{number}" for number in range(40)]
LABELS = {name: "ab"[number % 2] for number, name in enumerate(IDS)}


def to_predictions(names, wrong, classes=("a", "b"), skipped=()):
    """Return a predictions table of these records, in which those of `wrong` are predicted wrongly."""
    rng = random.Random(len(wrong))
    lines = ["\t".join(["id", *(f"probability_{name}" for name in classes)])]
    for name in names:
        chance = rng.uniform(0.6, 0.95)
        chances = {LABELS[name]: 1 - chance if name in wrong else chance}
        chances["b" if LABELS[name] == "a" else "a"] = 1 - chances[LABELS[name]]
        cells = [""] * len(classes) if name in skipped else [f"{chances.get(label, 0):.4f}" for label in classes]
        lines.append("\t".join([name, *cells]))
    return "\n".join(lines) + "\n"


def to_splits(names, split="test", **other):
    labels = {name: LABELS[name] for name in names} | other
    return "id\tlabel\tsplit\n" + "".join(f"{name}\t{label}\t{split}\n" for name, label in labels.items())


GOOD = {
    "a/predictions.tsv": to_predictions(IDS, IDS[:2]),
    "a/splits.tsv": to_splits(IDS),
    "b/predictions.tsv": to_predictions(IDS, IDS[:9]),
    "b/splits.tsv": to_splits(IDS),
    "pred.tsv": to_predictions(IDS, IDS[:5]),
    "labels.tsv": to_splits(IDS),
}
COMPARE = "compare a b"

BAD_RUNS = [
    Case("no run at all", "compare", USAGE, ["give at least two runs to compare: genomix compare run-a/ run-b/"]),
    Case("a single run", "compare a", USAGE, ["give at least two runs to compare"]),
    Case("the baseline is the only run", "compare a --baseline a", USAGE, ["give at least two runs to compare"]),
    Case("the same run twice", "compare a b ./a/", USAGE, ["./a: is the same run as a; name each run once"]),
    Case("the table of a run beside it", "compare a a/predictions.tsv", USAGE, ["is the same run as a"]),
    Case(
        "two runs do not exist",
        "compare a nowhere lost.tsv",
        NO_INPUT,
        [
            "nowhere: there is no such run directory or predictions table; check the path",
            "lost.tsv: there is no such run directory or predictions table",
        ],
    ),
    Case(
        "a model without predictions",
        "compare a model/",
        NO_INPUT,
        ["model: has no predictions.tsv, which training writes", "genomix predict model test.fa"],
        {"model/config.yaml": "preset: kmer\n", "model/model.safetensors": ""},
    ),
    Case(
        "presets, by their folder and by their name",
        "compare a mine/ cnn",
        NO_INPUT,
        ["mine: is a preset, without weights and predictions; train a run of it", "--model mine", "cnn: is a preset"],
        {"mine/config.yaml": "preset: cnn\n"},
    ),
    Case("empty predictions", COMPARE, NO_INPUT, ["b/predictions.tsv: is empty"], {"b/predictions.tsv": ""}),
    Case(
        "two damaged tables",
        COMPARE,
        BAD_DATA,
        [
            'a/predictions.tsv:2: record "r0": probabilities must sum to 1',
            "b/predictions.tsv:1: a predictions table has",
        ],
        {"a/predictions.tsv": "id\tprobability_a\tprobability_b\nr0\t0.5\t0.9\n", "b/predictions.tsv": "id\tx\n"},
    ),
    Case(
        "damaged splits",
        COMPARE,
        BAD_DATA,
        ["b/splits.tsv:3: "],
        {"b/splits.tsv": "id\tlabel\tsplit\nr0\ta\ttest\nr1\n"},
    ),
    Case("damaged configuration", COMPARE, BAD_DATA, ["b/config.yaml:2: not valid YAML"], {"b/config.yaml": "a: [\n"}),
    Case("damaged meta data", COMPARE, BAD_DATA, ["b/meta.json:2: damaged meta data"], {"b/meta.json": "{\n"}),
    Case("meta data of something else", COMPARE, BAD_DATA, ["b/meta.json: damaged meta data"], {"b/meta.json": "[]"}),
]

DIFFERING = [
    Case(
        "other records",
        COMPARE,
        BAD_DATA,
        [
            'b/predictions.tsv: the records differ: 1 only in b ("r39"), 5 only in a ("r0", "r1", "r2", ...);',
            "train with the same splits (genomix train data.fa a/splits.tsv -o ...)",
            "or predict the same file with all",
        ],
        {"a/predictions.tsv": to_predictions(IDS[:-1], []), "b/predictions.tsv": to_predictions(IDS[5:], [])},
    ),
    Case(
        "fewer records",
        "compare a b --labels labels.tsv",
        BAD_DATA,
        ['b/predictions.tsv: the records differ: 1 only in a ("r39"); train'],
        {"b/predictions.tsv": to_predictions(IDS[:-1], [])},
    ),
    Case(
        "another label of a record",
        COMPARE,
        BAD_DATA,
        ["""b/splits.tsv:6: record "r4" is labelled 'b', but 'a' at a/splits.tsv:6; mend the wrong one"""],
        {"b/splits.tsv": to_splits(IDS, r4="b")},
    ),
    Case(
        "another label in the table of labels",
        "compare a b -l labels.tsv",
        BAD_DATA,
        ["""labels.tsv:4: record "r2" is labelled 'b', but 'a' at a/splits.tsv:4"""],
        {"labels.tsv": to_splits(IDS, r2="b")},
    ),
    Case(
        "two labels of a record in the table",
        "compare pred.tsv b -l labels.tsv",
        BAD_DATA,
        ["""labels.tsv:42: record "r0" is labelled 'b', but 'a' at labels.tsv:2"""],
        {"labels.tsv": to_splits(IDS) + "r0\tb\ttest\n"},
    ),
    Case(
        "a label that is no class",
        "compare a pred.tsv",
        BAD_DATA,
        ["""a/splits.tsv:3: label 'c' of "r1" is not a class of a/predictions.tsv (it knows a, b)"""],
        {"a/splits.tsv": to_splits(IDS, r1="c")},
    ),
    Case(
        "a record without a label",
        "compare a pred.tsv",
        BAD_DATA,
        ['a/predictions.tsv: record "r39" is in no splits.tsv of the runs; name a table of all labels (--labels)'],
        {"a/splits.tsv": to_splits(IDS[:-1])},
    ),
    Case(
        "more records in the table than in the run, and labels of all with their splits",
        "compare a pred.tsv --labels all.tsv",
        BAD_DATA,
        ["9 only in pred.tsv", "compare the records of one split, which all runs have (--labels all.tsv --split test)"],
        {
            "a/predictions.tsv": to_predictions(IDS[:31], []),
            "all.tsv": to_splits(IDS[:31]) + to_splits(IDS[31:], split="train").partition("\n")[2],
        },
    ),
    Case(
        "no labels at all",
        "compare a/predictions.tsv pred.tsv",
        USAGE,
        ["nothing says what the right labels are", "--labels test.tsv", "name the run directories"],
    ),
    Case(
        "no record is left",
        "compare a pred.tsv -l labels.tsv",
        BAD_DATA,
        ["a/predictions.tsv: no prediction left to compare"],
        {"labels.tsv": "id\tlabel\nother\ta\n"},
    ),
]

BAD_OPTIONS = [
    Case(
        "a metric that is not known",
        f"{COMPARE} --metric acuracy",
        USAGE,
        ["--metric 'acuracy' is not known (did you mean 'accuracy'?); choose of accuracy, balanced_accuracy"],
    ),
    Case("no confidence", f"{COMPARE} --confidence 1", USAGE, ["--confidence 1.0: must be between 0 and 1"]),
    Case("few resamples", f"{COMPARE} --resamples 20", USAGE, ["--resamples", "100"]),
    Case("a split of no table", f"{COMPARE} --split test", USAGE, ["--split test", "name that with --labels"]),
    Case("an empty split", f"{COMPARE} -l labels.tsv --split val", USAGE, ["no record of labels.tsv is in it"]),
    Case("no threads", f"{COMPARE} --threads 0", USAGE, ["--threads must be at least 1"]),
    Case("the labels do not exist", f"{COMPARE} -l no.tsv", NO_INPUT, ["no.tsv: there is no such file"]),
    Case("a table of commas", f"{COMPARE} -o out.csv", USAGE, ["-o out.csv", "name it out.tsv"]),
    Case("the table exists", f"{COMPARE} -o pred.tsv", CANNOT_WRITE, ["pred.tsv: exists; use --force to replace it"]),
    Case("the table's place does not", f"{COMPARE} -o no/out.tsv", CANNOT_WRITE, ["there is no directory no"]),
]

CASES = BAD_RUNS + DIFFERING + BAD_OPTIONS


@pytest.mark.parametrize("case", CASES, ids=[case.wrong for case in CASES])
def test_bad_runs_are_explained_and_leave_no_trace(genomix, tmp_path, case):
    lay_out(tmp_path, GOOD | case.files)
    before = fingerprint(tmp_path)
    done = genomix(*shlex.split(case.command), directory=tmp_path)
    assert done.code == case.code, done.stderr
    check_message(done.stderr, case.says)
    assert done.stdout == ""
    assert fingerprint(tmp_path) == before


def complaint(genomix, directory, command, files):
    lay_out(directory, GOOD | files)
    done = genomix(*shlex.split(command), directory=directory)
    assert done.code == BAD_DATA
    return [line.strip() for line in done.stderr.splitlines()]


def test_classes_are_compared_before_labels_and_records(genomix, tmp_path):
    renamed = to_splits(IDS).replace("\ta\t", "\tA\t").replace("\tb\t", "\tB\t")
    table = to_predictions(IDS[:-1], []).replace("_a", "_A").replace("_b", "_B")
    files = {f"{run}/predictions.tsv": table for run in "bc"} | {f"{run}/splits.tsv": renamed for run in "bc"}
    of_b, of_c = complaint(genomix, tmp_path, "compare a b c", files)
    assert of_b.endswith('b/predictions.tsv:1: the classes differ: 2 only in b ("A", "B"), 2 only in a ("a", "b")')
    assert of_c.startswith('c/predictions.tsv:1: the classes differ: 2 only in c ("A", "B"), 2 only in a ("a", "b"); ')
    assert "where only the names of the classes differ, write them alike in the labels and train again" in of_c


def test_what_many_records_have_in_common_is_said_once(genomix, tmp_path):
    files = {"a/splits.tsv": to_splits(IDS[:31], r2="c", r4="c", r6="c", r8="c")}
    missing, unknown = complaint(genomix, tmp_path, "compare a pred.tsv", files)
    assert '9 records ("r31", "r32", "r33", ...) are in no splits.tsv of the runs; name a table of all' in missing
    assert unknown.startswith("""a/splits.tsv:4: label 'c' of "r2", "r4", "r6", ... is not a class of""")
    shown = complaint(genomix, tmp_path, "compare a b", {"b/splits.tsv": to_splits(IDS, r2="b", r4="b", r6="b")})
    assert [line.partition("mend")[1] for line in shown] == ["mend", "", ""]


def test_the_good_directory_is_good(genomix, tmp_path):
    lay_out(tmp_path, GOOD)
    assert genomix("compare", "a", "b", "pred.tsv", directory=tmp_path).code == 0
