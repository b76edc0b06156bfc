"""Trainings are done once, go on when killed, are made anew when asked for otherwise, and may fail alone."""

import json

import pytest

from genomix.errors import CannotWriteError, UsageError

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")


@pytest.fixture
def run(make_set, tmp_path):
    from candidates import Candidate
    from runs import Data, Run

    folder = make_set("mito")
    data = Data(folder / "data.fa.gz", folder / "labels.tsv")
    return Run(tmp_path / "runs" / "one", Candidate("paramixer", "paramixer"), data)


class TestPerform:
    def test_what_is_done_is_not_repeated(self, run, trainer):
        from runs import perform

        assert perform(run).failure is None
        assert perform(run).metrics["metrics"]["values"]["mcc"] == 0.5
        assert len(trainer.calls) == 1

    @pytest.mark.parametrize("change", [{"seed": 1}, {"flags": ("--budget", "1m")}, {"threads": 2}])
    def test_other_settings_are_said_and_made_anew(self, run, trainer, capsys, change):
        from dataclasses import replace

        from runs import perform

        perform(run)
        (run.path / "of-the-old-one").touch()
        perform(replace(run, **change))
        assert len(trainer.calls) == 2
        assert "made with other settings or data" in capsys.readouterr().err
        assert not (run.path / "of-the-old-one").exists()

    def test_a_configuration_that_changed_is_another_setting(self, run, trainer, tmp_path):
        from dataclasses import replace

        from candidates import parse_candidates
        from runs import perform

        path = tmp_path / "mine.yaml"
        for rate in (0.1, 0.1, 0.2):
            path.write_text(f"training: {{learning_rate: {rate}}}\n")
            perform(replace(run, candidate=parse_candidates([str(path)])[0]))
        assert trainer.calls[0] == trainer.calls[1]
        assert len(trainer.calls) == 2

    def test_other_data_are_another_setting(self, run, trainer):
        from dataclasses import replace

        from runs import Data, perform

        perform(run)
        text = run.data.labels.read_text()
        run.data.labels.write_text(text.replace("\tval\n", "\ttrain\n"))
        perform(replace(run, data=Data(run.data.sequences, run.data.labels)))
        assert len(trainer.calls) == 2

    def test_a_stopped_one_goes_on(self, run, trainer, capsys):
        from runs import perform

        trainer.stops = 1
        assert perform(run).failure == "exit code 75: error: stopped"
        (run.path / "checkpoint").touch()
        assert perform(run).failure is None
        assert (run.path / "checkpoint").exists()
        assert trainer.calls[0] == trainer.calls[1]
        assert capsys.readouterr().err == ""

    def test_what_somebody_else_made_is_left_alone(self, run, trainer):
        from runs import perform

        run.path.mkdir(parents=True)
        (run.path / "mine").touch()
        with pytest.raises(CannotWriteError, match="was not made by this command"):
            perform(run)
        assert (run.path / "mine").exists()
        assert not trainer.calls

    def test_without_a_budget_there_are_no_flags_of_training(self, run):
        assert " ".join(run.settings) == (
            "--model paramixer --seed 0 --threads 1 --device auto --no-baselines --no-checks --quiet"
        )


class TestCandidates:
    def test_ways_to_name_one(self, tmp_path):
        from candidates import parse_candidates

        path = tmp_path / "mine.yaml"
        path.write_text("training: {seed: 3}\n")
        found = parse_candidates(["kmer", str(path), "mixing off=paramixer model.encoder.link_scale=0"])
        assert [one.name for one in found] == ["kmer", "mine", "mixing off"]
        assert found[1].arguments == ["--config", str(path)]
        assert found[1].config.training.seed == 3
        assert found[2].arguments == ["--model", "paramixer", "--set", "model.encoder.link_scale=0"]
        assert found[2].config.model.encoder.link_scale == 0

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["kmre"], "neither a preset"),
            (["kmer", "kmer"], "two models are called kmer"),
            (["a=paramixer model.encoder.link_scael=0"], "link_scael"),
        ],
    )
    def test_mistakes_are_found_before_anything_runs(self, texts, message):
        from candidates import parse_candidates

        with pytest.raises(UsageError, match=message):
            parse_candidates(texts)


