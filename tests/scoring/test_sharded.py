"""Shards and resumed predictions give the bytes of a whole one; what does not go together is not put together."""

import gzip
import io
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from scored import make_model, random_records

from genomix.data.records import Record
from genomix.data.shards import ChunkSize, Shard, cut, parse_shard
from genomix.data.vocabulary import DECODING
from genomix.errors import CannotWriteError, DataError, NoInputError, PreemptedError, UsageError
from genomix.merge import merge
from genomix.predict import predict
from genomix.scoring import Ensemble, Scorer, make_answers
from genomix.scoring.fingerprint import fingerprint

BATCH = 64
"""Bases; a chunk then ends after 1024."""
FORMATS = (".tsv", ".csv", ".tsv.gz", ".parquet")


def new_scorer(seed=0, **options):
    return Scorer(make_model("kmer", seed=seed), batch_bases=BATCH, **options)


@pytest.fixture(scope="module")
def scorer():
    return new_scorer()


class Sociable(torch.nn.Module):
    """Every record's logits depend on all that it is computed with, far more than by rounding."""

    def forward(self, tokens, lengths):
        counts = torch.stack([(tokens == base).sum(1) for base in range(3)], 1) / lengths[:, None]
        return counts + counts.mean(0) + 0.01 * len(lengths)


@pytest.fixture(scope="module")
def sociable():
    model = make_model()
    model.classifier = Sociable()
    return Scorer(model, batch_bases=112)  # windows are of 32: three a batch, and at times less


def write_inputs(directory, lengths, seed=0):
    """Write records as FASTA and the rest of them as a gzipped table; return both paths."""
    records = [DECODING[tokens].tobytes().decode() for tokens in random_records(lengths, seed)]
    half = len(records) // 2 + 1
    fasta, table = directory / "one.fa", directory / "two.csv.gz"
    fasta.write_text("".join(f">r{number}\n{letters}\n" for number, letters in enumerate(records[:half])))
    rows = "".join(f'"s,{number}",{letters}\n' for number, letters in enumerate(records[half:]))
    table.write_bytes(gzip.compress(f"id,sequence\n{rows}".encode()))
    return [str(fasta), str(table)][: 1 + (half < len(records))]


@pytest.fixture
def inputs(tmp_path):
    """Ragged records of 14 chunks."""
    rng = np.random.default_rng(3)
    return write_inputs(tmp_path, rng.integers(1, 400, 80).tolist())


def predict_shards(scorer, inputs, directory, suffix, count, **options):
    tables = [directory / f"part-{number}{suffix}" for number in range(1, count + 1)]
    for number, table in enumerate(tables, 1):
        predict(scorer, inputs, str(table), shard=Shard(number, count), **options)
    return tables


