"""Training from the command line: every way in, and what a run directory holds."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from safetensors.numpy import load_file
from tiny import KMER, TINY, rows_of, to_fasta, to_table

from genomix.config import make_config

FILES = {
    "config.yaml",
    "model.safetensors",
    "meta.json",
    "splits.tsv",
    "history.csv",
    "metrics.json",
    "predictions.tsv",
    "train.log",
}
QUICK = KMER
SEARCHED = ("--model", "kmer", "--threads", "1")
"""What `kmer_run` is trained with."""


@pytest.fixture
def train(genomix, tmp_path):
    """Train into a new directory, a k-mer model unless something else is said; return the directory and the outcome."""

    def train(*arguments, options=QUICK, code=0, **ways):
        out = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        done = genomix("train", *arguments, "-o", out, *options, **ways)
        assert done.code == code, done.stderr
        return out, done

    return train


def labels_in(run):
    return {row["id"]: row["label"] for row in rows_of((run / "splits.tsv").read_text())}


class TestWaysIn:
    def test_a_table_of_labels_after_the_sequences(self, kmer_run, data):
        assert labels_in(kmer_run) == data.labels

    def test_a_table_of_labels_as_an_option(self, train, data):
        assert labels_in(train(data.fasta, "--labels", data.table)[0]) == data.labels

    def test_labels_in_the_headers(self, train, data):
        assert labels_in(train(data.fasta, "--label-regex", r"class=(\w+)")[0]) == data.labels

    def test_a_file_of_each_class(self, train, data, tmp_path):
        options = []
        for label in set(data.labels.values()):
            own = {name: sequence for name, sequence in data.sequences.items() if data.labels[name] == label}
            (tmp_path / f"{label}.fa").write_text(to_fasta(own))
            options += ["--class", f"{label}={tmp_path / label}.fa"]
        assert labels_in(train(*options)[0]) == data.labels

    def test_a_table_with_sequences_and_labels(self, train, data, tmp_path):
        rows = [f"{name},{data.labels[name]},{sequence}\n" for name, sequence in data.sequences.items()]
        (tmp_path / "data.csv").write_text("id,label,sequence\n" + "".join(rows))
        assert labels_in(train(tmp_path / "data.csv")[0]) == data.labels

    def test_fastq(self, train, data, tmp_path):
        reads = "".join(f"@{name}\n{letters}\n+\n{'I' * len(letters)}\n" for name, letters in data.sequences.items())
        (tmp_path / "reads.fq").write_text(reads)
        assert labels_in(train(tmp_path / "reads.fq", data.table)[0]) == data.labels

    def test_gzip_under_any_name(self, train, data, tmp_path):
        (tmp_path / "data").write_bytes(gzip.compress(data.fasta.read_bytes()))
        (tmp_path / "labels").write_bytes(gzip.compress(data.table.read_bytes()))
        assert labels_in(train(tmp_path / "data", tmp_path / "labels")[0]) == data.labels

    def test_a_directory_of_sequences(self, train, data, tmp_path):
        (tmp_path / "many").mkdir()
        for name, sequence in data.sequences.items():
            (tmp_path / "many" / f"{name}.fa").write_text(to_fasta({name: sequence}))
        assert labels_in(train(tmp_path / "many", data.table)[0]) == data.labels

    def test_stdin_is_as_good_as_a_file(self, train, data, kmer_run):
        out, _ = train("-", data.table, stdin=data.fasta.read_bytes(), options=SEARCHED)
        assert (out / "model.safetensors").read_bytes() == (kmer_run / "model.safetensors").read_bytes()

    def test_a_split_column_is_kept(self, train, data, tmp_path):
        splits = {name: ("train", "val", "test")[number // 4 % 3] for number, name in enumerate(data.labels)}
        rows = "".join(f"{name}\t{label}\t{splits[name]}\n" for name, label in data.labels.items())
        (tmp_path / "labels.tsv").write_text("id\tlabel\tsplit\n" + rows)
        out, _ = train(data.fasta, tmp_path / "labels.tsv")
        assert {row["id"]: row["split"] for row in rows_of((out / "splits.tsv").read_text())} == splits

    def test_the_splits_of_a_run_are_labels_also_where_copies_were_left_out(self, train, data, tmp_path):
        names = list(data.labels)
        parts = ["train"] * 12 + ["val"] * 12 + ["test"] * 6
        table = ["id\tlabel\tsplit", *map("\t".join, zip(names, data.labels.values(), parts, strict=True))]
        (tmp_path / "labels.tsv").write_text("\n".join(table) + "\n")
        copied = data.sequences | {names[12]: data.sequences[names[0]]}
        (tmp_path / "data.fa").write_text(to_fasta(copied))
        first, _ = train(tmp_path / "data.fa", tmp_path / "labels.tsv")
        found = {row["id"]: row["split"] for row in rows_of((first / "splits.tsv").read_text())}
        assert found == dict(zip(names, parts, strict=True)) | {names[12]: "unused"}
        second, _ = train(tmp_path / "data.fa", first / "splits.tsv")
        third, _ = train(tmp_path / "data.fa", tmp_path / "labels.tsv", "--splits", first / "splits.tsv")
        for name in ("splits.tsv", "model.safetensors", "predictions.tsv"):
            assert (second / name).read_bytes() == (third / name).read_bytes() == (first / name).read_bytes()
        assert "1 unused" in (second / "report.html").read_text()

    def test_what_has_no_partner_is_left_out_when_asked(self, train, data, tmp_path):
        labels = {name: label for name, label in data.labels.items() if name != "r0"} | {"r99": "phage"}
        (tmp_path / "labels.tsv").write_text(to_table(labels))
        out, done = train(data.fasta, tmp_path / "labels.tsv", "--on-missing", "skip")
        assert labels_in(out).keys() == data.labels.keys() - {"r0"}
        assert "1 of 30 records have no label and are left out" in done.stderr
        assert "1 labels have no record and are left out" in done.stderr

    @pytest.mark.parametrize(("on_invalid", "kept"), [("skip", False), ("mask", True)])
    def test_bad_records_are_left_out_or_masked_when_asked(self, train, data, tmp_path, on_invalid, kept):
        (tmp_path / "data.fa").write_text(to_fasta(data.sequences | {"r0": "ACGTXACGT"}))
        out, done = train(tmp_path / "data.fa", data.table, "--on-invalid", on_invalid)
        assert ("r0" in labels_in(out)) == kept
        assert f"--on-invalid {on_invalid}" in done.stderr


class TestRunDirectory:
    def test_a_network_leaves_all_files(self, run):
        assert {path.name for path in run.iterdir()} >= FILES

    def test_a_kmer_model_leaves_all_but_the_history(self, kmer_run):
        assert {path.name for path in kmer_run.iterdir()} >= FILES - {"history.csv"}

    def test_what_the_kmer_baseline_was_chosen_among_is_written(self, kmer_run, run):
        rows = rows_of((kmer_run / "baseline.tsv").read_text())
        assert [row["chosen"] for row in rows].count("yes") == 1
        said = f"chosen among {len(rows)} on the validation records by f1_macro"
        assert said in (kmer_run / "train.log").read_text()
        assert (run / "baseline.tsv").exists()  # whatever is stated beside its network
        model = yaml.safe_load((kmer_run / "config.yaml").read_text())["model"]
        own = next(row for row in rows_of((kmer_run / "baseline.tsv").read_text()) if row["chosen"] == "yes")
        assert [str(model[name]) for name in ("k", "strands", "classifier")] == [
            own[name] for name in ("k", "strands", "classifier")
        ]

    def test_history_has_a_row_for_each_epoch(self, run):
        rows = rows_of((run / "history.csv").read_text(), ",")
        assert [row["epoch"] for row in rows] == ["1", "2"]
        assert float(rows[-1]["val_log_loss"]) > 0

    def test_metrics_of_the_model_stand_beside_the_baselines(self, run):
        stated = json.loads((run / "metrics.json").read_text())
        assert stated["split"] == "test"
        assert set(stated["baselines"]) == {"network", "kmer", "majority"}

    def test_predictions_are_of_the_held_out_records(self, run):
        held_out = [row["id"] for row in rows_of((run / "splits.tsv").read_text()) if row["split"] == "test"]
        assert [row["id"] for row in rows_of((run / "predictions.tsv").read_text())] == held_out

    def test_meta_tells_where_the_model_comes_from(self, run, data):
        meta = json.loads((run / "meta.json").read_text())
        assert meta["classes"] == sorted(set(data.labels.values()))
        assert str(data.fasta) in meta["command"]
        assert set(meta["inputs"]) == {"sequences", "labels"}

    def test_the_log_has_what_was_said(self, run):
        log = (run / "train.log").read_text()
        assert "30 records" in log
        assert "epoch 2/2" in log

    def test_nothing_of_an_unfinished_write_is_left(self, run):
        assert not list(run.glob(".*"))


class TestConfiguration:
    @pytest.fixture
    def exact(self, train, data):
        options = ("--max-epochs", 1, *TINY, "--deterministic", "--no-baselines", "--seed", 7)
        return train(data.fasta, data.table, options=options)[0]

    def test_the_resolved_one_trains_the_same_model_again(self, exact, train, data):
        again, _ = train(data.fasta, data.table, "--config", exact / "config.yaml", options=("--threads", 1))
        assert (again / "model.safetensors").read_bytes() == (exact / "model.safetensors").read_bytes()
        assert (again / "config.yaml").read_text() == (exact / "config.yaml").read_text()

    def test_it_leaves_nothing_open_that_training_decides(self, run):
        training = yaml.safe_load((run / "config.yaml").read_text())["training"]
        decided = ("max_epochs", "batch_bases", "patience", "validate_every")
        assert all(training[name] is not None for name in decided)

    def test_flags_win_over_settings_and_settings_over_files(self, train, data, tmp_path):
        (tmp_path / "c.yaml").write_text("preset: kmer\nmodel:\n  k: 2\ntraining:\n  seed: 1\n")
        settings = ["--set", "model.k=3", "--set", "training.seed=2", "--seed", 3]
        out, _ = train(data.fasta, data.table, "-c", tmp_path / "c.yaml", *settings, options=("--threads", 1))
        config = make_config(path=out / "config.yaml")
        assert (config.model.k, config.training.seed) == (3, 3)

    def test_a_run_directory_is_a_preset(self, train, data, kmer_run):
        out, _ = train(data.fasta, data.table, options=("--model", kmer_run, "--threads", 1))
        assert (out / "model.safetensors").read_bytes() == (kmer_run / "model.safetensors").read_bytes()

    def test_it_is_said_that_weights_are_not_used(self, train, data, kmer_run, tmp_path):
        said = "its weights are not used"
        for named in (kmer_run, kmer_run / "config.yaml"):
            _, done = train(data.fasta, data.table, options=("--model", named, "--threads", 1))
            assert done.stderr.count(f"configuration of {named}; {said}") == 1
        (tmp_path / "bare").mkdir()
        shutil.copy(kmer_run / "config.yaml", tmp_path / "bare")
        for named in ("kmer", tmp_path / "bare"):
            assert said not in train(data.fasta, data.table, options=("--model", named, "--threads", 1))[1].stderr

    @pytest.mark.parametrize("classes", ["weighted", "sampled"])
    def test_rare_classes(self, train, data, classes):
        options = ("--classes", classes, "--max-epochs", 1, *TINY, "--no-baselines")
        out, _ = train(data.fasta, data.table, options=options)
        assert make_config(path=out / "config.yaml").training.classes == classes

    def test_forward_strand_only(self, train, data):
        options = ("--strands", "forward", "--max-epochs", 1, *TINY, "--no-baselines")
        config = make_config(path=train(data.fasta, data.table, options=options)[0] / "config.yaml")
        assert not config.training.reverse_complement
        assert config.prediction.strands == "forward"


class TestManners:
    def test_stdout_has_the_comparison_and_nothing_else(self, train, data):
        _, done = train(data.fasta, data.table)
        assert "held-out records" in done.stdout
        assert "split: " not in done.stdout
        assert "split: " in done.stderr

    def test_quiet_says_nothing_on_stderr(self, train, data):
        _, done = train(data.fasta, data.table, "--quiet", "--no-checks")  # what checks find is a warning
        assert done.stderr == ""

    def test_force_replaces_a_run(self, genomix, data, kmer_run, tmp_path):
        out = shutil.copytree(kmer_run, tmp_path / "run")
        (out / "model.safetensors").write_bytes(b"")
        done = genomix("train", data.fasta, data.table, "-o", out, *SEARCHED, "--force")
        assert done.code == 0
        assert (out / "model.safetensors").read_bytes() == (kmer_run / "model.safetensors").read_bytes()

    def test_a_fresh_process_trains_the_same(self, genomix_apart, data, kmer_run, tmp_path):
        done = genomix_apart("train", data.fasta, data.table, "-o", tmp_path / "run", *QUICK)
        assert done.code == 0, done.stderr
        assert (
            load_file(tmp_path / "run" / "model.safetensors").keys() == load_file(kmer_run / "model.safetensors").keys()
        )


@pytest.fixture(scope="module")
def rehearsed(genomix, data, run):
    """What a dry run prints beside the run directory that the training itself has made, which it must not touch."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*")}
    done = genomix("train", data.fasta, data.table, "-o", run, "--max-epochs", 2, *TINY, "--dry-run")
    assert done.code == 0, done.stderr
    assert done.stderr == ""
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*")} == before
    return done.stdout