class TestAccuracy:
    def test_a_row_a_run_and_what_fails_fails_alone(self, make_set, trainer, call_script, tmp_path, capsys):
        import accuracy
        from measured import read_tsv

        trainer.refused, trainer.accuracies = "cnn", {"kmer": 0.8}
        folder = make_set("mito")
        arguments = ("--sets", "mito", "--models", "paramixer", "cnn", "kmer", "--seeds", 0, 1, "--jobs", 2)
        arguments += ("--budget", "2m", "--results", tmp_path / "new" / "accuracy")
        assert call_script(accuracy, folder.parent, *arguments) == 1
        rows = read_tsv(tmp_path / "new" / "accuracy.tsv")
        assert [(row["model"], row["seed"], row["failure"]) for row in rows] == [
            *(("paramixer", seed, "") for seed in "01"),
            *(("cnn", seed, "exit code 2: error: it cannot be") for seed in "01"),
            *(("kmer", seed, "") for seed in "01"),
        ]
        assert rows[-1]["accuracy"] == "0.81"
        assert all("--budget 2m" in " ".join(call) for call in trainer.calls)
        told = capsys.readouterr()
        assert told.out == (tmp_path / "new" / "accuracy.md").read_text()
        assert "2 of 6 runs failed" in told.err
        trainer.refused = None
        assert call_script(accuracy, folder.parent, *arguments) == 0
        assert len(trainer.calls) == 6 + 2

    def test_a_table_can_be_made_in_parts(self, make_set, trainer, call_script, tmp_path):
        import accuracy
        from measured import read_tsv

        sets = {name: make_set(name).parent for name in ("first", "second")}

        def make(name, accuracy_of, *more):
            trainer.accuracies = {"kmer": accuracy_of}
            arguments = ("--sets", name, "--models", "kmer", "--results", tmp_path / "table", *more)
            return call_script(accuracy, sets[name], *arguments, out=f"runs{accuracy_of}")

        def table():
            return [(row["set"], row["seed"], row["accuracy"]) for row in read_tsv(tmp_path / "table.tsv")]

        assert make("first", 0.5, "--keep") == 0
        assert make("second", 0.6, "--keep") == 0
        assert table() == [("first", "0", "0.5"), ("second", "0", "0.6")]
        assert make("first", 0.7, "--keep") == 0
        assert table() == [("second", "0", "0.6"), ("first", "0", "0.7")]
        with pytest.raises(UsageError, match="has rows of --judge test; leave out --keep"):
            make("first", 0.8, "--keep", "--judge", "val")
        assert len(trainer.calls) == 3
        assert make("first", 0.7) == 0
        assert table() == [("first", "0", "0.7")]

    def test_keeping_needs_a_table(self, make_set, trainer, call_script):
        import accuracy

        with pytest.raises(UsageError, match="name it with --results"):
            call_script(accuracy, make_set("mito").parent, "--sets", "mito", "--keep")
        assert not trainer.calls

    def test_a_bad_budget_is_found_first(self, make_set, trainer, call_script):
        import accuracy

        with pytest.raises(UsageError, match="--budget 'soon' is not a duration"):
            call_script(accuracy, make_set("mito").parent, "--sets", "mito", "--budget", "soon")
        assert not trainer.calls


def test_equal_networks_are_trained_by_the_same_runs(make_set, trainer, monkeypatch, tmp_path):
    import compare_models

    folder, results = make_set("mito"), tmp_path / "results.json"
    words = ["compare_models.py", str(folder / "data.fa.gz"), str(folder / "labels.tsv"), "--models", "cnn", "kmer"]
    words = [*words[:-1], "--minutes", "0.5", "--out", str(tmp_path / "runs"), "--results", str(results)]
    monkeypatch.setattr("sys.argv", words)
    assert compare_models.main() == 0
    assert compare_models.main() == 0
    (call,) = trainer.calls
    line = " ".join(call)
    assert "--budget 30s --max-epochs 1000000 --set training.patience=1000000 --learning-rate 0.003" in line
    (row,) = json.loads(results.read_text())["rows"]
    assert row["epochs"] == 4
    assert row["accuracy"] == [0.5, 0.4, 0.6]