class TestShards:
    @settings(max_examples=6, deadline=None)
    @example([500, 70, 3, 400] * 8, 0, ".parquet")
    @given(st.lists(st.integers(1, 900), min_size=1, max_size=16), st.integers(0, 9), st.sampled_from(FORMATS))
    def test_merged_shards_are_the_whole_table(self, sociable, lengths, seed, suffix):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr("genomix.predict.parts.MOST_PARTS", 2)
            directory = Path(folder)
            inputs = write_inputs(directory, lengths, seed)
            predict(sociable, inputs, str(directory / f"whole{suffix}"))
            for count in (1, 3, 16):
                tables = predict_shards(sociable, inputs, directory, suffix, count, force=True)
                merged = directory / f"merged{suffix}"
                merge(tables[::-1], merged, force=True)
                assert merged.read_bytes() == (directory / f"whole{suffix}").read_bytes()

    def test_a_table_of_many_row_groups(self, scorer, tmp_path, monkeypatch):
        import genomix.data.parts
        import genomix.data.prediction_rows

        for module in (genomix.data.parts, genomix.data.prediction_rows):
            monkeypatch.setattr(module, "PARQUET_GROUP_ROWS", 7)
        inputs = write_inputs(tmp_path, [300] * 40)
        predict(scorer, inputs, str(tmp_path / "whole.parquet"))
        assert parquet.ParquetFile(tmp_path / "whole.parquet").num_row_groups == 6
        merge(predict_shards(scorer, inputs, tmp_path, ".parquet", 3), tmp_path / "merged.parquet")
        assert (tmp_path / "merged.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()

    def test_stdout_has_the_same_rows(self, scorer, inputs, tmp_path, capsys):
        predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        predict(scorer, inputs, "-")
        assert capsys.readouterr().out == (tmp_path / "whole.tsv").read_text()

    def test_several_models_and_answers(self, inputs, tmp_path):
        scorer = Ensemble([new_scorer(), new_scorer(seed=1)])
        answers = make_answers(scorer, min_confidence=0.5)
        predict(scorer, inputs, str(tmp_path / "whole.csv"), answers=answers)
        tables = predict_shards(scorer, inputs, tmp_path, ".csv", 4, answers=answers)
        merge(tables, tmp_path / "merged.csv")
        assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert "deviation_a" in (tmp_path / "merged.csv").read_text()

    def test_skipped_records_count(self, scorer, tmp_path):
        path = tmp_path / "bad.fa"
        path.write_text("".join(f">r{n}\n{'ACGT' * 80 if n % 3 else 'AJ'}\n" for n in range(60)))
        predict(scorer, [str(path)], str(tmp_path / "whole.tsv"), on_invalid="skip")
        merge(predict_shards(scorer, [str(path)], tmp_path, ".tsv", 3, on_invalid="skip"), tmp_path / "merged.tsv")
        assert (tmp_path / "merged.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()

    def test_more_shards_than_chunks_leave_headers_only(self, scorer, tmp_path):
        inputs = write_inputs(tmp_path, [20, 30])
        for suffix in FORMATS:
            tables = predict_shards(scorer, inputs, tmp_path, suffix, 3)
            merge(tables, tmp_path / f"merged{suffix}")
            predict(scorer, inputs, str(tmp_path / f"whole{suffix}"))
            assert (tmp_path / f"merged{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
        texts = [(tmp_path / f"part-{number}.tsv").read_text() for number in (1, 2, 3)]
        assert sorted(text.count("\n") for text in texts) == [1, 1, 3]
        assert all(text.startswith("id\tlength\tlabel\t") for text in texts)

    def test_nothing_is_left_but_tables_and_their_records(self, scorer, inputs, tmp_path):
        predict_shards(scorer, inputs, tmp_path, ".tsv", 2)
        predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        names = {path.name for path in tmp_path.iterdir()} - {"one.fa", "two.csv.gz"}
        records = {"part-1.tsv.shard.json", "part-2.tsv.shard.json"}
        assert names == {"part-1.tsv", "part-2.tsv", "whole.tsv"} | records

    def test_the_summaries_add_up(self, scorer, inputs, tmp_path):
        whole = predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        shards = [predict(scorer, inputs, str(tmp_path / f"{n}.tsv"), shard=Shard(n, 3)) for n in (1, 2, 3)]
        assert whole.num_records == sum(shard.num_records for shard in shards) == 80
        assert whole.num_bases == sum(shard.num_bases for shard in shards) == whole.report.num_bases
        assert whole.labels == sum((shard.labels for shard in shards[1:]), shards[0].labels)
        assert whole.statuses == sum((shard.statuses for shard in shards[1:]), shards[0].statuses)

    def test_no_records(self, scorer, tmp_path):
        (tmp_path / "none.csv").write_text("id,sequence\n")
        with pytest.raises(NoInputError, match="no records"):
            predict(scorer, [str(tmp_path / "none.csv")], str(tmp_path / "out.tsv"))

    @pytest.mark.parametrize("option", [{"shard": Shard(1, 2)}, {"resume": True}])
    def test_what_cannot_be_read_or_written_twice(self, scorer, inputs, tmp_path, option, monkeypatch):
        name = "--shard" if "shard" in option else "--resume"
        with pytest.raises(UsageError, match=f"{name}: needs a file"):
            predict(scorer, inputs, "-", **option)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b">a\nACGT\n")))
        with pytest.raises(UsageError, match=f"{name}: stdin and pipes can be read only once"):
            predict(scorer, ["-"], str(tmp_path / "out.tsv"), **option)


class TestChunks:
    @given(st.integers(1, 300), st.integers(0, 1000))
    def test_every_chunk_is_in_one_shard_in_order(self, count, num_chunks):
        shares = [Shard(number, count).of(num_chunks) for number in range(1, count + 1)]
        assert list(itertools.chain(*shares)) == list(range(num_chunks))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1

    @given(st.lists(st.integers(0, 50)), st.integers(1, 100), st.integers(1, 9))
    def test_chunks_end_where_they_must_and_nowhere_else(self, lengths, bases, most):
        records = [Record(str(n), "", np.zeros(length, np.uint8), "", 1) for n, length in enumerate(lengths)]
        chunks = [list(chunk) for chunk in cut(records, ChunkSize(bases, most))]
        assert [record.id for chunk in chunks for record in chunk] == [record.id for record in records]
        for chunk in chunks:
            sizes = [len(record.tokens) for record in chunk]
            assert sum(sizes[:-1]) < bases
            assert len(chunk) <= most
        assert all(sum(len(r.tokens) for r in chunk) >= bases or len(chunk) == most for chunk in chunks[:-1])

    def test_what_is_left_of_a_chunk_is_passed_over(self):
        records = [Record(str(n), "", np.zeros(5, np.uint8), "", 1) for n in range(7)]
        assert [next(chunk).id for chunk in cut(records, ChunkSize(10))] == ["0", "2", "4", "6"]

    def test_parse_shard(self):
        assert parse_shard("3/16") == Shard(3, 16)
        for text in ("0/4", "5/4", "3", "3/", "a/b", "-1/3", "1/0", ""):
            with pytest.raises(UsageError, match="--shard"):
                parse_shard(text)


