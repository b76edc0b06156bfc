"""Studies from the command line: what they print and leave, kills, several processes at once, and what is refused."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job_scripts import directives, lines_of, make_script
from tiny import KMER, REAL, TINY, rows_of

SPACE = """\
training.learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
training.label_smoothing: {low: 0.0, high: 0.1}
"""
FIXED = [
    *("--set", "model.stem.base_dim=8", "--set", "model.encoder={dim: 8, hidden_dim: 8, num_layers: 1}"),
    *("--set", "training.batch_bases=8192", "--set", "training.batch_records=16"),
]
LOCAL = REAL[2:]
COLUMNS = ("trial", "state", "f1_macro", "seconds", "epochs", "reason")


@pytest.fixture(scope="module")
def command(data):
    (data.directory / "space.yaml").write_text(SPACE)
    others = (
        "model.pooling",
        "model.head.dropout",
        "training.ema_decay",
        "training.weight_decay",
        "training.mask_fraction",
    )
    space = SPACE + "".join(f"{name}:\n" for name in others)
    (data.directory / "only.yaml").write_text(space)
    return [data.fasta, data.table, *TINY, *FIXED, "--max-epochs", 2, "--space", data.directory / "only.yaml"]


@pytest.fixture(scope="module")
def study(genomix, command, data):
    """A study of three trials, and what was printed. It is shared: copy it to change anything."""
    path = data.directory / "study"
    done = genomix("tune", *command, "-o", path, "--trials", 3)
    assert done.code == 0, done.stderr
    return path, done


@pytest.fixture
def start(environment):
    """Start a study in a process of its own; it is ended in the end."""
    started = []

    def start(*arguments):
        words = [sys.executable, "-m", "genomix", "tune", *map(str, arguments)]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def trials_of(path):
    return rows_of((path / "trials.tsv").read_text())


def limits_of(path):
    """Return how many trials a study has, the time of all, and the time of each."""
    asked = json.loads((path / "study.json").read_text())
    return asked["trials"], asked["budget_s"], asked["training"]["config"]["training"]["budget_s"]


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestStudy:
    def test_what_it_leaves_and_prints(self, study):
        path, done = study
        rows = trials_of(path)
        assert tuple(rows[0])[:6] == COLUMNS
        assert tuple(rows[0])[6:] == ("training.learning_rate", "training.label_smoothing")
        assert [(row["trial"], row["state"], row["epochs"]) for row in rows] == [
            (str(number), "complete", "2") for number in range(3)
        ]
        assert {"best.yaml", "journal.log", "splits.tsv", "study.json", "summary.md", "trials", "trials.tsv"} == {
            file.name for file in path.iterdir()
        }
        assert "split: 21 train, 5 val; 4 test records are put aside" in done.stderr
        assert "3 trials: 3 complete" in done.stderr
        best = max(rows, key=lambda row: float(row["f1_macro"]))
        assert f"best: trial {best['trial']}, f1_macro {float(best['f1_macro']):.4f} on 5 val" in done.stderr
        if best["trial"] == "0":
            assert done.stdout == ""
        else:
            assert re.search(r"training.learning_rate +0.003 +", done.stdout)

    def test_the_best_configuration_trains(self, genomix, study, data, tmp_path):
        run = tmp_path / "run"
        best = study[0] / "best.yaml"
        done = genomix("train", "--config", best, data.fasta, data.table, "-o", run, "--no-checks", *LOCAL)
        assert done.code == 0, done.stderr
        assert (run / "splits.tsv").read_text() == (study[0] / "splits.tsv").read_text()

    def test_going_on_with_more_trials(self, genomix, study, data):
        done = genomix("tune", "--resume", study[0], "--trials", 4, *LOCAL)
        assert done.code == 0, done.stderr
        assert len(trials_of(study[0])) == 4
        again = genomix("tune", "--resume", study[0], *LOCAL)
        assert (again.code, len(trials_of(study[0]))) == (0, 4)

    def test_dry_run_prints_what_space_takes(self, genomix, data, tmp_path):
        done = genomix("tune", "--dry-run", *FIXED, "--set", "training.ema_decay=0.9")
        assert done.code == 0, done.stderr
        assert done.stdout.startswith("# parameters of the network, for 2 classes: ")
        assert "training.ema_decay" not in done.stdout
        (tmp_path / "space.yaml").write_text(done.stdout)
        assert genomix("tune", "--dry-run", *FIXED, "--space", tmp_path / "space.yaml").code == 0

    def test_the_time_of_each_follows_from_that_of_all(self, genomix, data, tmp_path):
        small = [option for option in FIXED if option != "--max-epochs"]
        words = ("--budget", "2s", "--trials", 20, "-o", tmp_path / "study")
        done = genomix("tune", data.fasta, data.table, *TINY, *small, *words)
        assert done.code == 0, done.stderr
        assert "budget_s: 0.1\n" in (tmp_path / "study/best.yaml").read_text()


class TestLimits:
    """What is not stated stays as it was."""

    def test_each_trial_has_the_time_that_was_begun_with(self, genomix, data, tmp_path):
        study = tmp_path / "study"
        whole = ("tune", data.fasta, data.table, *KMER, "--resume", study)
        for words, limits in (
            (("--trials", 2, "--budget", "40s"), (2, 40, 20)),
            (("--trials", 2, "--budget", "40s"), (2, 40, 20)),
            (("--trials", 2, "--budget", "60s"), (2, 60, 20)),
            (("--trials", 3, "--budget", "60s", "--set", "training.budget_s=20"), (3, 60, 20)),
            ((), (3, 60, 20)),
        ):
            done = genomix(*whole, *words)
            assert done.code == 0, done.stderr
            assert limits_of(study) == limits
        assert len(trials_of(study)) == 3
        done = genomix(*whole, "--set", "training.budget_s=30")
        assert (done.code, "training.budget_s: begun with 20.0, now 30.0" in done.stderr) == (2, True)
        done = genomix(*whole, "--set", "training.max_epochs=3")
        assert (done.code, "training.max_epochs: begun with nothing, now 3" in done.stderr) == (2, True)
        assert limits_of(study) == (3, 60, 20)

    def test_none_for_each_stays_none(self, genomix, data, tmp_path):
        study = tmp_path / "study"
        whole = ("tune", data.fasta, data.table, *KMER, "--resume", study)
        for words, limits in ((("--trials", 1), (1, None, None)), (("--budget", "60s"), (1, 60, None))):
            done = genomix(*whole, *words)
            assert done.code == 0, done.stderr
            assert limits_of(study) == limits

    def test_passes_for_each(self, genomix, study, data, tmp_path):
        path = tmp_path / "study"
        shutil.copytree(study[0], path)
        words = (data.fasta, data.table, *TINY, *FIXED, "--space", data.directory / "only.yaml", "--budget", "1h")
        done = genomix("tune", *words, "--resume", path)
        assert done.code == 0, done.stderr
        assert limits_of(path)[1:] == (3600, None)

    def test_the_number_and_the_time_of_all(self, genomix, data, tmp_path):
        study = tmp_path / "study"
        begin = ("tune", data.fasta, data.table, *KMER, "-o", study, "--budget", "0.1s")
        done = genomix(*begin)
        assert done.code == 0, done.stderr
        assert limits_of(study) == (None, 0.1, 0.005)
        for words, limits, holds in (
            (("--trials", 1), (1, 0.1, 0.005), "--budget 0.1s"),
            (("--budget", "0.2s"), (1, 0.2, 0.005), "--trials 1"),
            (("--trials", 2, "--budget", "0.3s"), (2, 0.3, 0.005), None),
            ((), (2, 0.3, 0.005), None),
        ):
            done = genomix("tune", "--resume", study, *words, *LOCAL)
            assert done.code == 0, done.stderr
            assert limits_of(study) == limits
            said = f"--resume {study}: {holds} holds as before"
            assert [line for line in done.stderr.splitlines() if "holds as before" in line] == ([said] if holds else [])


class TestSeveralProcesses:
    def test_a_kill(self, start, genomix, command, tmp_path):
        study = tmp_path / "study"
        process = start(*command, "-o", study, "--trials", 3, "--max-epochs", 80)
        wait_for(study / "trials/1/history.csv", process)
        process.kill()
        process.communicate()
        done = genomix("tune", "--resume", study, *LOCAL)
        assert done.code == 0, done.stderr
        assert "trial 1: its process is gone" in done.stderr
        rows = trials_of(study)
        assert [row["state"] for row in rows if row["state"] != "interrupted"] == ["complete"] * 3
        assert [rows[1]["state"], rows[1]["training.learning_rate"]] == [
            "interrupted",
            rows[2]["training.learning_rate"],
        ]
        assert float(rows[1]["seconds"]) >= 0

    @pytest.mark.parametrize(("name", "code"), [("SIGTERM", 75), ("SIGINT", 130)])
    def test_a_signal(self, start, genomix, command, tmp_path, name, code):
        study = tmp_path / "study"
        process = start(*command, "-o", study, "--trials", 2, "--max-epochs", 200)
        wait_for(study / "trials/0/history.csv", process)
        process.send_signal(getattr(signal, name))
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (code, "")
        assert stderr.splitlines()[-1].startswith(f"genomix: stopped by {name} in epoch ")
        assert stderr.endswith(f"go on with: genomix tune --resume {study}\n")
        if name == "SIGTERM":
            done = genomix("tune", "--resume", study, "--trials", 1, *LOCAL)
            assert done.code == 0, done.stderr
            assert [row["state"] for row in trials_of(study)] == ["interrupted", "complete"]
            assert "no trial was better than the preset's own settings" in done.stderr

    def test_two_at_once_make_the_trials_together(self, start, command, tmp_path):
        """Both begin by the same command; that of the array of a batch system."""
        study = tmp_path / "study"
        words = (*command, "--resume", study, "--trials", 8, "--max-epochs", 12)
        processes = [start(*words), start(*words)]
        said = [process.communicate(timeout=120)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        rows = trials_of(study)
        assert [row["trial"] for row in rows] == [str(number) for number in range(8)]
        assert {row["state"] for row in rows} <= {"complete", "pruned"}
        assert len({row["training.learning_rate"] for row in rows}) == 8
        done_by = [sorted(re.findall(r"trial (\d+): (?:complete|pruned)", text), key=int) for text in said]
        assert sorted(done_by[0] + done_by[1], key=int) == [str(number) for number in range(8)]
        assert all(done_by)


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--set", "training.learning_rat=1"], "training.learning_rat: there is no such key"),
            (["--trials", "0"], "Invalid value for '--trials'"),
            (["--budget", "soon"], "--budget 'soon' is not a duration"),
            (["--model", "kmer", "--max-epochs", "3"], "do not apply to kmer"),
            (
                ["--set", "training.learning_rate=0.1", "--space", "space.yaml"],
                "space.yaml: training.learning_rate: is",
            ),
            (["--resume", "x", "--force"], "leave out --out and --force"),
        ],
    )
    def test_options(self, genomix, data, words, said, command):
        done = genomix("tune", data.fasta, data.table, *words, directory=data.directory)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr
        assert not (data.directory / "x").exists()

    def test_an_unknown_key_in_the_space_before_any_trial(self, genomix, data, tmp_path):
        (tmp_path / "bad.yaml").write_text("model.encoder.hiden_dim: {low: 8, high: 16}\n")
        done = genomix("tune", data.fasta, data.table, "-o", "study", "--space", "bad.yaml", directory=tmp_path)
        assert done.code == 2
        assert "bad.yaml: model.encoder.hiden_dim: there is no such key; did you mean 'hidden_dim'?" in done.stderr
        assert not (tmp_path / "study").exists()

    @pytest.mark.parametrize(
        "key", ["model.head.dropuot", "model.hed.dropout", "model.encoder.num_heads", "training.learning_rate.x"]
    )
    def test_a_key_that_is_left_out_is_read_as_one_with_a_range(self, genomix, tmp_path, key):
        for name, stated in (("range", "{low: 1, high: 2}"), ("null", "null")):
            (tmp_path / name).mkdir()
            (tmp_path / name / "space.yaml").write_text(f"training.clip_norm: {{low: -1, high: 2}}\n{key}: {stated}\n")
        words = ("tune", "--dry-run", "--space", "space.yaml")
        one, other = (genomix(*words, directory=tmp_path / name) for name in ("range", "null"))
        assert (one.code, other.code) == (2, 2)
        assert "there is no such key" in one.stderr
        assert one.stderr == other.stderr
        assert "space.yaml: training.clip_norm: " in other.stderr

    @pytest.mark.parametrize("stem", ["{widths: [5]}", "null"])
    @pytest.mark.parametrize("key", ["training.clip_norm", "model.stem.base_dim", "model.stem", "model.head.dropout"])
    def test_a_key_that_may_be_left_out(self, genomix, tmp_path, key, stem):
        (tmp_path / "space.yaml").write_text(f"{key}:\n")
        (tmp_path / "config.yaml").write_text(f"model: {{stem: {stem}, embedding: {{dim: 64}}}}\n")
        words = ("--space", "space.yaml", "--config", "config.yaml")
        done = genomix("tune", "--dry-run", *words, directory=tmp_path)
        assert done.code == 0, done.stderr
        assert not [line for line in done.stdout.splitlines() if line.startswith(key)]

    def test_resume(self, genomix, study, command, data, tmp_path):
        done = genomix("tune", "--resume", tmp_path / "none")
        assert (done.code, "no study was begun there" in done.stderr) == (2, True)
        done = genomix("tune", "--resume", study[0], "--seed", 3)
        assert (done.code, "goes on as it was begun" in done.stderr) == (2, True)
        done = genomix("tune", "--resume", study[0], *command, "--seed", 3)
        assert (done.code, "training.seed: begun with 0, now 3" in done.stderr) == (2, True)
        (tmp_path / "file").write_text("")
        done = genomix("tune", "--resume", tmp_path, *command)
        assert (done.code, "holds no study that could be gone on with" in done.stderr) == (73, True)

    def test_what_is_there_is_kept(self, genomix, study, command):
        before = {path: path.read_bytes() for path in study[0].rglob("*") if path.is_file()}
        done = genomix("tune", *command, "-o", study[0])
        assert (done.code, "is not empty" in done.stderr) == (73, True)
        assert before == {path: path.read_bytes() for path in study[0].rglob("*") if path.is_file()}

    def test_all_trials_fail(self, genomix, data, tmp_path):
        words = ("--set", "model.encoder.hidden_dim=100000000000", "--trials", 2, "-o", tmp_path / "study")
        done = genomix("tune", data.fasta, data.table, *TINY, *words)
        assert done.code == 2
        assert "none of 2 trials came to a result: " in done.stderr
        assert "Traceback" not in done.stderr


class TestJobs:
    def test_one(self, genomix, tmp_path):
        script = make_script(genomix, tmp_path, "tune", "my data.fa", "it's.tsv", "--trials", 9)
        line = shlex.join(["genomix", "tune", "my data.fa", "it's.tsv", "--trials", "9", "--resume", "study"])
        assert f"work=({line})" in lines_of(script)
        assert "--job-name=genomix-tune" in directives(script)

    def test_an_array(self, genomix, tmp_path):
        words = ("tune", "my data.fa", "it's.tsv", "--resume", "my study")
        script = make_script(genomix, tmp_path, "--array", 4, "--at-once", 2, *words)
        assert "--array=1-4%2" in directives(script)
        line = f"work=({shlex.join(['genomix', *words])})"
        assert [found.strip() for found in lines_of(script) if "work=(" in found] == [line, line]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["tune", "x.fa", "-o", "study"], "name the study by --resume"),
            (["tune", "x.fa", "--force"], "name the study by --resume"),
            (["tune", "x.fa", "--dry-run"], "nothing is computed"),
            (["tune", "-"], "no stdin"),
            (["--nodes", "2", "tune", "x.fa"], "genomix tune runs in one process"),
        ],
    )
    def test_refusals(self, genomix, tmp_path, words, said):
        done = genomix("slurm", *words, directory=tmp_path)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr


def test_the_command_line_starts_without_optuna(environment):
    words = "import sys, genomix.cli.main; sys.exit(any(name in sys.modules for name in ('optuna', 'torch')))"
    assert subprocess.run([sys.executable, "-c", words], env=environment).returncode == 0


def test_the_document(genomix, data, tmp_path):
    """Its commands, as they stand, on other data and with less work."""
    text = (Path(__file__).parents[2] / "docs" / "tune.md").read_text()
    lines = [line for block in text.split("```")[1::2] for line in block.splitlines()]
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if "genomix " in line[:10]]
    commands = [words[: words.index(">")] if ">" in words else words for words in commands]
    tuned = [words for words in commands if words[1] == "tune"]
    assert len(tuned) >= 4
    for words in tuned:
        done = genomix(*words[1:], "--dry-run", directory=tmp_path)
        assert done.code == 0, done.stderr
        if "--dry-run" in words:
            assert done.stdout in text
    (job,) = [words for words in commands if words[1] == "slurm"]
    assert make_script(genomix, tmp_path, *job[2:]).read_text().startswith("#!/bin/bash")
    space = text.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "space.yaml").write_text(space)
    done = genomix("tune", "--dry-run", "--space", tmp_path / "space.yaml")
    assert "model.stem.widths: {choices: [[9, 5, 5], [15, 7, 7]]}" in done.stdout
