"""What chooses cannot see the test records: with --judge val no file that training is given has any of them."""

import gzip
import shutil

import pytest

from genomix.errors import DataError, NoInputError

pytestmark = pytest.mark.usefixtures("_benchmark_scripts")
LEFT_BY_TRAINING = ("metrics.json", "predictions.tsv", "model.safetensors", "calibration.json", "splits.tsv")


def held_back(folder):
    """Return the ids and the lines of the sequences of the test records of a set."""
    cells = [line.split("\t") for line in (folder / "labels.tsv").read_text().splitlines()]
    ids = {one for one, _, split in cells if split == "test"}
    entries = [entry.split("\n") for entry in text_of(folder / "data.fa.gz").split(">")[1:]]
    lines = {line for header, *lines in entries if header.split()[0] in ids for line in lines if line}
    assert len(ids) == 6
    assert len(lines) == 12
    return ids | lines


def text_of(path):
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


class TestNoTestRecordIsGiven:
    @pytest.fixture
    def folder(self, make_set):
        return make_set("mito")

    def check(self, folder, trainer, tmp_path):
        assert trainer.files()
        assert all(path.is_relative_to(tmp_path / "runs" / "val") for path in trainer.files())
        given = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
        assert trainer.files() <= set(given)
        assert all(secret not in text_of(path) for path in given for secret in held_back(folder))

    def test_accuracy(self, folder, trainer, call_script, tmp_path):
        import accuracy

        assert call_script(accuracy, folder.parent, "--sets", "mito", "--models", "kmer", "--judge", "val") == 0
        self.check(folder, trainer, tmp_path)

    def test_ablations(self, folder, trainer, call_script, tmp_path):
        import ablations

        assert call_script(ablations, folder.parent, "--sets", "mito", "--only", "max pooling") == 0
        self.check(folder, trainer, tmp_path)

    def test_context(self, folder, trainer, call_script, tmp_path):
        import context

        assert call_script(context, folder, "--lengths", 64, "whole", "--budget", "1m", "--judge", "val") == 0
        self.check(folder, trainer, tmp_path)

    def test_learning_curve(self, folder, trainer, call_script, tmp_path):
        import learning_curve

        assert call_script(learning_curve, folder, "--fractions", 0.5, 1, "--judge", "val") == 0
        self.check(folder, trainer, tmp_path)

    def test_with_judge_test_it_is_the_set_itself(self, folder, trainer, call_script):
        import accuracy

        assert call_script(accuracy, folder.parent, "--sets", "mito", "--models", "kmer") == 0
        assert trainer.files() == {folder / "data.fa.gz", folder / "labels.tsv"}

    def test_figures_of_validation_records_stay_out_of_documents(self, folder, trainer, call_script):
        import accuracy

        from genomix.errors import UsageError

        with pytest.raises(UsageError, match="is for choosing"):
            call_script(accuracy, folder.parent, "--sets", "mito", "--judge", "val", "--docs")
        assert not trainer.calls


class TestTheCopy:
    def open_one(self, folder, tmp_path, out="runs"):
        from sets import open_sets

        (one,) = open_sets(folder.parent, [folder.name], "val", tmp_path / out)
        return one

    def test_all_other_records_are_in_it(self, make_set, tmp_path):
        folder = make_set("mito")
        one = self.open_one(folder, tmp_path)
        entries = text_of(folder / "data.fa.gz").split(">")[1:]
        rows = (folder / "labels.tsv").read_text().splitlines(keepends=True)
        tests = {row.split("\t")[0] for row in rows if row.endswith("\ttest\n")}
        kept = "".join(f">{entry}" for entry in entries if entry.split()[0] not in tests)
        assert text_of(one.data.sequences) == kept
        assert one.data.labels.read_text() == "".join(row for row in rows if not row.endswith("\ttest\n"))

    def test_other_test_records_give_the_same_bytes(self, make_set, tmp_path):
        folders = make_set("one"), make_set("other", skip=3)
        assert not held_back(folders[0]) & held_back(folders[1])
        first, second = (self.open_one(folder, tmp_path).data for folder in folders)
        assert first.sequences.read_bytes() == second.sequences.read_bytes()
        assert first.labels.read_bytes() == second.labels.read_bytes()
        assert first.sequences.read_bytes()[4:8] == bytes(4)  # no time of writing in the header (RFC 1952)

    def test_a_changed_set_is_copied_anew(self, make_set, tmp_path):
        folder = make_set("mito")
        before = self.open_one(folder, tmp_path).data.labels.read_text()
        table = (folder / "labels.tsv").read_text()
        (folder / "labels.tsv").write_text(table.replace("\tval\n", "\ttest\n"))
        assert "\tval\n" in before
        assert "\tval\n" not in self.open_one(folder, tmp_path).data.labels.read_text()

    def test_bad_sets_are_refused_before_anything_is_written(self, make_set, tmp_path):
        folder = make_set("mito")
        lines = (folder / "labels.tsv").read_text().splitlines()
        (folder / "labels.tsv").write_text("".join(line.rpartition("\t")[0] + "\n" for line in lines))
        with pytest.raises(DataError, match="names no splits"):
            self.open_one(folder, tmp_path)
        (folder / "labels.tsv").write_text("\n".join([*lines, "nobody\tStrepsirrhini\ttrain"]) + "\n")
        with pytest.raises(DataError, match="1 labels have no record, such as 'nobody'"):
            self.open_one(folder, tmp_path)
        assert not list((tmp_path / "runs").rglob("*.gz"))
        shutil.rmtree(folder)
        with pytest.raises(NoInputError, match=r"data\.fa\.gz: there is no such file"):
            self.open_one(folder, tmp_path)


def test_results_do_not_depend_on_test_records(make_set, call_script, tmp_path):
    """Real trainings: a k-mer model and a network, on sets that differ in their test records alone."""
    import accuracy

    network = "tiny=paramixer model.max_length=64 training.max_epochs=1 model.encoder.hidden_dim=4"
    for number in range(2):
        folder = make_set(f"part{number}/mito", skip=3 * number)
        arguments = ("--sets", "mito", "--models", "kmer", network, "--judge", "val", "--device", "cpu")
        assert call_script(accuracy, folder.parent, *arguments, out=f"runs{number}") == 0
    for model in ("kmer", "tiny"):
        one, other = (tmp_path / f"runs{number}" / "val" / "mito" / f"{model}-0" for number in range(2))
        for name in LEFT_BY_TRAINING:
            assert (one / name).read_bytes() == (other / name).read_bytes()
