"""What is pretrained on, and when a run is done, goes on, or is made anew."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from genomix.files import hash_file

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")
STOPPED = 75


class Genomix:
    """Stands in for `genomix pretrain` and `genomix train`: leaves what these leave, with made-up figures.

    The weights depend on the data alone.

    Attributes:
        calls: The arguments of each call.
        stops: How many calls from now on stop before they are done.
    """

    def __init__(self):
        self.calls, self.stops = [], 0

    def __call__(self, command, **others):
        words = command[3:]
        self.calls.append(words)
        path = Path(self.value("--resume") or self.value("-o"))
        path.mkdir(exist_ok=True)
        if words[1].startswith("-"):  # a directory alone: it goes on with what that was begun with
            words = json.loads((path / "begun.json").read_text())["words"]
        begun = {"complete": not self.stops, "config": {"model": {"max_length": 300}}, "words": words}
        (path / "begun.json").write_text(json.dumps(begun))
        if self.stops:
            self.stops -= 1
            if not others.get("capture_output"):
                sys.stderr.write("error: stopped\n")
            return subprocess.CompletedProcess(command, STOPPED, "", "error: stopped\n")
        names = {"pretrain": ["sequences"], "train": ["sequences", "labels"]}[words[0]]
        inputs = {name: hash_file(given) for name, given in zip(names, words[1:], strict=False)}
        training = {"seconds": 1.5, "epochs": 4}
        source = words[words.index("--init-from") + 1] if "--init-from" in words else None
        if source:
            training["init_from"] = {"sha256": hash_file(Path(source) / "model.safetensors")}
        (path / "model.safetensors").write_text(json.dumps(inputs))
        (path / "meta.json").write_text(json.dumps({"inputs": inputs, "training": training}))
        values = dict.fromkeys(("mcc", "accuracy"), 0.75 if source else 0.5)
        (path / "metrics.json").write_text(json.dumps({"split": "val", "metrics": {"values": values}}))
        return subprocess.CompletedProcess(command, 0, "", "")

    def value(self, option):
        """Return what the last call gives to an option."""
        words = self.calls[-1]
        return words[words.index(option) + 1] if option in words else None

    def made(self):
        """Return the names of the run directories of the calls until now, and forget these."""
        paths = [words[words.index("--resume" if "--resume" in words else "-o") + 1] for words in self.calls]
        self.calls = []
        return [Path(path).name for path in paths]


@pytest.fixture
def genomix(monkeypatch):
    stand_in = Genomix()
    monkeypatch.setattr(subprocess, "run", stand_in)
    return stand_in


@pytest.fixture
def measure(call_script, tmp_path):
    """Call the script on a set, with all training records and one seed unless other arguments say so."""
    import pretrain_gain

    def call(folder, *words):
        given = ("--fractions", 1, "--seeds", 0, *words, "--results", tmp_path / "results")
        return call_script(pretrain_gain, folder, *given)

    return call


def ids_of(path):
    return {line[1:].split()[0] for line in Path(path).read_text().splitlines() if line.startswith(">")}


def ids_by_split(path):
    rows = [line.split("\t") for line in Path(path).read_text().splitlines()[1:]]
    return {name: {row[0] for row in rows if row[-1] == name} for name in ("train", "val", "test")}


class TestCorpus:
    def test_what_becomes_val_is_not_pretrained_on(self, make_set, genomix, measure):
        measure(make_set("mito", splits=("train", "test")), "--seeds", 0, 1)
        corpora = {words[words.index("--seed") + 1]: words[1] for words in genomix.calls if words[0] == "pretrain"}
        tables = {words[words.index("--seed") + 1]: words[2] for words in genomix.calls if words[0] == "train"}
        splits = {seed: ids_by_split(path) for seed, path in tables.items()}
        assert splits["0"]["val"] != splits["1"]["val"]
        for seed, corpus in corpora.items():
            assert len(splits[seed]["val"]) >= 2
            assert not ids_of(corpus) & splits[seed]["val"]
            assert ids_of(corpus) == splits[seed]["train"]

    def test_whatever_the_fraction_and_the_order_of_the_seeds(self, make_set, genomix, measure):
        folder = make_set("mito", splits=("train", "test"))
        measure(folder, "--seeds", 0, 1)
        genomix.made()
        measure(folder, "--seeds", 1, 0, "--fractions", 0.5, 1)
        assert sorted(genomix.made()) == [f"{start}-0.5-{seed}" for start in ("pretrained", "scratch") for seed in "01"]

    def test_of_a_set_with_its_own_val_it_is_the_training_records(self, make_set, genomix, measure, tmp_path):
        folder = make_set("mito")
        measure(folder, "--seeds", 0, 1)
        (corpus,) = {words[1] for words in genomix.calls if words[0] == "pretrain"}
        assert ids_of(corpus) == ids_by_split(folder / "labels.tsv")["train"]
        assert Path(corpus).name == "train.fa"
        lines = (tmp_path / "results.md").read_text().splitlines()
        assert lines[2:] == ["| mito | 16 | 0.5000 | 0.7500 | +0.2500 (+0.2500 to +0.2500) |"]
        assert len((tmp_path / "results.tsv").read_text().splitlines()) == 5


class TestRuns:
    ALL = ("pretrained-0", "scratch-1-0", "pretrained-1-0")

    def test_what_is_done_is_not_repeated(self, make_set, genomix, measure):
        folder = make_set("mito")
        for names in (self.ALL, ()):
            measure(folder)
            assert genomix.made() == [*names]

    @pytest.mark.parametrize("done", [0, 1])
    def test_what_goes_on_keeps_its_threads_and_its_device(self, make_set, genomix, measure, capsys, done):
        folder = make_set("mito")
        if done:
            measure(folder, "--fractions", 0.5, "--threads", 2)
            genomix.made()
        genomix.stops = 1
        with pytest.raises(SystemExit) as stopped:
            measure(folder, "--threads", 2)
        assert stopped.value.code == STOPPED
        assert "error: stopped" in capsys.readouterr().err
        path = Path(genomix.value("--resume") or genomix.value("-o"))
        assert path.name == self.ALL[done]
        (path / "checkpoint").touch()
        genomix.calls = []
        measure(folder, "--threads", 2)
        assert (path / "checkpoint").exists()
        line = " ".join(genomix.calls[0])
        assert f"--resume {path}" in line
        assert "--threads 2" in line
        assert "--device cpu" in line
        assert genomix.made() == [*self.ALL[done:]]

    def test_other_labels_are_noticed(self, make_set, genomix, measure, capsys):
        folder = make_set("mito")
        measure(folder)
        genomix.made()
        table = folder / "labels.tsv"
        table.write_text(table.read_text().replace("\tval\n", "\ttest\n", 1))
        measure(folder)
        assert genomix.made() == ["scratch-1-0", "pretrained-1-0"]
        assert "scratch-1-0: was made with other settings or data; it is made anew" in capsys.readouterr().err

    def test_other_sequences_are_noticed(self, make_set, genomix, measure):
        folder = make_set("mito")
        measure(folder)
        before = genomix.calls[0][1]
        text = Path(before).read_text()
        genomix.made()
        entries = gzip.decompress((folder / "data.fa.gz").read_bytes()).decode().split(">")
        trained = ids_by_split(folder / "labels.tsv")["train"]
        number = next(i for i, entry in enumerate(entries) if entry.split() and entry.split()[0] in trained)
        entries[number] = entries[number].rstrip() + "ACGT\n"
        (folder / "data.fa.gz").write_bytes(gzip.compress(">".join(entries).encode()))
        measure(folder)
        assert Path(before).read_text() != text
        assert genomix.made() == [*self.ALL]

    def test_other_sequences_to_pretrain_on_are_noticed(self, make_set, genomix, measure, tmp_path):
        folder, genomes = make_set("mito"), tmp_path / "genomes"
        genomes.mkdir()
        for bases in ("ACGT", "ACGA"):
            (genomes / "one.fa").write_text(f">one\n{bases}\n")
            measure(folder, "--pretrain-on", genomes / "one.fa")
            assert genomix.made()[0] == "pretrained-0"

    def test_other_first_weights_are_noticed(self, make_set, genomix, measure):
        folder = make_set("mito")
        measure(folder)
        (Path(genomix.value("--init-from")) / "model.safetensors").write_text("others")
        genomix.made()
        measure(folder)
        assert genomix.made() == ["pretrained-1-0"]

    def test_other_settings_are_said_and_made_anew(self, make_set, genomix, measure, capsys):
        folder = make_set("mito")
        measure(folder)
        (Path(genomix.value("--init-from")) / "of-the-old-one").touch()
        path = Path(genomix.value("--init-from"))
        genomix.made()
        measure(folder, "--pretrain-epochs", 5)
        assert genomix.made() == ["pretrained-0"]
        assert not (path / "of-the-old-one").exists()
        assert "pretrained-0: was made with other settings or data" in capsys.readouterr().err

    def test_older_ones_whose_words_alone_were_kept_are_found(self, make_set, genomix, measure):
        """They say themselves what data they were made with."""
        folder = make_set("mito")
        measure(folder)
        place = Path(genomix.value("--init-from")).parent
        for record in place.glob("*.json"):
            stated = json.loads(record.read_text())
            record.write_text(json.dumps(stated if isinstance(stated, list) else stated["arguments"]))
        genomix.made()
        measure(folder)
        assert genomix.made() == []
        (place / "pretrained-0" / "model.safetensors").write_text("others")
        measure(folder)
        assert genomix.made() == ["pretrained-1-0"]
        table = folder / "labels.tsv"
        table.write_text(table.read_text().replace("\tval\n", "\ttest\n", 1))
        measure(folder)
        assert genomix.made() == ["scratch-1-0", "pretrained-1-0"]

    def test_what_somebody_else_made_is_left_alone(self, make_set, genomix, measure):
        folder = make_set("mito")
        measure(folder)
        place = Path(genomix.value("--init-from"))
        place.with_name("pretrained-0.json").unlink()
        genomix.made()
        with pytest.raises(SystemExit, match="pretrained-0: was "):
            measure(folder)
        assert (place / "meta.json").exists()
        assert genomix.made() == []


def test_a_set_that_is_not_there_is_an_error_in_a_sentence(tmp_path, monkeypatch, capsys):
    import pretrain_gain
    from runs import leave_with

    monkeypatch.setattr("sys.argv", ["pretrain_gain.py", str(tmp_path / "lost"), "--out", str(tmp_path / "runs")])
    with pytest.raises(SystemExit) as left:
        leave_with(pretrain_gain.main)
    assert left.value.code == 66
    assert f"error: {tmp_path / 'lost' / 'data.fa.gz'}: there is no such file" in capsys.readouterr().err
