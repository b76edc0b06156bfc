"""Made-up data from the command line: what is written can be trained on, and nothing is lost."""

import json
import shlex

import numpy as np
import pytest

SMALL = ("--records", "30", "--val-records", "6", "--test-records", "6", "--length", "80")


@pytest.mark.parametrize("task", ["adding", "temporal-order"])
def test_arrays(genomix, tmp_path, task):
    done = genomix("simulate", task, "-o", str(tmp_path / "made"), *SMALL)
    assert done.code == 0
    assert done.stdout == ""
    assert f"{task}, 80 positions, records: 30 train, 6 val, 6 test" in done.stderr
    assert len(np.load(tmp_path / "made" / "train_inputs.npy")) == 30
    assert json.loads((tmp_path / "made" / "task.json").read_text())["task"] == task


def test_motif_pair_can_be_trained_on(genomix, tmp_path):
    made = tmp_path / "made"
    assert genomix("simulate", "motif-pair", "-o", str(made), *SMALL).code == 0
    done = genomix(
        "train", str(made / "data.fa"), str(made / "labels.tsv"), "-o", str(tmp_path / "run"), "--model", "kmer"
    )
    assert done.code == 0, done.stderr
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    assert meta["classes"] == ["XX", "XY", "YX", "YY"]


def test_the_next_command_is_one_for_a_shell(genomix, tmp_path):
    made = tmp_path / "made up"
    done = genomix("simulate", "motif-pair", "-o", str(made), *SMALL)
    assert f"{made}: motif-pair, 80 bp, records: 30 train, 6 val, 6 test\n" in done.stderr
    next_line = next(line for line in done.stderr.splitlines() if line.startswith("next: "))
    assert shlex.split(next_line)[1:] == ["genomix", "train", f"{made}/data.fa", f"{made}/labels.tsv"]


def test_there_is_no_next_command_without_records_to_train_on(genomix, tmp_path):
    done = genomix("simulate", "motif-pair", "-o", str(tmp_path / "made"), *SMALL, "--records", "0")
    assert done.code == 0
    assert "next:" not in done.stderr


def test_help_tells_the_lowest_values(genomix):
    text = " ".join(genomix("simulate", "--help").stdout.split())
    assert "1024; x>=2" in text
    assert "4 at least" in text


def test_same_seed_same_files(genomix, tmp_path):
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        assert genomix("simulate", "motif-pair", "-o", str(tmp_path / name), *SMALL, "--seed", seed).code == 0
    one, two, three = ((tmp_path / name / "data.fa").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("addition",), 2, "'addition'"),
        (("adding", "--length", "1"), 2, "--length"),
        (("motif-pair", "--length", "20"), 2, "--length 20: two motifs of 12 bp need --length 24 at least"),
        (
            ("motif-pair", "--motif-length", "1000"),
            2,
            "--length 1024: two motifs of 1000 bp need --length 2000 at least",
        ),
        (("adding", "--length", f"{10**12}"), 2, f"--length {10**12}: adding needs 24,000.0 GB of memory, of which"),
        (
            ("temporal-order", "--length", f"{10**8}", "--records", f"{10**8}"),
            2,
            "needs 10,000,200.0 GB on the disk of",
        ),
        (("motif-pair", "--motif-length", "2"), 2, "--motif-length 2: use 4 bp at least"),
        (("adding", "--motif-length", "9"), 2, "--motif-length 9: adding has no motifs"),
        (("temporal-order", "--motif-length", "12"), 2, "--motif-length 12: temporal-order has no motifs"),
        (("adding", "--records", "0", "--val-records", "0", "--test-records", "0"), 2, "no records were asked for"),
        (("adding", "--records", "-1"), 2, "--records"),
    ],
)
def test_bad_requests(genomix, tmp_path, arguments, code, message):
    done = genomix("simulate", *arguments, "-o", str(tmp_path / "made"))
    assert done.code == code
    assert message in done.stderr
    assert not (tmp_path / "made").exists()


def test_motifs_that_turn_up_by_chance_are_warned_of(genomix, tmp_path):
    done = genomix("simulate", "motif-pair", "-o", str(tmp_path / "short"), *SMALL, "--motif-length", "5")
    assert done.code == 0
    assert "warning: a motif of 5 bp is expected 0.16 times a record by chance" in done.stderr
    assert "use --motif-length 6 or more" in done.stderr
    for name, more in (("mended", ("--motif-length", "6")), ("default", ())):
        done = genomix("simulate", "motif-pair", "-o", str(tmp_path / name), *SMALL, *more)
        assert done.code == 0
        assert "chance" not in done.stderr
    assert json.loads((tmp_path / "default" / "task.json").read_text())["motif_bp"] == 12


def test_nothing_is_overwritten_without_force(genomix, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = genomix("simulate", "adding", "-o", str(tmp_path), *SMALL)
    assert done.code == 73
    assert "--force" in done.stderr
    assert genomix("simulate", "adding", "-o", str(tmp_path), *SMALL, "--force").code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