class Killed(BaseException):
    """The end of a process."""


@pytest.fixture
def kill(scorer, monkeypatch):
    """Make the scorer die when it is to score its n-th chunk; or, without n, say how many it has scored."""
    plain = Scorer.predict
    scored = []

    def kill(after=None):
        scored.clear()

        def dying(self, records):
            scored.append(1)
            if after is not None and len(scored) > after:
                raise Killed
            return plain(self, records)

        monkeypatch.setattr(Scorer, "predict", dying)
        return scored

    return kill


class TestResume:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_the_rest_is_predicted_and_the_file_is_the_same(self, scorer, inputs, tmp_path, kill, suffix):
        output = tmp_path / f"out{suffix}"
        whole = predict(scorer, inputs, str(tmp_path / f"whole{suffix}"))
        said = []
        kill(after=5)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(output), warn=said.append)
        assert not output.exists()
        assert "keeps 5 of 14 parts; go on with them by --resume" in said[0]
        scored = kill()
        resumed = predict(scorer, inputs, str(output), resume=True)
        assert len(scored) == 9
        assert output.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
        assert resumed == whole
        assert not (tmp_path / f"out{suffix}.partial").exists()

    def test_a_stop_where_nothing_can_be_kept_is_told(self, scorer, tmp_path, monkeypatch, capsys):
        inputs = write_inputs(tmp_path, [30])
        before = set(tmp_path.iterdir())

        def stop(self, records):
            raise PreemptedError("stopped by SIGTERM")

        monkeypatch.setattr(Scorer, "predict", stop)
        for output, left in ((str(tmp_path / "out.tsv"), "out.tsv is not written"), ("-", "stdout has 0 rows")):
            with pytest.raises(
                PreemptedError, match=f"stopped by SIGTERM; .*{left}, and the same command begins again"
            ):
                predict(scorer, inputs, output)
        assert set(tmp_path.iterdir()) == before

    def test_a_torn_part_is_predicted_again(self, scorer, inputs, tmp_path, kill):
        output = tmp_path / "out.tsv"
        predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        kill(after=5)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(output))
        torn = tmp_path / "out.tsv.partial" / "part-0003.tsv"
        torn.write_bytes(torn.read_bytes()[:-20])
        (tmp_path / "out.tsv.partial" / "part-0005.tsv.shard.json").write_text('{"number"')
        scored = kill()
        predict(scorer, inputs, str(output), resume=True)
        assert len(scored) == 11
        assert output.read_bytes() == (tmp_path / "whole.tsv").read_bytes()

    def test_many_chunks_make_few_parts(self, scorer, inputs, tmp_path, kill, monkeypatch):
        monkeypatch.setattr("genomix.predict.parts.MOST_PARTS", 3)
        predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        kill(after=13)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(tmp_path / "out.tsv"))
        scored = kill()
        predict(scorer, inputs, str(tmp_path / "out.tsv"), resume=True)
        assert len(scored) == 5
        assert (tmp_path / "out.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()

    def test_a_shard_is_resumed(self, scorer, inputs, tmp_path, kill):
        tables = predict_shards(scorer, inputs, tmp_path, ".tsv", 3)
        kill(after=2)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(tmp_path / "again.tsv"), shard=Shard(2, 3))
        with pytest.raises(UsageError, match="--shard: 2/3 there, 3/3 here"):
            predict(scorer, inputs, str(tmp_path / "again.tsv"), shard=Shard(3, 3), resume=True)
        kill()
        predict(scorer, inputs, str(tmp_path / "again.tsv"), shard=Shard(2, 3), resume=True)
        assert (tmp_path / "again.tsv").read_bytes() == tables[1].read_bytes()

    def test_a_whole_shard_is_left_as_it_is(self, scorer, inputs, tmp_path, kill):
        first = predict(scorer, inputs, str(tmp_path / "out.tsv"), shard=Shard(1, 2))
        scored, said = kill(), []
        again = predict(scorer, inputs, str(tmp_path / "out.tsv"), shard=Shard(1, 2), resume=True, warn=said.append)
        assert (scored, len(said)) == ([], 1)
        assert "is complete already" in said[0]
        assert again == first
        with pytest.raises(CannotWriteError, match="exists; use --force"):
            predict(scorer, inputs, str(tmp_path / "out.tsv"), shard=Shard(2, 2), resume=True)
        (tmp_path / "out.tsv").write_text("another")
        with pytest.raises(CannotWriteError, match="exists; use --force"):
            predict(scorer, inputs, str(tmp_path / "out.tsv"), shard=Shard(1, 2), resume=True)

    @pytest.mark.parametrize("lengths", [[300] * 20, [30]])
    def test_a_whole_table_is_left_as_it_is(self, scorer, tmp_path, kill, lengths):
        inputs, output = write_inputs(tmp_path, lengths), tmp_path / "out.tsv"
        whole = predict(scorer, inputs, str(tmp_path / "whole.tsv"))
        assert predict(scorer, inputs, str(output), resume=True) == whole
        assert output.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
        scored, said = kill(), []
        assert predict(scorer, inputs, str(output), resume=True, warn=said.append) == whole
        assert (scored, said) == ([], [f"{output}: is complete already; nothing was predicted"])
        assert not (tmp_path / "out.tsv.partial").exists()
        for change in (lambda: new_scorer(seed=7), lambda: output.write_text("mine") and scorer):
            with pytest.raises(CannotWriteError, match="exists; use --force"):
                predict(change(), inputs, str(output), resume=True)

    def test_an_unfinished_prediction_is_not_lost_by_mistake(self, scorer, inputs, tmp_path, kill):
        kill(after=5)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(tmp_path / "out.tsv"))
        kill()
        with pytest.raises(CannotWriteError, match=r"5 of 14 parts of an unfinished prediction; go on .* --resume"):
            predict(scorer, inputs, str(tmp_path / "out.tsv"))
        scored = kill()
        predict(scorer, inputs, str(tmp_path / "out.tsv"), force=True)
        assert len(scored) == 14

    def test_what_was_begun_otherwise_cannot_be_resumed(self, scorer, inputs, tmp_path, kill):
        output = tmp_path / "out.tsv"
        kill(after=5)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(output))
        kill()
        one_strand = new_scorer(strands="forward")
        other = new_scorer(seed=7)
        with pytest.raises(UsageError, match=r"--strands: both there, forward here\nrepeat .* --force"):
            predict(one_strand, inputs, str(output), resume=True)
        with pytest.raises(UsageError, match=r"\nmodel: [0-9a-f]{12} there, [0-9a-f]{12} here\n"):
            predict(other, inputs, str(output), resume=True)
        with pytest.raises(UsageError, match="input: "):
            predict(scorer, inputs[::-1], str(output), resume=True)
        answers = make_answers(scorer, min_confidence=0.9)
        with pytest.raises(UsageError, match=r"--min-confidence: None there, 0\.9 here"):
            predict(scorer, inputs, str(output), resume=True, answers=answers)
        predict(one_strand, inputs, str(output), resume=True, force=True)
        predict(one_strand, inputs, str(tmp_path / "whole.tsv"))
        assert output.read_bytes() == (tmp_path / "whole.tsv").read_bytes()

    def test_nothing_to_keep_leaves_nothing(self, scorer, inputs, tmp_path, kill):
        kill(after=0)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(tmp_path / "out.tsv"))
        assert {path.name for path in tmp_path.iterdir()} == {"one.fa", "two.csv.gz"}

    def test_another_machine_is_said(self, scorer, inputs, tmp_path, kill, monkeypatch):
        kill(after=5)
        with pytest.raises(Killed):
            predict(scorer, inputs, str(tmp_path / "out.tsv"))
        kill()
        said = []
        monkeypatch.setattr("genomix.predict.parts.describe_machine", lambda _: "an abacus")
        predict(scorer, inputs, str(tmp_path / "out.tsv"), resume=True, warn=said.append)
        assert "another kind of machine" in said[0]


