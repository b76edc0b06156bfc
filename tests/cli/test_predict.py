"""Predicting from the command line: one row a record, whatever goes in and comes out."""

import csv
import gzip
import io
import shutil
import subprocess
import sys

import pytest
from pyarrow import parquet
from tiny import rows_of, to_fasta

COMPLEMENT = str.maketrans("ACGT", "TGCA")
ONE_THREAD = ("--threads", "1", "--device", "cpu")


@pytest.fixture
def predict(genomix):
    """Predict on stdout and return the text, or what is said on stderr as well."""

    def predict(*arguments, **ways):
        done = genomix("predict", *arguments, *ONE_THREAD, **ways)
        assert done.code == 0, done.stderr
        return done.stdout

    return predict


@pytest.fixture(scope="module")
def table(genomix, run, data):
    """The predictions of the network for its own data."""
    return genomix("predict", run, data.fasta, *ONE_THREAD).stdout


class TestTable:
    def test_columns(self, table):
        columns = "id length label confidence probability_phage probability_plasmid status note"
        assert table.partition("\n")[0].split("\t") == columns.split()

    def test_one_row_a_record_in_the_order_of_the_input(self, table, data):
        rows = rows_of(table)
        assert [row["id"] for row in rows] == list(data.sequences)
        assert [int(row["length"]) for row in rows] == [len(sequence) for sequence in data.sequences.values()]

    def test_probabilities_sum_to_one_and_the_highest_is_the_label(self, table):
        for row in rows_of(table):
            probabilities = {label: float(row[f"probability_{label}"]) for label in ("phage", "plasmid")}
            assert sum(probabilities.values()) == pytest.approx(1, abs=2e-6)
            assert float(row["confidence"]) == max(probabilities.values())
            assert probabilities[row["label"]] == max(probabilities.values())

    def test_statuses_say_what_is_doubtful(self, predict, run, data, tmp_path):
        good = data.sequences["r2"]
        sequences = {"good": good, "short": "ACGTACGT", "unknown": good[:70] + "N" * 60, "repeat": "ACGT" * 30}
        (tmp_path / "new.fa").write_text(to_fasta(sequences))
        statuses = {row["id"]: row["status"] for row in rows_of(predict(run, tmp_path / "new.fa"))}
        assert statuses == {"good": "ok", "short": "too_short", "unknown": "n_rich", "repeat": "unlike_training"}

    def test_cropped_records_are_marked(self, predict, run, data):
        rows = rows_of(predict(run, data.fasta, "--long", "crop"))
        assert {row["status"] for row in rows} == {"cut"}
        assert "only the middle 64 of" in rows[0]["note"]

    def test_skipped_records_keep_their_row(self, predict, run, data, tmp_path):
        good = data.sequences["r2"]
        (tmp_path / "new.fa").write_text(to_fasta({"a": good, "b": "ACXT" * 20, "c": good, "d": "J"}))
        rows = rows_of(predict(run, tmp_path / "new.fa", "--on-invalid", "skip"))
        assert [(row["id"], row["status"]) for row in rows] == [
            ("a", "ok"),
            ("b", "skipped"),
            ("c", "ok"),
            ("d", "skipped"),
        ]
        assert rows[1]["label"] == rows[1]["confidence"] == rows[1]["probability_phage"] == ""
        assert "'X'" in rows[1]["note"]

    def test_masked_letters_are_read_as_n(self, predict, run, tmp_path):
        (tmp_path / "x.fa").write_text(to_fasta({"a": "ACXT" * 20}))
        (tmp_path / "n.fa").write_text(to_fasta({"a": "ACNT" * 20}))
        assert predict(run, tmp_path / "x.fa", "--on-invalid", "mask") == predict(run, tmp_path / "n.fa")

    def test_no_record_depends_on_its_neighbours(self, predict, run, data, table, tmp_path):
        (tmp_path / "one.fa").write_text(to_fasta({"r5": data.sequences["r5"]}))
        alone, beside = rows_of(predict(run, tmp_path / "one.fa"))[0], rows_of(table)[5]
        assert float(alone["confidence"]) == pytest.approx(float(beside["confidence"]), abs=1e-5)

    def test_both_strands_get_the_same_answer(self, predict, run, data, tmp_path):
        flipped = {name: sequence[::-1].translate(COMPLEMENT) for name, sequence in data.sequences.items()}
        (tmp_path / "flipped.fa").write_text(to_fasta(flipped))
        given = rows_of(predict(run, data.fasta, "--strands", "both"))
        other = rows_of(predict(run, tmp_path / "flipped.fa", "--strands", "both"))
        for one, two in zip(given, other, strict=True):
            assert float(one["probability_phage"]) == pytest.approx(float(two["probability_phage"]), abs=1e-5)


