"""`genomix pretrain`, and `genomix train --init-from`, as users call them."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import TINY, make_sequences, to_fasta, to_table

SMALL = ("--set", "model.encoder.dim=16", "--set", "model.encoder.hidden_dim=16")
FEW = ("--max-epochs", 1, "--no-baselines", "--strands", "both", *TINY)
DOCUMENT = Path(__file__).parents[2] / "docs" / "pretrain.md"


@pytest.fixture(scope="module")
def pretrained(genomix, data):
    path = data.directory / "pretrained"
    done = genomix("pretrain", data.fasta, "-o", path, "--max-epochs", 2, *TINY, *SMALL)
    assert done.code == 0, done.stderr
    assert "said by" in done.stdout
    assert "held out: " in done.stderr
    return path


@pytest.fixture(scope="module")
def first(genomix, data):
    """A classifier."""
    path = data.directory / "first"
    done = genomix("train", data.fasta, data.table, "-o", path, "--no-checks", *FEW)
    assert done.code == 0, done.stderr
    return path


def test_a_run_directory_is_left(pretrained):
    names = {path.name for path in pretrained.iterdir()}
    files = ["begun.json", "config.yaml", "history.csv", "meta.json", "metrics.json", "model.safetensors", "train.log"]
    assert sorted(names) == files
    assert json.loads((pretrained / "meta.json").read_text())["kind"] == "pretrained"
    header, *rows = (pretrained / "history.csv").read_text().splitlines()
    assert "val_bits_per_base" in header
    assert len(rows) == 2
    stated = json.loads((pretrained / "metrics.json").read_text())
    assert {*stated["baselines"]} == {"neighbours", "composition"}


def test_it_is_complete_and_other_settings_are_told(genomix, data, pretrained):
    assert "nothing left to train" in genomix("pretrain", "--resume", pretrained).stderr
    again = genomix("pretrain", "--resume", pretrained, data.fasta, "--max-epochs", 3, *TINY, *SMALL)
    assert again.code == 2
    assert "training.max_epochs: begun with 2, now 3" in again.stderr


def test_what_has_no_classes_says_so(genomix, data, pretrained, tmp_path):
    for command in ("predict", "explain", "evaluate"):
        more = ["-o", tmp_path / "out.npz"] if command == "explain" else []
        table = [data.table] if command == "evaluate" else []
        done = genomix(command, pretrained, data.fasta, *table, *more)
        assert done.code == 2
        assert "is pretrained and has no classes yet" in done.stderr
    assert "is pretrained and has no classes yet" in genomix("report", pretrained).stderr
    assert genomix("embed", pretrained, data.fasta, "-o", tmp_path / "v.npz").code == 0
    done = genomix("train", "--resume", pretrained)
    assert done.code == 2
    assert f"genomix pretrain --resume {pretrained}" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "kmer"], 2, "have no layers to pretrain"),
        (["--set", "data.split=random"], 2, "data.split: has no effect in pretraining"),
        (["--set", "training.mask_fraction=0.1"], 2, "hides bases by masking.fraction"),
        (["--set", "training.freeze=features"], 2, "begins with random weights"),
        (["--set", "masking.spam=2"], 2, "did you mean 'span'"),
        (["--set", "masking.fraction=0.9"], 2, "masking.fraction"),
    ],
)
def test_what_makes_no_sense_is_an_error(genomix, data, tmp_path, words, code, message):
    done = genomix("pretrain", data.fasta, "-o", tmp_path / "run", *words)
    assert done.code == code
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_nothing_is_replaced_and_a_dry_run_writes_nothing(genomix, data, pretrained, tmp_path):
    assert genomix("pretrain", data.fasta, "-o", pretrained).code == 73
    assert genomix("pretrain", tmp_path / "none.fa", "-o", tmp_path / "run").code == 66
    done = genomix("pretrain", data.fasta, "-o", tmp_path / "run", "--dry-run", "--max-epochs", 2, *TINY, *SMALL)
    assert done.code == 0
    assert "steps: " in done.stdout
    assert not (tmp_path / "run").exists()


class TestInitFrom:
    def test_weights_and_where_they_come_from(self, genomix, data, pretrained, tmp_path):
        run = tmp_path / "run"
        more = ("--set", "training.freeze=features", "--max-epochs", 1, "--threads", 1)
        done = genomix("train", data.fasta, data.table, "--init-from", pretrained, "-o", run, "--no-checks", *more)
        assert done.code == 0, done.stderr
        assert f"starting from {pretrained} (pretrained)" in (run / "train.log").read_text()
        origin = json.loads((run / "meta.json").read_text())["training"]["init_from"]
        assert origin["sha256"] in (run / "report.html").read_text()
        from safetensors.numpy import load_file

        ours, theirs = (load_file(path / "model.safetensors") for path in (run, pretrained))
        same = [name for name in ours if name.startswith(("embedding.", "stem.", "encoder."))]
        assert len(same) == origin["num_tensors"]
        assert sum(theirs[name].size for name in same) == origin["num_parameters"]
        assert all((ours[name] == theirs[name]).all() for name in same)
        resumed = genomix("train", "--resume", run)
        assert "nothing left to train" in resumed.stderr

    @pytest.mark.parametrize(("option", "name"), [("--ensemble", "member"), ("--folds", "fold")])
    def test_each_of_several(self, genomix, data, pretrained, tmp_path, option, name):
        more = (option, 2, "--max-epochs", 1, "--threads", 1, "--no-baselines", "--no-checks")
        done = genomix("train", data.fasta, data.table, "--init-from", pretrained, "-o", tmp_path / "run", *more)
        assert done.code == 0, done.stderr
        for number in (1, 2):
            meta = json.loads((tmp_path / "run" / f"{name}-{number}" / "meta.json").read_text())
            assert meta["training"]["init_from"]["path"] == str(pretrained)

    @pytest.mark.parametrize(
        ("words", "messages"),
        [
            (
                ["--model", "transformer", "--set", "model.stem.stride=2"],
                ["model.encoder.name: transformer is asked", "model.stem.stride: 2 is asked for"],
            ),
            (["--set", "model.stem=null"], ["model.stem: none is asked for", "has one"]),
            (["--model", "kmer"], ["model.kind: kmer is asked for"]),
            (["--max-length", "512"], ["model.max_length is 64", "tensors differ"]),
            (["--set", "masking.span=2"], ["is of genomix pretrain"]),
        ],
    )
    def test_contradictions_are_told_all_at_once(self, genomix, data, pretrained, tmp_path, words, messages):
        done = genomix("train", data.fasta, data.table, "--init-from", pretrained, "-o", tmp_path / "run", *words)
        assert done.code == 2
        assert all(message in done.stderr for message in messages), done.stderr
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("words", [(), ("--folds", 2), ("--ensemble", 2), ("--folds", 2, "--only", 1)])
    def test_what_it_starts_from_is_not_replaced(self, genomix, data, pretrained, tmp_path, words):
        run = tmp_path / "run" / "fold-1"
        shutil.copytree(pretrained, run)
        before = {path.name: path.read_bytes() for path in run.iterdir()}
        for out in (tmp_path / "run", *([] if "--only" in words else [run])):
            done = genomix("train", data.fasta, data.table, "--init-from", run, "-o", out, "--force", *words)
            assert (done.code, "name another (--out)" in done.stderr) == (2, True), done.stderr
        assert {path.name: path.read_bytes() for path in run.iterdir()} == before

    def test_a_rehearsal_of_what_is_gone_on_with(self, genomix, data, tmp_path):
        run = tmp_path / "run"
        words = ("pretrain", data.fasta, "-o", run, "--max-epochs", 2000, "--max-time", "4s", *TINY, *SMALL)
        assert genomix(*words).code == 75
        done = genomix("pretrain", "--resume", run, "--dry-run")
        assert (done.code, "steps: " in done.stdout) == (0, True), done.stderr
        assert "model.pooling" not in done.stdout + (run / "train.log").read_text()

    def test_what_cannot_be_started_from(self, genomix, data, pretrained, kmer_run, tmp_path):
        for path, code, message in (
            (tmp_path / "none", 66, "config.yaml, model.safetensors, meta.json missing"),
            (kmer_run, 2, "is a k-mer model"),
        ):
            done = genomix("train", data.fasta, data.table, "--init-from", path, "-o", tmp_path / "run")
            assert (done.code, message in done.stderr) == (code, True), done.stderr
        damaged = tmp_path / "damaged"
        shutil.copytree(pretrained, damaged)
        (damaged / "model.safetensors").write_bytes(b"no")
        done = genomix("train", data.fasta, data.table, "--init-from", damaged, "-o", tmp_path / "run")
        assert done.code == 65
        assert "damaged or not a safetensors file" in done.stderr
        frozen = genomix("train", data.fasta, data.table, "--set", "training.freeze=features", "-o", tmp_path / "run")
        assert frozen.code == 2
        assert "--init-from" in frozen.stderr


class TestLineage:
    """A classifier that starts from another may be measured on what that one has learnt."""

    def found(self, genomix, first, run, *words):
        done = genomix("train", *words, "--init-from", first, "-o", run, *FEW)
        assert done.code == 0, done.stderr
        checks = json.loads((run / "checks.json").read_text())["checks"]
        [one] = [check for check in checks if check["name"] == "starting_weights"]
        return one, done.stderr

    def test_held_out_records_that_it_learnt_are_told(self, genomix, data, first, tmp_path):
        one, told = self.found(genomix, first, tmp_path / "run", data.fasta, data.table, "--folds", 3)
        learnt = [line.split("\t")[-1] for line in (first / "splits.tsv").read_text().splitlines()[1:]]
        num_used = learnt.count("train") + learnt.count("val")
        assert one["status"] == "FAIL"
        assert one["figures"] == {"num_used": num_used, "num_alike": 0, "num_held_out": 30}
        assert f"FAIL: starting_weights: Of 30 held-out records {num_used} were used in its training" in told
        assert "starting weights" in (tmp_path / "run" / "report.html").read_text()

    def test_the_same_division_is_fine(self, genomix, data, first, tmp_path):
        one, told = self.found(genomix, first, tmp_path / "run", data.fasta, first / "splits.tsv")
        assert one["status"] == "PASS"
        assert "starting_weights" not in told

    def test_copies_under_other_ids_are_found_and_other_records_of_the_same_ids_are_not(
        self, genomix, data, first, tmp_path
    ):
        ids = [f"new{i}" for i in range(30)]
        (tmp_path / "renamed.fa").write_text(
            "".join(f">{i}\n{one}\n" for i, one in zip(ids, data.sequences.values(), strict=True))
        )
        labels = data.labels.values()
        (tmp_path / "renamed.tsv").write_text(
            "id\tlabel\n" + "".join(f"{i}\t{x}\n" for i, x in zip(ids, labels, strict=True))
        )
        one, _ = self.found(
            genomix, first, tmp_path / "a", tmp_path / "renamed.fa", tmp_path / "renamed.tsv", "--folds", 2
        )
        assert (one["status"], one["figures"]["num_used"]) == ("FAIL", 0)
        assert one["figures"]["num_alike"] >= 20
        others, labels = make_sequences(seed=2)
        (tmp_path / "others.fa").write_text(to_fasta(others))
        (tmp_path / "others.tsv").write_text(to_table(labels))
        one, _ = self.found(
            genomix, first, tmp_path / "b", tmp_path / "others.fa", tmp_path / "others.tsv", "--folds", 2
        )
        assert (one["status"], one["figures"]["num_used"], one["figures"]["num_alike"]) == ("PASS", 0, 0)

    def test_an_evaluation_tells_what_the_first_has_learnt(self, genomix, data, first, tmp_path):
        table = [line.split("\t") for line in (first / "splits.tsv").read_text().splitlines()[1:]]
        exchange = {"train": "test", "val": "train", "test": "val"}
        rows = "".join(f"{i}\t{label}\t{exchange[split]}\n" for i, label, split in table)
        (tmp_path / "turned.tsv").write_text(f"id\tlabel\tsplit\n{rows}")
        run = tmp_path / "run"
        words = ("--init-from", first.name, "-o", run, "--no-checks", *FEW)
        done = genomix("train", data.fasta, tmp_path / "turned.tsv", *words, directory=first.parent)
        assert done.code == 0, done.stderr
        test = ("evaluate", run, data.fasta, tmp_path / "turned.tsv", "--split", "test", "--threads", 1)
        count = sum(split == "train" for *_, split in table)
        assert f"{count} of {count} records were used in training" in genomix(*test).stderr
        shutil.move(first, tmp_path / "moved")
        try:
            assert "were used in training" not in genomix(*test).stderr
        finally:
            shutil.move(tmp_path / "moved", first)


def test_a_signal_stops_it_and_it_goes_on(genomix, data, environment, tmp_path):
    run = tmp_path / "run"
    words = ["pretrain", str(data.fasta), "-o", str(run), "--max-epochs", "2000", *TINY, *SMALL]
    process = subprocess.Popen([sys.executable, "-m", "genomix", *words], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"go on with: genomix pretrain --resume {run}".encode() in told
    begun = genomix("train", data.fasta, data.table, "--init-from", run, "-o", tmp_path / "other")
    assert begun.code == 2
    assert "has not ended" in begun.stderr
    gone_on = genomix("pretrain", "--resume", run, "--max-time", "3s")
    assert gone_on.code == 75
    assert "going on in epoch" in gone_on.stderr


def test_the_commands_of_the_document_run(genomix, tmp_path):
    import random

    rng = random.Random(0)
    labels = ["ab"[i % 2] for i in range(40)]
    sequences = ["".join(rng.choices("ACGT", weights=(4, 1, 1, 4) if x == "a" else (1, 4, 4, 1), k=90)) for x in labels]
    (tmp_path / "data.fa").write_text("".join(f">q{i}\n{one}\n" for i, one in enumerate(sequences)))
    (tmp_path / "genomes.fa").write_text("".join(f">g{i}\n{one}\n" for i, one in enumerate(sequences)))
    (tmp_path / "labels.tsv").write_text("id\tlabel\n" + "".join(f"q{i}\t{x}\n" for i, x in enumerate(labels)))
    commands = re.findall(r"(?m)^genomix (.+)$", DOCUMENT.read_text())
    assert len(commands) >= 4
    for command in commands:
        extra = ["--max-epochs", 1, "--threads", 1] if command.startswith(("pretrain", "train")) else []
        extra += ["--set", "model.encoder.dim=16"] if command.startswith("pretrain") else []
        extra = [] if "--resume" in command else extra
        done = genomix(*command.split(), *extra, directory=tmp_path)
        assert done.code == 0, (command, done.stderr)
