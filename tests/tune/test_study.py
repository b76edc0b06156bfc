"""Studies: what they propose, how trials end, what they leave, and that they never see a test record."""

import csv
import json
import os
import pickle
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from optuna.trial import TrialState

from genomix.config import make_config
from genomix.data.labels import load_labelled
from genomix.errors import CannotWriteError, DataError, PreemptedError, UsageError
from genomix.metrics import score
from genomix.stopping import Stopping
from genomix.train.division import divide
from genomix.train.run import Training
from genomix.tune import study as study_module
from genomix.tune.blind import without_test
from genomix.tune.results import BEST, sentences
from genomix.tune.storage import open_study
from genomix.tune.trial import TrialRun

RATES = {"training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}


def rows_of(tuning):
    return list(csv.DictReader((tuning.path / "trials.tsv").read_text().splitlines(), delimiter="\t"))


def without_seconds(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


class TestTestRecords:
    """They are not there for the code that chooses."""

    def test_others_in_their_place_change_nothing(self, make_tuning, write_data):
        one = make_tuning("one", data=write_data("one", test_seed=1), trials=3)
        other = make_tuning("other", data=write_data("other", test_seed=2), trials=3)
        for file in ("fa", "tsv"):
            texts = [(one.path.parent / f"{name}.{file}").read_text() for name in ("one", "other")]
            assert texts[0] != texts[1]
        results = [tuning.run() for tuning in (one, other)]
        assert without_seconds(rows_of(one)) == without_seconds(rows_of(other))
        assert results[0].config == results[1].config
        assert [trial.intermediate_values for trial in results[0].trials] == [
            trial.intermediate_values for trial in results[1].trials
        ]
        for number in range(3):
            said = [np.load(tuning.path / f"trials/{number}/validation.npy") for tuning in (one, other)]
            np.testing.assert_array_equal(*said)

    def test_other_training_records_change_something(self, make_tuning, write_data):
        data = write_data()
        one = make_tuning("one", data=data, trials=1)
        one.run()
        fasta = one.path.parent / "data.fa"
        fasta.write_text(fasta.read_text().replace("A", "C"))
        other = make_tuning("other", data=data, trials=1)
        other.run()
        assert without_seconds(rows_of(one)) != without_seconds(rows_of(other))

    def test_they_cannot_be_reached(self, make_tuning):
        tuning = make_tuning()
        records, splits = tuning.records, divide(tuning.records, tuning.asked.training.config)
        seen, division = without_test(records, splits)
        assert len(splits.test) == 12
        assert (len(division.train), len(division.val), len(division.test)) == (24, 12, 0)
        held_out = {records.store.tokens(row).tobytes() for row in records.indices[splits.test]}
        for store in (seen.store, pickle.loads(pickle.dumps(seen.store))):
            assert not held_out & {store.tokens(row).tobytes() for row in range(len(store))}
            with pytest.raises(IndexError):
                store.tokens(36)
            assert store.sha256 != records.store.sha256
        for part in ("train", "val"):
            before, after = getattr(splits, part), getattr(division, part)
            assert [records.ids[row] for row in before] == [seen.ids[row] for row in after]
            assert [records.labels[row] for row in before] == [seen.labels[row] for row in after]
            for old, new in zip(before, after, strict=True):
                np.testing.assert_array_equal(records.store.tokens(old), seen.store.tokens(new))

    def test_combinations_of_their_labels_are_not_known(self, tmp_path):
        rows = ["a;b", "a", "b", "-", "a;b", "a", "b", "a", "b", "-"]
        parts = ["test", "train", "train", "test", "test", "val", "val", "train", "train", "test"]
        (tmp_path / "data.fa").write_text("".join(f">r{row}\nACGTACGTAA\n" for row in range(10)))
        lines = [f"r{row}\t{label}\t{part}\n" for row, (label, part) in enumerate(zip(rows, parts, strict=True))]
        (tmp_path / "labels.tsv").write_text("id\tlabel\tsplit\n" + "".join(lines))
        config = make_config(overrides={"data.labels": "multi"})
        kind = study_kind(config)
        records = load_labelled([str(tmp_path / "data.fa")], str(tmp_path / "labels.tsv"), kind=kind, warn=print)
        seen, division = without_test(records, divide(records, config))
        assert records.label_sets.names != seen.label_sets.names == ["a", "b"]
        assert seen.truth[division.val].tolist() == [[True, False], [False, True]]


def study_kind(config):
    from genomix.data.labels import label_kind

    return label_kind(config.data)


class TestProposals:
    def test_the_same_seed_makes_the_same_study(self, make_tuning):
        one, two = make_tuning("one", trials=3), make_tuning("two", trials=3)
        other = make_tuning("other", trials=3, settings={"training.seed": 1})
        for tuning in (one, two, other):
            tuning.run()
        assert without_seconds(rows_of(one)) == without_seconds(rows_of(two))
        rates = [[row["training.learning_rate"] for row in rows_of(tuning)][1:] for tuning in (one, other)]
        assert len(set(rates[0])) == 2
        assert not set(rates[0]) & set(rates[1])

    def test_a_study_in_two_parts_is_the_same(self, make_tuning):
        whole, parts = make_tuning("whole", trials=4), make_tuning("parts", trials=2)
        whole.run()
        parts.run()
        parts.resume, parts.asked = True, parts.asked.model_copy(update={"trials": 4})
        parts.run()
        assert without_seconds(rows_of(whole)) == without_seconds(rows_of(parts))

    def test_the_presets_own_values_come_first(self, make_tuning):
        tuning = make_tuning(settings={"training.batch_records": 32})
        tuning.run()
        first = rows_of(tuning)[0]
        assert (first["trial"], first["training.learning_rate"], first["model.encoder.protocol"]) == (
            "0",
            "0.003",
            "chord",
        )
        config = yaml.safe_load((tuning.path / "trials/0/config.yaml").read_text())
        assert config["training"]["learning_rate"] == 0.003

    def test_it_is_first_even_where_a_value_of_it_is_outside(self, make_tuning):
        tuning = make_tuning(space=RATES, settings={"training.learning_rate": 0.5}, trials=3)
        results = tuning.run()
        assert rows_of(tuning)[0]["training.learning_rate"] == "0.5"
        assert results.default.number == 0
        assert not results.default.params

    def test_a_value_is_that_of_the_training(self, make_tuning):
        """The value of a trial is what the same training gives of the validation records."""
        tuning = make_tuning(trials=2)
        results = tuning.run()
        trial = results.trials[1]
        config = make_config(path=tuning.path / "trials/1/config.yaml")
        splits = divide(tuning.records, config)
        path = tuning.path.parent / "again"
        path.mkdir()
        model = Training(config, tuning.records, path, splits=splits).fit(config, splits)
        probabilities = study_scores(model, tuning.records, splits)
        assert trial.value == pytest.approx(score("f1_macro", tuning.records.truth[splits.val], probabilities))

    def test_kmer(self, make_tuning):
        space = {"model.k": {"low": 1, "high": 4}}
        tuning = make_tuning(model="kmer", space=space, trials=4, settings={"model.k": 2})
        results = tuning.run()
        assert [trial.state for trial in results.trials] == [TrialState.COMPLETE] * 4
        assert {trial.params["model.k"] for trial in results.trials} <= {1, 2, 3, 4}


def study_scores(model, records, splits):
    from genomix.scoring import make_scorer

    rows = records.indices[splits.val]
    return np.stack(list(make_scorer(model, strands="forward").score(records.store.tokens(row) for row in rows)))


class TestHowTrialsEnd:
    def test_a_planted_bad_rate_is_pruned(self, make_tuning, monkeypatch):
        """Good rates first, then only useless ones: these end early."""
        monkeypatch.setattr("genomix.tune.storage.FULL_TRIALS", 2)
        space = {"training.learning_rate": {"choices": [0.01, 1e-8]}}
        tuning = make_tuning(
            space=space, trials=5, settings={"training.learning_rate": 0.01, "training.max_epochs": 10}
        )
        planted = iter([0.01] * 3 + [1e-8] * 2)
        monkeypatch.setattr(study_module.Study, "_suggest", lambda _, trial, __: suggest(trial, next(planted)))
        results = tuning.run()
        states = [row["state"] for row in rows_of(tuning)]
        assert states == ["complete"] * 3 + ["pruned"] * 2
        epochs = [int(row["epochs"]) for row in rows_of(tuning)]
        assert max(epochs[3:]) < 5
        assert results.best.number < 3

    def test_what_diverges_or_has_no_memory_is_recorded_and_the_study_goes_on(self, make_tuning, monkeypatch):
        space = {"training.learning_rate": {"choices": [0.01, 1e30]}}
        tuning = make_tuning(space=space, trials=4, settings={"training.learning_rate": 0.01, "training.max_epochs": 4})
        planted = iter([0.01, 1e30, 0.01, 0.01])
        monkeypatch.setattr(study_module.Study, "_suggest", lambda _, trial, __: suggest(trial, next(planted)))
        train = TrialRun._train

        def run_out(run):
            if run.trial.number == 2:
                raise MemoryError
            return train(run)

        monkeypatch.setattr(TrialRun, "_train", run_out)
        results = tuning.run()
        rows = rows_of(tuning)
        assert [row["state"] for row in rows] == ["complete", "failed", "failed", "complete"]
        assert "the loss is " in rows[1]["reason"] or "not finite" in rows[1]["reason"]
        assert "out of memory on cpu" in rows[2]["reason"]
        assert any(sentence.startswith("failed (1): ") for sentence in sentences(results))

    def test_all_fail(self, make_tuning):
        space = {"model.encoder.hidden_dim": {"low": 2**40, "high": 2**40 + 8, "step": 8}}
        own = {"model.encoder.hidden_dim": 2**40}
        tuning = make_tuning(space=space, trials=2, settings=own)
        with pytest.raises(UsageError, match=r"none of 2 trials came to a result: .*; see .*trials\.tsv"):
            tuning.run()
        assert [row["state"] for row in rows_of(tuning)] == ["failed", "failed"]

    def test_a_metric_that_says_nothing_of_these_records(self, make_tuning, write_data):
        sequences, labels = write_data()
        table = tuning_table(labels, lambda row: ["a" if row[2] == "val" else row[1]])
        tuning = make_tuning(data=[sequences, table], settings={"training.metric": "roc_auc"})
        with pytest.raises(UsageError, match="roc_auc is undefined on these validation records"):
            tuning.run()
        assert not tuning.path.exists()

    def test_a_stop_in_a_trial_has_it_begun_anew(self, make_tuning):
        stop = Stopping()
        tuning = make_tuning(trials=3, stop=stop, on_trial=lambda results: ask_after(stop, results, 1))
        with pytest.raises(PreemptedError):
            tuning.run()
        stopped = make_tuning(trials=3, stop=Stopping(), resume=True)
        report, asked = TrialRun._report, stopped.stop

        def ask(run, *arguments):
            asked.ask("SIGTERM")
            report(run, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrialRun, "_report", ask)
            with pytest.raises(PreemptedError):
                stopped.run()
        results = make_tuning(trials=3, resume=True).run()
        rows = rows_of(stopped)
        assert [row["state"] for row in rows] == ["complete", "interrupted", "complete", "complete"]
        assert results.trials[1].params == results.trials[2].params
        assert "SIGTERM" in rows[1]["reason"]

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_a_process_that_is_gone(self, make_tuning, attempts):
        """Its values are tried again, but not for ever: perhaps it is they that end it."""
        make_tuning(trials=1).run()
        tuning = make_tuning(trials=3 if attempts == 3 else 2, resume=True)
        journal = open_study(tuning.path, maximize=True)
        rate = {"training.learning_rate": 0.00123}
        journal.enqueue_trial(rate, user_attrs={"attempt": attempts})
        journal.ask().suggest_float("training.learning_rate", 1e-4, 1e-2, log=True)
        results = tuning.run()
        states = [row["state"] for row in rows_of(tuning)]
        if attempts == 1:
            assert states == ["complete", "interrupted", "complete"]
            assert results.trials[2].params["training.learning_rate"] == 0.00123
        else:
            assert states == ["complete", "failed", "complete"]
            assert results.trials[2].params["training.learning_rate"] != 0.00123

    @pytest.mark.parametrize("sign", ["alive", "train.log"])
    @pytest.mark.parametrize(
        ("budget_s", "states"), [(600, ["complete", "interrupted"]), (900, ["complete", "interrupted", "complete"])]
    )
    def test_the_time_of_what_is_gone_counts_to_its_last_sign(self, make_tuning, budget_s, states, sign):
        """One that was begun an hour ago and worked for 700 s, on another machine."""
        make_tuning(trials=1).run()
        tuning = make_tuning(trials=2, resume=True, asked={"budget_s": budget_s})
        open_study(tuning.path, maximize=True).ask()
        began = time.time() - 3600
        say_it_began(tuning.path / "journal.log", began)
        folder = tuning.path / "trials/1"
        folder.mkdir()
        (folder / sign).write_text("elsewhere 1\n")
        os.utime(folder / sign, (began + 700, began + 700))
        tuning.run()
        rows = rows_of(tuning)
        assert [row["state"] for row in rows] == states
        assert float(rows[1]["seconds"]) == pytest.approx(700, abs=0.2)

    def test_no_weights_are_left_unless_asked(self, make_tuning):
        tuning, keeping = make_tuning("one", trials=2), make_tuning("two", trials=2, asked={"keep": True})
        for one in (tuning, keeping):
            one.run()
        files = {path.name for path in (tuning.path / "trials/1").iterdir()}
        assert files == {"config.yaml", "history.csv", "meta.json", "train.log", "validation.npy"}
        assert {path.name for path in (keeping.path / "trials/1").iterdir()} == files | {"model.safetensors"}
        assert "epoch 2/2" in (tuning.path / "trials/1/train.log").read_text()

    def test_the_time_of_all_together(self, make_tuning):
        tuning = make_tuning(trials=None, asked={"budget_s": 1e-3})
        assert len(tuning.run().trials) == 1

    def test_nothing_reaches_the_network(self, make_tuning, monkeypatch):
        def refuse(*_):
            raise AssertionError("the network was reached for")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert make_tuning(trials=2).run().best is not None


def suggest(trial, rate):
    """Stand in for what is proposed."""
    trial.set_user_attr("planted", rate)
    return {"training.learning_rate": rate}


def say_it_began(journal, moment):
    """Let the last trial have begun at another time."""
    *before, last = journal.read_text().splitlines()
    begun = json.loads(last) | {"datetime_start": datetime.fromtimestamp(moment, UTC).isoformat()}
    journal.write_text("\n".join([*before, json.dumps(begun)]) + "\n")


def ask_after(stop, results, count):
    if results.num_complete >= count:
        stop.ask("SIGTERM")


def tuning_table(path, change):
    rows = [line.split("\t") for line in Path(path).read_text().splitlines()]
    text = "\t".join(rows[0]) + "\n" + "".join(f"{row[0]}\t{change(row)[0]}\t{row[2]}\n" for row in rows[1:])
    Path(path).write_text(text)
    return path


class TestWhatItLeaves:
    def test_the_best_configuration_trains(self, make_tuning):
        tuning = make_tuning(trials=4)
        results = tuning.run()
        config = make_config(path=tuning.path / BEST)
        assert config == results.config
        assert config.training.max_epochs == 2
        path = tuning.path.parent / "run"
        trained = Training(config, tuning.records, path, checks=False).run()
        assert trained.measured.split == "test"

    def test_ties_go_to_the_presets_own(self, make_tuning):
        tuning = make_tuning(trials=3, space={"training.learning_rate": {"choices": [0.003]}})
        results = tuning.run()
        assert (results.best, results.changes, results.difference) == (results.default, {}, None)
        assert "no trial was better than the preset's own settings: tuning won nothing" in sentences(results)

    @pytest.mark.parametrize("metric", ["f1_macro", "log_loss"])
    def test_the_best_is_told_beside_the_presets_own(self, make_tuning, metric):
        settings = {"training.learning_rate": 1e-9, "training.metric": metric, "training.max_epochs": 6}
        tuning = make_tuning(
            trials=4, space={"training.learning_rate": {"low": 0.005, "high": 0.02}}, settings=settings
        )
        results = tuning.run()
        values = [trial.value for trial in results.trials if trial.state == TrialState.COMPLETE]
        assert results.best.value == (min if metric == "log_loss" else max)(values)
        assert set(results.changes) == {"training.learning_rate"}
        assert results.difference.difference == pytest.approx(results.best.value - results.default.value, abs=1e-6)
        interval = results.difference.interval
        assert interval.low <= results.difference.difference <= interval.high
        text = (tuning.path / "summary.md").read_text()
        assert f"a difference of {results.best.value - results.default.value:+.4f} (95 % interval" in text
        assert "is optimistic" in text

    def test_importance_only_with_enough_trials(self, make_tuning, monkeypatch):
        tuning = make_tuning(trials=6, space=RATES | {"training.weight_decay": {"low": 0.0, "high": 0.1}})
        assert not tuning.run().importance
        monkeypatch.setattr("genomix.tune.results.ENOUGH_TRIALS", 5)
        tuning.resume = True
        importance = tuning.run().importance
        assert set(importance) <= {"training.learning_rate", "training.weight_decay"}
        assert sum(importance.values()) == pytest.approx(1)


class TestGoingOn:
    def test_other_settings_or_data(self, make_tuning, write_data):
        make_tuning(trials=1).run()
        with pytest.raises(UsageError, match=r"another study than was begun\ntraining.max_epochs: begun with 2, now 3"):
            make_tuning(resume=True, settings={"training.max_epochs": 3}).run()
        with pytest.raises(UsageError, match=r"search space, training.label_smoothing: begun with .*, now nothing"):
            make_tuning(resume=True, space=RATES).run()
        with pytest.raises(DataError, match="was begun with other sequences"):
            make_tuning(resume=True, data=write_data(test_seed=3)).run()

    def test_other_labels(self, make_tuning, write_data):
        sequences, labels = write_data()
        make_tuning(trials=1, data=[sequences, labels]).run()
        tuning_table(labels, lambda row: ["ab"[row[1] == "a"]])
        with pytest.raises(DataError, match="not the division that these labels make"):
            make_tuning(resume=True, data=[sequences, labels]).run()

    def test_not_into_a_full_directory(self, make_tuning):
        make_tuning(trials=1).run()
        with pytest.raises(CannotWriteError, match="is not empty"):
            make_tuning(trials=1).run()
        tuning = make_tuning(trials=1, force=True, settings={"training.seed": 3})
        (tuning.path / "mine.txt").write_text("stays")
        assert len(tuning.run().trials) == 1
        assert (tuning.path / "mine.txt").exists()

    def test_force_removes_what_trials_left_and_nothing_else(self, make_tuning):
        make_tuning(trials=2).run()
        tuning = make_tuning(trials=1, force=True)
        trials, elsewhere = tuning.path / "trials", tuning.path.parent / "elsewhere"
        mine = [
            trials / name for name in ("2020-field-data/a.txt", "2020/a.txt", "007/train.log", "1/notes.txt", "1.txt")
        ]
        for path in [*mine, elsewhere / "train.log"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text("stays")
        (trials / "8").symlink_to(elsewhere)
        (trials / "9").mkdir()
        tuning.run()
        assert {path.read_text() for path in [*mine, elsewhere / "train.log"]} == {"stays"}
        assert [path.name for path in (trials / "1").iterdir()] == ["notes.txt"]
        assert sorted(path.name for path in trials.iterdir()) == [
            "0",
            "007",
            "1",
            "1.txt",
            "2020",
            "2020-field-data",
            "8",
        ]

    def test_force_removes_nothing_where_no_study_was(self, make_tuning):
        tuning = make_tuning(trials=1, force=True)
        mine = [tuning.path / "trials/5/train.log", tuning.path / "trials/6/alive"]
        for path in mine:
            path.parent.mkdir(parents=True)
            path.write_text("stays")
        tuning.run()
        assert {path.read_text() for path in mine} == {"stays"}

    def test_a_torn_journal_is_mended(self, make_tuning):
        tuning = make_tuning(trials=2)
        tuning.run()
        with (tuning.path / "journal.log").open("a") as journal:
            journal.write('{"op_code":4,"work')
        tuning.resume, tuning.asked = True, tuning.asked.model_copy(update={"trials": 3})
        assert [trial.state for trial in tuning.run().trials] == [TrialState.COMPLETE] * 3

    def test_a_damaged_journal(self, make_tuning):
        tuning = make_tuning(trials=1)
        tuning.run()
        journal = tuning.path / "journal.log"
        journal.write_text("no json\n" + journal.read_text())
        tuning.resume = True
        with pytest.raises(DataError, match=r"journal\.log: damaged"):
            tuning.run()

    def test_a_full_disk(self, make_tuning, monkeypatch):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        tuning = make_tuning(trials=2)
        tuning.run()
        tuning.resume, tuning.asked = True, tuning.asked.model_copy(update={"trials": 3})
        monkeypatch.setattr("optuna.storages.journal.JournalFileBackend.append_logs", refuse)
        with pytest.raises(CannotWriteError, match=r"cannot write \(No space left on device\); .* go on with --resume"):
            tuning.run()


def test_what_is_collected_is_not_only_of_the_end(make_tuning):
    seen = []
    make_tuning(trials=3, on_trial=lambda results: seen.append(results.num_complete)).run()
    assert seen == [1, 2, 3]