class TestInput:
    def test_stdin_equals_a_file(self, predict, run, data, table):
        assert predict(run, "-", stdin=data.fasta.read_bytes()) == table

    def test_compressed_stdin_equals_a_file(self, predict, run, data, table):
        assert predict(run, "-", stdin=gzip.compress(data.fasta.read_bytes())) == table

    def test_several_files_are_read_in_their_order(self, predict, run, data, tmp_path):
        (tmp_path / "new.fa").write_text(to_fasta({"new": "ACGT" * 20}))
        ids = [row["id"] for row in rows_of(predict(run, tmp_path / "new.fa", data.fasta))]
        assert ids == ["new", *data.sequences]

    def test_a_table_of_sequences(self, predict, run, data, table, tmp_path):
        rows = "".join(f"{name},{sequence}\n" for name, sequence in data.sequences.items())
        (tmp_path / "data.csv").write_text("id,sequence\n" + rows)
        assert predict(run, tmp_path / "data.csv") == table


class TestModel:
    def test_the_weights_inside_a_run_stand_for_it(self, predict, run, data, table):
        assert predict(run / "model.safetensors", data.fasta) == table

    def test_a_copy_elsewhere_is_as_good(self, predict, run, data, table, tmp_path):
        names = ("config.yaml", "model.safetensors", "meta.json", "calibration.json", "reference.safetensors")
        (tmp_path / "copy").mkdir()
        for name in names:
            shutil.copy(run / name, tmp_path / "copy")
        assert predict(tmp_path / "copy", data.fasta) == table

    def test_a_kmer_model_is_used_alike(self, predict, kmer_run, data):
        rows = rows_of(predict(kmer_run, data.fasta))
        assert [row["label"] for row in rows] == list(data.labels.values())


class TestOutput:
    @pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz", "out.csv", "out.csv.gz", "out.parquet"])
    def test_every_format_holds_the_same(self, predict, run, data, table, tmp_path, name):
        assert predict(run, data.fasta, "-o", tmp_path / name) == ""
        expected = rows_of(table)
        found = read_any(tmp_path / name)
        assert [row["id"] for row in found] == [row["id"] for row in expected]
        assert [row["label"] for row in found] == [row["label"] for row in expected]
        for one, two in zip(found, expected, strict=True):
            assert float(one["confidence"]) == pytest.approx(float(two["confidence"]), abs=1e-6)

    def test_a_file_is_what_stdout_is(self, predict, run, data, table, tmp_path):
        predict(run, data.fasta, "-o", tmp_path / "out.tsv")
        assert (tmp_path / "out.tsv").read_text() == table

    def test_force_replaces(self, predict, run, data, table, tmp_path):
        (tmp_path / "out.tsv").write_text("old")
        predict(run, data.fasta, "-o", tmp_path / "out.tsv", "--force")
        assert (tmp_path / "out.tsv").read_text() == table

    def test_stderr_sums_up_and_quiet_does_not(self, genomix, run, data):
        assert "30 records, " in genomix("predict", run, data.fasta, *ONE_THREAD).stderr
        assert genomix("predict", run, data.fasta, *ONE_THREAD, "--quiet").stderr == ""

    def test_a_reader_that_leaves_is_no_error(self, environment, kmer_run, tmp_path):
        (tmp_path / "many.fa").write_text(to_fasta({f"record{number}": "ACGTTGCA" for number in range(3000)}))
        command = [sys.executable, "-m", "genomix", "predict", kmer_run, tmp_path / "many.fa", "--quiet", *ONE_THREAD]
        with subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as predicting:
            assert predicting.stdout.readline().startswith(b"id\tlength")
            predicting.stdout.close()
            stderr = predicting.stderr.read()
        assert predicting.returncode == 0
        assert stderr == b""


def read_any(path):
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.DictReader(io.StringIO(text), delimiter="," if ".csv" in path.name else "\t"))