def facts_of(stdout):
    return dict(line.split(": ", 1) for line in stdout.splitlines() if not line.startswith("decided "))


class TestDryRun:
    def test_it_decides_what_the_training_does(self, rehearsed, run):
        log = (run / "train.log").read_text().splitlines()
        said = [line.split(" INFO ")[1] for line in log if "INFO decided " in line]
        assert said
        assert [line for line in rehearsed.splitlines() if line.startswith("decided ")] == said

    def test_it_counts_what_the_training_does(self, rehearsed, run):
        facts = facts_of(rehearsed)
        splits = [row["split"] for row in rows_of((run / "splits.tsv").read_text())]
        assert facts["records"] == ", ".join(f"{splits.count(part)} {part}" for part in ("train", "val", "test"))
        beside = 2 * (32 + 1)  # of the 32 canonical 3-mers, for either class
        network = json.loads((run / "meta.json").read_text())["num_parameters"] - beside
        assert facts["network"] == f"{network} parameters"
        last = rows_of((run / "history.csv").read_text(), ",")[-1]
        assert facts["steps"] == f"{int(last['step']) // int(last['epoch'])} an epoch, at most 2 epochs"
        assert facts["batch"].startswith(f"at most {splits.count('train') * 64} bp at once, ")

    def test_it_says_what_it_finds_in_this_order(self, rehearsed):
        facts = ["records", "network", "steps", "batch", "memory", "available"]
        assert list(facts_of(rehearsed)) == ["undecided training.reverse_complement", *facts]

    def test_the_memory_is_the_sum_of_its_parts(self, rehearsed):
        facts = facts_of(rehearsed)
        pattern = r"(\d+) MiB at most on cpu \(process (\d+), batch (\d+), optimiser (\d+)\)"
        total, *parts = map(int, re.fullmatch(pattern, facts["memory"]).groups())
        assert total == pytest.approx(sum(parts), abs=2)
        assert parts[0] > 50
        assert int(facts["available"].removesuffix(" MiB")) > 0

    def test_small_batches_are_those_of_the_training(self, genomix, train, data, tmp_path):
        options = ("--batch-records", 4, "--batch-bases", 150, "--max-epochs", 1, *TINY, "--no-baselines")
        done = genomix("train", data.fasta, data.table, *options, "--dry-run", directory=tmp_path)
        assert not any(tmp_path.iterdir())
        facts = facts_of(done.stdout)
        out, _ = train(data.fasta, data.table, options=options)
        (row,) = rows_of((out / "history.csv").read_text(), ",")
        assert facts["steps"] == f"{row['step']} an epoch, at most 1 epochs"
        assert int(row["step"]) > 1
        assert facts["batch"].startswith("at most 128 bp at once, ")

    def test_a_kmer_model_has_nothing_to_estimate(self, genomix, data, tmp_path):
        done = genomix("train", data.fasta, data.table, *QUICK, "--dry-run", directory=tmp_path)
        assert done.code == 0, done.stderr
        assert not any(tmp_path.iterdir())
        facts = facts_of(done.stdout)
        assert list(facts) == ["records", "memory"]
        assert facts["memory"] == "this model is not trained in steps; nothing to estimate"

    def test_a_fresh_process_prints_the_same_and_writes_nothing(self, genomix_apart, data, rehearsed, tmp_path):
        options = ("--max-epochs", 2, *TINY, "--dry-run")
        done = genomix_apart("train", data.fasta, data.table, *options, directory=tmp_path)
        assert done.code == 0, done.stderr
        assert done.stderr == ""
        assert not any(tmp_path.iterdir())
        fixed, found = (
            [line for line in text.splitlines() if not line.startswith(("batch", "memory", "available"))]
            for text in (rehearsed, done.stdout)
        )
        assert found == fixed


def test_interrupted_training_leaves_the_best_model_so_far(genomix, environment, data, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "genomix",
        "train",
        data.fasta,
        data.table,
        "-o",
        out,
        *TINY,
        "--max-epochs",
        "9999",
    ]
    with subprocess.Popen(
        [*map(str, command), "--set", "training.patience=9999"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        wait_for(out / "meta.json", training)  # the last file of a model
        os.kill(training.pid, signal.SIGINT)
        _, stderr = training.communicate(timeout=60)
    assert training.returncode == 130, stderr
    assert stderr.splitlines()[-1].startswith("genomix: stopped by SIGINT in epoch")
    assert stderr.endswith(f"go on with: genomix train --resume {out}\n")
    assert "Traceback" not in stderr
    assert not list(out.glob(".*"))
    predicted = genomix("predict", out, data.fasta, "--threads", 1)
    assert predicted.code == 0, predicted.stderr
    assert len(rows_of(predicted.stdout)) == len(data.sequences)


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