class TestMerge:
    @pytest.fixture
    def tables(self, scorer, inputs, tmp_path):
        return predict_shards(scorer, inputs, tmp_path, ".tsv", 5)

    def test_all_that_is_wrong_is_said_at_once(self, scorer, inputs, tables, tmp_path):
        twice = tmp_path / "twice.tsv"
        predict(scorer, inputs, str(twice), shard=Shard(1, 5))
        other = new_scorer(seed=7)
        predict(other, inputs, str(tables[1]), shard=Shard(2, 5), force=True)
        tables[3].write_text(tables[3].read_text()[:-1] + "!\n")
        tables[4].with_name("part-5.tsv.shard.json").unlink()
        with pytest.raises(DataError) as caught:
            merge([tables[0], twice, tables[1], tables[3], tables[4]], tmp_path / "merged.tsv")
        lines = str(caught.value).splitlines()
        expected = (
            "part-4.tsv: was changed or cut short",
            "part-5.tsv.shard.json: is missing",
            "twice.tsv: is shard 1/5 like",
            "part-2.tsv: does not go with",
            "shard 2/5 is missing",
            "shard 3/5 is missing; predict it by --shard 3/5",
            "shard 5/5 is missing",
        )
        assert len(lines) == len(expected)
        for words in expected:
            assert any(words in line for line in lines), words
        assert not (tmp_path / "merged.tsv").exists()

    def test_other_inputs_and_counts(self, scorer, inputs, tables, tmp_path):
        predict(scorer, inputs[:1], str(tables[2]), shard=Shard(3, 5), force=True)
        predict(scorer, inputs, str(tables[3]), shard=Shard(4, 6), force=True)
        with pytest.raises(DataError) as caught:
            merge(tables, tmp_path / "merged.tsv")
        assert "part-3.tsv: does not go with" in str(caught.value)
        assert "input: " in str(caught.value)
        assert "parts: 6 there, 5 here" in str(caught.value)

    def test_names(self, tables, tmp_path):
        with pytest.raises(NoInputError, match=r"none.tsv: there is no such file.*\n.*nor.tsv"):
            merge([*tables, tmp_path / "none.tsv", tmp_path / "nor.tsv"], tmp_path / "merged.tsv")
        with pytest.raises(UsageError, match=r"the shards are \.tsv"):
            merge(tables, tmp_path / "merged.csv")
        with pytest.raises(UsageError, match="is one of the shards"):
            merge(tables, tables[0], force=True)
        with pytest.raises(CannotWriteError, match="exists"):
            merge(tables[1:], tables[0])
        with pytest.raises(UsageError, match="no shards"):
            merge([], tmp_path / "merged.tsv")

    def test_records_among_the_names_are_no_tables(self, tables, tmp_path):
        found = merge(sorted(tmp_path.glob("part-*")), tmp_path / "merged.tsv")
        assert (found.num_shards, found.num_records) == (5, 80)

    def test_compressed_or_not(self, tables, tmp_path):
        merge(tables, tmp_path / "merged.tsv")
        merge(tables, tmp_path / "merged.tsv.gz")
        assert gzip.decompress((tmp_path / "merged.tsv.gz").read_bytes()) == (tmp_path / "merged.tsv").read_bytes()

    def test_an_unfinished_shard(self, tables, tmp_path):
        (tmp_path / "part-6.tsv.partial").mkdir()
        with pytest.raises(NoInputError, match="unfinished prediction; finish it by genomix predict --resume"):
            merge([*tables, tmp_path / "part-6.tsv.partial"], tmp_path / "merged.tsv")

    def test_a_record_of_a_newer_version(self, tables, tmp_path):
        record = tmp_path / "part-2.tsv.shard.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"schema_version": 2}))
        with pytest.raises(DataError, match="written by a newer genomix"):
            merge(tables, tmp_path / "merged.tsv")

    def test_line_breaks_in_quotes(self, tmp_path, inputs):
        scorer = Scorer(make_model("kmer", classes=("a\nb", 'c"d', "e")), batch_bases=BATCH)
        predict(scorer, inputs, str(tmp_path / "whole.csv"))
        merge(predict_shards(scorer, inputs, tmp_path, ".csv", 3), tmp_path / "merged.csv")
        assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_whatever_changes_the_rows_changes_the_fingerprint(scorer):
    shortest = make_model("kmer")
    shortest.meta.train_lengths.min = 7
    others = [make_model("kmer", seed=1), make_model("kmer", classes=("a", "b", "d")), shortest]
    prints = {fingerprint(Scorer(model)) for model in others} | {fingerprint(scorer)}
    assert len(prints) == 4
    assert fingerprint(Scorer(make_model("kmer"))) == fingerprint(scorer)
    assert fingerprint(Ensemble([scorer, new_scorer(seed=1)])) != fingerprint(Ensemble([new_scorer(seed=1), scorer]))
