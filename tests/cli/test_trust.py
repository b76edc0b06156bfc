"""Predicting and evaluating with several models, abstentions, sets of labels and doubts, from the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import rows_of, to_fasta, to_table

from genomix.checkpoint import Lengths, Meta, Model, save_calibration, save_model
from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.data.reference_fit import make_reference
from genomix.metrics.calibration import calibrate
from genomix.scoring import Ensemble, fit_calibration, make_scorer
from genomix.train.kmer import fit_kmer

ONE_THREAD = ("--threads", "1", "--device", "cpu")
TRAIN, VAL, TEST = np.arange(14), np.arange(14, 26), np.arange(26, 30)
USAGE, BAD_DATA, NO_INPUT = 2, 65, 66


def make_run(path, records, k, classes=None):
    """Train a k-mer model, calibrate it, and write it as training does, without its tables of results."""
    config = make_config("kmer", overrides={"model.k": k})
    learnt = records.indices[TRAIN], records.targets[TRAIN]
    lengths = records.lengths[TRAIN]
    meta = Meta(
        classes=classes or records.classes,
        train_lengths=Lengths(min=lengths.min(), median=int(np.median(lengths)), max=lengths.max()),
        num_parameters=1,
        created="2026-01-01T00:00:00+00:00",
        versions={},
        inputs={},
        command=[],
        training={},
    )
    model = Model(fit_kmer(config.model, records.store, *learnt, 2, 0), config, meta, path)
    scored = make_scorer(model).score(records.store.tokens(row) for row in records.indices[VAL].tolist())
    # So few records, on which the model is right, would give the temperature 1, which nobody could see applied.
    model.calibration = calibrate(np.stack(list(scored)), records.targets[VAL], temperature=1.5, chose_epoch=False)
    model.reference = make_reference(records.store, records.indices[TRAIN], records.indices[VAL])
    path.mkdir(parents=True)
    save_model(model)
    split = {row: name for name, rows in (("train", TRAIN), ("val", VAL), ("test", TEST)) for row in rows.tolist()}
    lines = [f"{name}\t{records.labels[row]}\t{split[row]}\n" for row, name in enumerate(records.ids)]
    (path / "splits.tsv").write_text("id\tlabel\tsplit\n" + "".join(lines))
    return model


@pytest.fixture(scope="module")
def records(data):
    return load_labelled([str(data.fasta)], str(data.table), warn=lambda _: None)


@pytest.fixture(scope="module")
def one(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "run"
    make_run(path, records, 2)
    return path


@pytest.fixture(scope="module")
def several(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "runs"
    members = [make_run(path / f"member-{number}", records, k) for number, k in ((1, 2), (2, 3), (3, 1))]
    ensemble = Ensemble([make_scorer(member) for member in members])
    rows, targets = records.indices[VAL].tolist(), records.targets[VAL]
    save_calibration(path, fit_calibration(ensemble, records.store, rows, targets))
    return path


@pytest.fixture
def predict(genomix):
    def predict(*arguments):
        done = genomix("predict", *arguments, *ONE_THREAD)
        assert done.code == 0, done.stderr
        return rows_of(done.stdout)

    return predict


@pytest.fixture
def evaluate(genomix):
    def evaluate(*arguments):
        done = genomix("evaluate", *arguments, "--json", *ONE_THREAD)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate


def sureness(row):
    return float(row["probability_phage"])


def limit_for(num_abstained, rows):
    """Return a probability that so many rows are below, away from any of the rounded ones."""
    below, above = sorted(float(row["confidence"]) for row in rows)[num_abstained - 1 : num_abstained + 1]
    return (below + above) / 2


class TestCalibration:
    def test_it_is_applied_and_said_and_can_be_left_out(self, genomix, predict, one, data):
        calibration = json.loads((one / "calibration.json").read_text())
        calibrated, plain = predict(one, data.fasta), predict(one, data.fasta, "--no-calibration")
        for row, other in zip(calibrated, plain, strict=True):
            odds = np.log(sureness(other) / (1 - sureness(other))) / calibration["temperature"]
            assert sureness(row) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-3)
            assert row["label"] == other["label"]
        assert max(abs(sureness(row) - sureness(other)) for row, other in zip(calibrated, plain, strict=True)) > 0.001
        said = genomix("predict", one, data.fasta, *ONE_THREAD).stderr
        assert f"calibrated (temperature {calibration['temperature']:.3g} from 12 validation records)" in said
        assert "not calibrated\n" in genomix("predict", one, data.fasta, "--no-calibration", *ONE_THREAD).stderr

    def test_older_models_work_and_say_that_they_are_not(self, genomix, predict, one, data, tmp_path):
        old = tmp_path / "old"
        shutil.copytree(one, old)
        for name in ("calibration.json", "reference.safetensors"):
            (old / name).unlink()
        rows = predict(old, data.fasta)
        assert [row["confidence"] for row in rows] == [
            row["confidence"] for row in predict(one, data.fasta, "--no-calibration")
        ]
        assert "there is no calibration.json" in genomix("predict", old, data.fasta, *ONE_THREAD).stderr
        done = genomix("predict", old, data.fasta, "--coverage", "0.8", *ONE_THREAD)
        assert (done.code, done.stdout) == (USAGE, "")
        assert "has no calibration.json, which training writes; train it again" in done.stderr

    def test_a_damaged_one_can_be_left_out(self, genomix, predict, one, data, tmp_path):
        broken = break_run(one, tmp_path, "calibration.json", b"{")
        assert predict(broken, data.fasta, "--no-calibration") == predict(one, data.fasta, "--no-calibration")
        assert "--no-calibration" in genomix("predict", broken, data.fasta, *ONE_THREAD).stderr

    def test_evaluation_can_leave_it_out(self, evaluate, one, data):
        losses = [evaluate(one, data.fasta, data.table, *more)["metrics"] for more in ((), ("--no-calibration",))]
        assert losses[0]["values"]["log_loss"] != losses[1]["values"]["log_loss"]
        assert losses[0]["confusion"] == losses[1]["confusion"]


class TestAbstaining:
    def test_rows_stay_without_a_label(self, predict, one, data):
        plain = predict(one, data.fasta)
        limit = limit_for(9, plain)
        rows = predict(one, data.fasta, "--min-confidence", limit)
        assert [row["id"] for row in rows] == list(data.sequences)
        abstained = [row for row in rows if "abstained" in row["status"]]
        assert len(abstained) == 9
        for row, before in zip(rows, plain, strict=True):
            assert sureness(row) == sureness(before)
            if row in abstained:
                assert row["label"] == ""
                assert f"best guess {before['label']}, probability {float(before['confidence']):.3f}" in row["note"]
            else:
                assert row == before

    def test_summary_counts_them(self, genomix, one, data):
        said = genomix("predict", one, data.fasta, "--min-confidence", 1, *ONE_THREAD).stderr
        assert "flagged: abstained 30" in said
        assert "phage " not in said

    def test_evaluation_measures_the_answered_beside_all(self, genomix, evaluate, one, data, tmp_path):
        table = tmp_path / "pred.csv"
        limit = limit_for(9, rows_of(predict_csv(genomix, one, data, table), ","))
        found = evaluate(one, data.fasta, data.table, "--min-confidence", limit)
        plain = evaluate(one, data.fasta, data.table)
        assert found["metrics"] == plain["metrics"]
        assert plain["answered"] is plain["coverage"] is None
        assert (found["answered"]["num_records"], found["answered"]["num_answered"]) == (30, 21)
        assert found["answered"]["share"] == pytest.approx(0.7)
        assert found["answered"]["accuracy"] == 1
        by_table = evaluate("--predictions", table, data.table, "--min-confidence", limit)
        assert by_table["answered"] == found["answered"]
        predict_csv(genomix, one, data, table, "--min-confidence", limit)
        with_abstentions = evaluate("--predictions", table, data.table)["answered"]
        assert with_abstentions == found["answered"] | {"min_confidence": None}

    def test_tables_for_people_say_it(self, genomix, one, data):
        done = genomix("evaluate", one, data.fasta, data.table, "--min-confidence", 0, "--coverage", 0.8, *ONE_THREAD)
        assert (
            "answered (probability 0 or more): 30 of 30 records (100.0%), accuracy on these 1.000 (0.8" in done.stdout
        )
        assert "sets of labels, 0.8 asked for: 1.000 hold the right one (0.884 to 1.000), 1.00 labels" in done.stdout


def predict_csv(genomix, run, data, table, *more):
    done = genomix("predict", run, data.fasta, "-o", table, "--force", *more, *ONE_THREAD)
    assert done.code == 0, done.stderr
    return table.read_text()


class TestCoverage:
    def test_sets_hold_the_label_and_more_with_more_coverage(self, predict, one, data):
        rows = predict(one, data.fasta, "--coverage", 0.6)
        assert list(rows[0])[6:] == ["label_set", "status", "note"]
        for row in rows:
            assert row["label_set"].split(";")[0] == row["label"]
            assert set(row["label_set"].split(";")) <= {"phage", "plasmid"}

    def test_evaluation_measures_them(self, genomix, evaluate, one, data, tmp_path):
        found = evaluate(one, data.fasta, data.table, "--coverage", 0.9)["coverage"]
        assert (found["stated"], found["num_records"]) == (0.9, 30)
        assert found["found"] >= 0.9
        assert 1 <= found["mean_size"] <= 2
        predict_csv(genomix, one, data, tmp_path / "pred.csv", "--coverage", 0.9)
        by_table = evaluate("--predictions", tmp_path / "pred.csv", data.table)["coverage"]
        assert by_table == found | {"stated": None}

    def test_they_are_written_with_the_evaluation(self, evaluate, one, data, tmp_path):
        evaluate(one, data.fasta, data.table, "--coverage", 0.9, "-o", tmp_path / "out")
        assert "label_set" in rows_of((tmp_path / "out" / "predictions.tsv").read_text())[0]
        assert json.loads((tmp_path / "out" / "metrics.json").read_text())["coverage"]["stated"] == 0.9


class TestUnlikeTraining:
    def test_foreign_records_are_told_and_nothing_depends_on_the_neighbours(self, predict, one, data, tmp_path):
        foreign = {"repeat": "AC" * 80, "r3": data.sequences["r3"]}
        (tmp_path / "new.fa").write_text(to_fasta(foreign))
        repeat, known = predict(one, tmp_path / "new.fa")
        assert (repeat["status"], known["status"]) == ("unlike_training", "ok")
        assert "its composition lies" in repeat["note"]
        assert known == predict(one, data.fasta)[3]


class TestSeveral:
    def test_the_directory_and_its_members_give_the_mean_by_hand(self, predict, several, data):
        members = sorted(several.glob("member-*"))
        apart = np.array([[sureness(row) for row in predict(member, data.fasta)] for member in members])
        rows = predict(several, data.fasta)
        assert rows == predict(*members, data.fasta)
        np.testing.assert_allclose([sureness(row) for row in rows], apart.mean(axis=0), atol=2e-6)
        found = [float(row["deviation_phage"]) for row in rows]
        np.testing.assert_allclose(found, apart.std(axis=0), atol=2e-6)
        assert list(rows[0])[6:8] == ["deviation_phage", "deviation_plasmid"]
        assert [row["id"] for row in rows] == list(data.sequences)

    def test_stdin_is_read_once(self, genomix, several, data):
        by_stdin = genomix("predict", several, "-", *ONE_THREAD, stdin=data.fasta.read_bytes())
        assert by_stdin.stdout == genomix("predict", several, data.fasta, *ONE_THREAD).stdout

    def test_the_directory_has_sets_and_its_members_none(self, genomix, predict, several, data):
        rows = predict(several, data.fasta, "--coverage", 0.9)
        assert {row["label_set"] for row in rows} >= {"phage", "plasmid"}
        done = genomix("predict", *sorted(several.glob("member-*")), data.fasta, "--coverage", 0.9, *ONE_THREAD)
        assert (done.code, done.stdout) == (USAGE, "")
        assert "have no calibration.json of their mean; name a directory that holds several runs" in done.stderr

    def test_evaluation_takes_them_too(self, evaluate, several, data):
        found = evaluate(several, data.fasta, data.table, "--coverage", 0.9)
        assert found["model"] == str(several)
        by_members = evaluate(*sorted(several.glob("member-*")), data.fasta, data.table)
        assert by_members["metrics"] == found["metrics"]
        assert len(by_members["model"]) == 3

    def test_deviations_are_written_with_the_evaluation(self, evaluate, predict, several, data, tmp_path):
        evaluate(several, data.fasta, data.table, "-o", tmp_path / "out")
        assert rows_of((tmp_path / "out" / "predictions.tsv").read_text()) == predict(several, data.fasta)

    def test_records_any_member_was_trained_on_are_warned_of(self, genomix, several, data, tmp_path):
        copy = tmp_path / "runs"
        shutil.copytree(several, copy)
        for number, learnt in ((1, "r1"), (2, "r2"), (3, "r2")):
            (copy / f"member-{number}" / "splits.tsv").write_text(f"id\tlabel\tsplit\n{learnt}\tphage\ttrain\n")
        assert (
            "2 of 30 records were used in training"
            in genomix("evaluate", copy, data.fasta, data.table, *ONE_THREAD).stderr
        )

    def test_near_copies_of_training_records_are_warned_of(self, genomix, one, data, tmp_path):
        sequences = {
            "copy": data.sequences["r0"][::-1].translate(str.maketrans("ACGT", "TGCA")),
            "other": "ACGTTGCA" * 9,
        }
        (tmp_path / "new.fa").write_text(to_fasta(sequences))
        (tmp_path / "new.tsv").write_text(to_table({"copy": "phage", "other": "plasmid"}))
        said = genomix("evaluate", one, tmp_path / "new.fa", tmp_path / "new.tsv", *ONE_THREAD).stderr
        assert "1 of 2 records that were not used in training, such as 'copy', are nearly the same as some" in said
        said = genomix("evaluate", one, data.fasta, data.table, *ONE_THREAD).stderr
        assert "26 of 30 records were used in training" in said
        assert "nearly the same" not in said

    def test_several_models_say_so(self, genomix, several, data):
        assert (
            "probabilities: the mean of 3 models, calibrated (temperature"
            in genomix("predict", several, data.fasta, *ONE_THREAD).stderr
        )


@pytest.fixture(scope="module")
def foreign(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / "run"
    make_run(path, records, 2, classes=["moss", "phage"])
    return path


def break_run(one, directory, name, content):
    shutil.copytree(one, directory / "broken")
    path = directory / "broken" / name
    path.write_bytes(content)
    return directory / "broken"


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--min-confidence", 2), "--min-confidence 2.0: must be between 0 and 1"),
            (("--min-confidence", -0.1), "--min-confidence -0.1: must be between 0 and 1"),
            (("--min-confidence", "nan"), "--min-confidence nan: must be between 0 and 1"),
            (("--coverage", 0), "--coverage 0.0: must be between 0 and 1"),
            (("--coverage", 1), "--coverage 1.0: must be between 0 and 1"),
            (("--coverage", 0.95), "takes at least 19 records to calibrate on, and this model has 12"),
            (("--coverage", 0.8, "--no-calibration"), "leave out --no-calibration"),
        ],
    )
    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    def test_values_that_cannot_be(self, genomix, one, data, command, options, says):
        table = [data.table] if command == "evaluate" else []
        done = genomix(command, one, data.fasta, *table, *options, *ONE_THREAD)
        assert (done.code, done.stdout) == (USAGE, "")
        assert says in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_directory_without_members(self, genomix, several, data, tmp_path):
        for name in ("config.yaml", "meta.json"):
            (tmp_path / name).write_bytes((several / "member-1" / name).read_bytes())
        done = genomix("predict", tmp_path, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (NO_INPUT, "")
        assert "holds no model: neither model.safetensors nor runs (member-1, fold-1)" in done.stderr

    def test_members_that_are_named_are_all_there_is(self, genomix, predict, several, data, tmp_path):
        runs = tmp_path / "runs"
        shutil.copytree(several, runs)
        meta = json.loads((runs / "member-1" / "meta.json").read_text())
        (runs / "meta.json").write_text(json.dumps(meta | {"members": ["member-1", "member-2"]}))
        apart = predict(several / "member-1", several / "member-2", data.fasta)
        assert predict(runs, data.fasta) == apart
        shutil.rmtree(runs / "member-2")
        done = genomix("predict", runs, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (NO_INPUT, "")
        assert f"{runs / 'member-2'} is missing of 2; copy it again, or name the runs singly" in done.stderr
        (runs / "meta.json").write_text("{")
        done = genomix("predict", runs, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (BAD_DATA, "")
        assert f"{runs / 'meta.json'}: damaged meta data" in done.stderr

    def test_sequences_where_a_model_should_be(self, genomix, data):
        done = genomix("predict", data.fasta, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (NO_INPUT, "")
        assert f"{data.fasta}: is no model; name a run directory or a model's folder first" in done.stderr

    def test_members_of_other_classes(self, genomix, one, foreign, data):
        done = genomix("predict", one, foreign, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (USAGE, "")
        assert f"{foreign}: has other classes (moss, phage) than {one} (phage, plasmid)" in done.stderr

    def test_the_same_model_twice(self, genomix, one, data):
        done = genomix("predict", one, one / "model.safetensors", data.fasta, *ONE_THREAD)
        assert done.code == USAGE
        assert "named twice; name each model once" in done.stderr

    def test_models_without_sequences(self, genomix, one, several):
        done = genomix("predict", one, several / "member-2", *ONE_THREAD)
        assert done.code == USAGE
        assert "give sequences after the models" in done.stderr
        assert "give a model, sequences and labels" in genomix("evaluate", one, several, *ONE_THREAD).stderr

    @pytest.mark.parametrize("name", ["calibration.json", "reference.safetensors"])
    def test_damaged_files(self, genomix, one, data, tmp_path, name):
        broken = break_run(one, tmp_path, name, b"{")
        done = genomix("predict", broken, data.fasta, *ONE_THREAD)
        assert (done.code, done.stdout) == (BAD_DATA, "")
        assert f"{broken / name}: damaged" in done.stderr

    def test_coverage_of_a_table(self, genomix, data, one, tmp_path):
        predict_csv(genomix, one, data, tmp_path / "pred.csv")
        done = genomix("evaluate", "--predictions", tmp_path / "pred.csv", data.table, "--coverage", 0.9)
        assert done.code == USAGE
        assert "--coverage makes sets of labels, for which a model is needed" in done.stderr

    def test_sequences_in_a_directory_are_no_model(self, predict, one, data, tmp_path):
        (tmp_path / "sequences").mkdir()
        shutil.copy(data.fasta, tmp_path / "sequences")
        assert len(predict(one, tmp_path / "sequences")) == 30
        assert Path(tmp_path / "sequences").is_dir()


def test_one_label_of_one_record_is_measured(evaluate, one, data, tmp_path):
    (tmp_path / "one.fa").write_text(to_fasta({"r0": data.sequences["r0"]}))
    (tmp_path / "one.tsv").write_text(to_table({"r0": data.labels["r0"]}))
    found = evaluate(one, tmp_path / "one.fa", tmp_path / "one.tsv", "--min-confidence", 1, "--coverage", 0.9)
    assert (found["answered"]["num_answered"], found["answered"]["accuracy"]) == (0, None)
    assert found["coverage"]["num_records"] == 1
