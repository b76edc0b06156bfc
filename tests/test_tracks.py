"""Tracks of genomes against a plain computation base by base, whatever way the sequences are read."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent / "scoring"))
from scored import make_model

from genomix.data.vocabulary import ENCODING
from genomix.data.windows import cover
from genomix.errors import CannotWriteError, DataError, NoInputError, PreemptedError, Problems, UsageError
from genomix.scoring import Ensemble, Scorer
from genomix.stopping import Stopping
from genomix.tracks import choose_settings, write_tracks
from genomix.tracks.blend import Scored, blend
from genomix.tracks.grid import Grid
from genomix.tracks.indexed import open_indexed
from genomix.tracks.journal import TrackJournal, row_type

WINDOW, STRIDE = 32, 12
GRIDS = st.builds(lambda window, stride: Grid(window, min(window, stride)), st.integers(1, 12), st.integers(1, 12))


def make_sequences(seed=0):
    rng = random.Random(seed)
    letters = {name: "".join(rng.choices("ACGT", k=size)) for name, size in (("one", 333), ("two", 45), ("three", 80))}
    return letters | {
        "gap": letters["one"][:100] + "N" * 90 + letters["one"][100:150],
        "short": "ACGTAC",
        "four": "ACGT" * 5,
    }


def fasta(sequences, width=17, end="\n"):
    lines = []
    for name, letters in sequences.items():
        lines += [f">{name} some words", *(letters[i : i + width] for i in range(0, len(letters), width))]
    return end.join(lines) + end


@pytest.fixture(scope="module")
def scorer():
    return Scorer(make_model(), batch_bases=64)


@pytest.fixture(scope="module")
def chosen(scorer):
    """Settings by which a unit has 4 windows."""
    return choose_settings(scorer, stride=STRIDE)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(fasta(make_sequences()))
    return path


def bed(tmp_path, text="one\t40\t75\none\t70\t90\none\t300\t333\nthree\t0\t1\ngap\t95\t200\n"):
    path = tmp_path / "r.bed"
    path.write_text(text)
    return str(path)


def read(path):
    rows = [line.split("\t") for line in Path(path).read_text().splitlines()[1:]]
    return [(name, int(start), int(end), tuple(map(float, values))) for name, start, end, *values in rows]


def dense(rows, sequences, num_tracks):
    """Return the values of all bases (L, T) by sequence, NaN where there is none."""
    bases = {name: np.full((len(letters), num_tracks), np.nan) for name, letters in sequences.items()}
    for name, start, end, values in rows:
        assert np.isnan(bases[name][start:end]).all()
        bases[name][start:end] = values
    return bases


def plain(scorer, sequences, window=WINDOW, stride=STRIDE, max_unknown=0.5, shortest=10):
    """The values of all bases by the definition: each window by itself, each base by itself."""
    found = {}
    for name, letters in sequences.items():
        tokens = np.frombuffer(letters.encode().translate(ENCODING), np.uint8)
        sums, counts = np.zeros((len(letters), len(scorer.classes))), np.zeros((len(letters), 1))
        for start, end in cover(len(letters), window, stride):
            if len(letters) >= shortest and np.mean(tokens[start:end] == 4) <= max_unknown:
                sums[start:end] += next(iter(scorer.score([tokens[start:end]])))
                counts[start:end] += 1
        with np.errstate(invalid="ignore"):
            found[name] = sums / counts
    return found


def assert_equal(found, expected, tolerance=1e-6):
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance)


class TestGrid:
    @given(GRIDS, st.integers(1, 60))
    def test_a_whole_sequence_has_the_windows_that_cover_it(self, grid, length):
        assert list(grid.windows(length, None)) == cover(length, grid.window, grid.stride)
        assert grid.count(length) == len(cover(length, grid.window, grid.stride))

    @given(GRIDS, st.integers(1, 60), st.data())
    def test_regions_have_those_that_touch_them(self, grid, length, data):
        bounds = sorted(data.draw(st.sets(st.integers(0, length), max_size=8)))
        regions = np.array(bounds[: len(bounds) // 2 * 2], dtype=np.int64).reshape(-1, 2)
        touching = [
            window
            for window in cover(length, grid.window, grid.stride)
            if any(window.start < end and start < window.end for start, end in regions)
        ]
        assert list(grid.windows(length, regions)) == touching


class TestBlend:
    @settings(max_examples=200)
    @given(GRIDS, st.integers(1, 60), st.integers(0, 2**32 - 1), st.booleans())
    def test_values_are_means_whatever_the_parts(self, grid, length, seed, has_regions):
        rng = np.random.default_rng(seed)
        windows = [window for window in grid.windows(length, None) if rng.random() < 0.7]
        bounds = np.sort(rng.choice(length + 1, size=min(6, length + 1) // 2 * 2, replace=False))
        regions = bounds.reshape(-1, 2) if has_regions else None
        scores = rng.random((len(windows), 2))
        wanted = np.full((length, 2), np.nan)
        for base in range(length):
            covering = [score for (start, end), score in zip(windows, scores, strict=True) if start <= base < end]
            if covering and (regions is None or any(start <= base < end for start, end in regions)):
                wanted[base] = np.mean(covering, axis=0)
        cuts = np.sort(rng.integers(0, len(windows) + 1, size=3))
        edges = np.array(windows, dtype=np.int64).reshape(-1, 2)
        parts = zip(np.split(edges[:, 0], cuts), np.split(edges[:, 1], cuts), np.split(scores, cuts), strict=True)
        found, last = np.full((length, 2), np.nan), 0
        for starts, ends, values in blend((Scored(*part) for part in parts), regions):
            for start, end, value in zip(starts, ends, values, strict=True):
                assert last <= start < end
                found[start:end], last = value, end
        np.testing.assert_allclose(found, wanted, atol=1e-12)


class TestValues:
    def test_they_are_the_means_over_windows(self, scorer, chosen, genome, tmp_path):
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"))
        found = dense(read(tmp_path / "s.tsv"), make_sequences(), 3)
        assert_equal(found, plain(scorer, make_sequences()))
        assert summary.num_bases == sum(np.isfinite(values[:, 0]).sum() for values in found.values())
        assert (summary.num_n_rich, summary.num_too_short) == (7, 1)
        assert (
            summary.num_scored + 8
            == summary.num_windows
            == sum(len(cover(len(letters), WINDOW, STRIDE)) for letters in make_sequences().values())
        )

    def test_bases_without_a_scored_window_have_none(self, chosen, genome, tmp_path):
        write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"))
        found = dense(read(tmp_path / "s.tsv"), make_sequences(), 3)
        assert np.isnan(found["short"]).all()
        assert np.isfinite(found["four"]).all()
        assert np.isnan(found["gap"][120:170]).all()

    @pytest.mark.parametrize(("max_unknown", "skipped"), [(1, 0), (0, 10)])
    def test_how_much_may_be_unknown(self, scorer, genome, tmp_path, max_unknown, skipped):
        some = choose_settings(scorer, stride=STRIDE, max_unknown=max_unknown)
        summary = write_tracks(some, [str(genome)], str(tmp_path / "s.tsv"))
        assert summary.num_n_rich == skipped
        found = dense(read(tmp_path / "s.tsv"), make_sequences(), 3)
        assert_equal(found, plain(scorer, make_sequences(), max_unknown=max_unknown))

    def test_regions_have_the_values_of_the_whole(self, chosen, genome, tmp_path):
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "r.tsv"), regions=bed(tmp_path))
        write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"))
        found = dense(read(tmp_path / "r.tsv"), make_sequences(), 3)
        whole = dense(read(tmp_path / "s.tsv"), make_sequences(), 3)
        inside = {name: np.zeros(len(values), bool) for name, values in whole.items()}
        for name, start, end in (("one", 40, 90), ("one", 300, 333), ("three", 0, 1), ("gap", 95, 200)):
            inside[name][start:end] = True
        assert_equal(found, {name: np.where(inside[name][:, None], whole[name], np.nan) for name in whole})
        assert summary.num_regions == (5, 4)
        assert summary.num_windows < 45

    def test_several_models_give_their_mean(self, genome, tmp_path):
        members = [Scorer(make_model(path=Path(f"m{seed}"), seed=seed), batch_bases=64) for seed in (1, 2)]
        for name, one in (("a", members[0]), ("b", members[1]), ("both", Ensemble(members))):
            write_tracks(choose_settings(one, stride=STRIDE), [str(genome)], str(tmp_path / f"{name}.tsv"))
        a, b, both = (dense(read(tmp_path / f"{name}.tsv"), make_sequences(), 3) for name in ("a", "b", "both"))
        assert_equal(both, {name: (a[name] + b[name]) / 2 for name in a})

    def test_chosen_classes_are_columns_of_all(self, scorer, chosen, genome, tmp_path):
        write_tracks(chosen, [str(genome)], str(tmp_path / "all.tsv"))
        some = choose_settings(scorer, stride=STRIDE, classes="c,a")
        write_tracks(some, [str(genome)], str(tmp_path / "some.tsv"))
        assert [row[3] for row in read(tmp_path / "some.tsv")] == [row[3][::-2] for row in read(tmp_path / "all.tsv")]

    @pytest.mark.parametrize("suffix", [".bed", ".bed.gz"])
    def test_the_likeliest_of_some_classes_is_not_named(self, scorer, genome, tmp_path, suffix):
        some, output = choose_settings(scorer, stride=STRIDE, classes="c,a"), tmp_path / f"s{suffix}"
        with pytest.raises(UsageError, match=r"--classes c,a: .* one that is left out, such as b; .* \.bedgraph"):
            write_tracks(some, [str(genome)], str(output))
        assert list(tmp_path.iterdir()) == [genome]
        write_tracks(choose_settings(scorer, stride=STRIDE, classes="c,b,a"), [str(genome)], str(output))
        several = Scorer(make_model(**{"data.labels": "multi"}), batch_bases=64)
        write_tracks(choose_settings(several, stride=STRIDE, classes="a"), [str(genome)], str(output), force=True)

    def test_a_window_may_be_wider_than_the_model_was_made_for(self, genome, tmp_path):
        free = Scorer(make_model(), batch_bases=64)
        wide = choose_settings(free, window=2 * WINDOW, stride=STRIDE)
        write_tracks(wide, [str(genome)], str(tmp_path / "s.tsv"))
        found = dense(read(tmp_path / "s.tsv"), make_sequences(), 3)
        assert_equal(found, plain(Scorer(free.model, long="whole"), make_sequences(), window=2 * WINDOW))


class TestSettings:
    def test_defaults(self, scorer):
        made = choose_settings(scorer)
        assert made.grid == Grid(WINDOW, WINDOW // 4)
        assert made.names == ["a", "b", "c"]
        assert made.shortest == 10
        assert choose_settings(scorer, window=8).shortest == 8

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({"stride": 33}, "--stride 33"),
            ({"window": 8, "stride": 9}, "--stride 9"),
            ({"max_unknown": 1.5}, "--max-unknown 1.5"),
            ({"classes": "a,x"}, "no class 'x'; it has a, b, c"),
            ({"classes": "a,a"}, "named twice"),
        ],
    )
    def test_what_cannot_be(self, scorer, asked, words):
        with pytest.raises(UsageError, match=words):
            choose_settings(scorer, **asked)

    def test_a_model_of_any_length_wants_a_window(self):
        kmer = Scorer(make_model("kmer"))
        with pytest.raises(UsageError, match="--window 1000"):
            choose_settings(kmer)
        assert choose_settings(kmer, window=40).grid == Grid(40, 10)

    def test_a_model_bound_to_its_places_reads_no_more(self):
        bound = Scorer(make_model("paramixer-paper", **{"model.embedding.dim": 8}))
        with pytest.raises(UsageError, match="place for each of 32 bases"):
            choose_settings(bound, window=33)
        assert choose_settings(bound, window=32).grid.window == 32

    def test_the_least_of_several_lengths(self):
        members = [Scorer(make_model(path=Path(str(n)), **{"model.max_length": n})) for n in (32, 24)]
        assert choose_settings(Ensemble(members)).grid.window == 24


@pytest.fixture(params=["plain", "windows line ends", "bgzip"])
def indexed(request, tmp_path):
    """A FASTA file with a fresh index."""
    import pyfaidx

    folder = tmp_path / "data"
    folder.mkdir()
    text = fasta(make_sequences(), end="\r\n" if request.param == "windows line ends" else "\n")
    path = folder / ("g.fa.gz" if request.param == "bgzip" else "g.fa")
    if request.param == "bgzip":
        with bgzf.BgzfWriter(str(path)) as file:
            file.write(text)
    else:
        path.write_bytes(text.encode())
    pyfaidx.Faidx(str(path)).close()
    return path


def state(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


class TestIndex:
    def test_both_ways_give_the_same_file(self, chosen, indexed, tmp_path):
        before = state(indexed.parent)
        by_index = write_tracks(chosen, [str(indexed)], str(tmp_path / "a.tsv"), regions=bed(tmp_path))
        assert state(indexed.parent) == before
        indexed.with_name(indexed.name + ".fai").unlink()
        as_stream = write_tracks(chosen, [str(indexed)], str(tmp_path / "b.tsv"), regions=bed(tmp_path))
        assert (by_index.by_index, as_stream.by_index) == (True, False)
        assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()
        assert not indexed.with_name(indexed.name + ".fai").exists()

    def test_every_piece_is_that_of_the_sequence(self, indexed):
        sequences = make_sequences()
        genome = open_indexed([str(indexed)], dict.fromkeys(sequences), "error")
        for sequence in genome.sequences():
            tokens = np.frombuffer(sequences[sequence.name].encode().translate(ENCODING), np.uint8)
            assert sequence.length == len(tokens)
            for start in range(0, len(tokens), 5):
                for end in {start + 1, start + 17, min(start + 18, len(tokens)), len(tokens)}:
                    if end <= len(tokens):
                        assert (sequence.read(start, end) == tokens[start:end]).all()

    def test_an_index_older_than_its_file_is_not_used(self, indexed):
        index = indexed.with_name(indexed.name + ".fai")
        os.utime(index, ns=(0, indexed.stat().st_mtime_ns - 1))
        assert open_indexed([str(indexed)], {"one": None}, "error") is None

    @pytest.mark.parametrize("change", ["rewrapped", "longer", "renamed", "shorter"])
    def test_an_index_of_other_content_is_not_used_though_it_looks_newer(self, indexed, change):
        sequences = make_sequences()
        sequences["one"] = {"longer": sequences["one"] + "A", "shorter": sequences["one"][1:]}.get(
            change, sequences["one"]
        )
        if change == "renamed":
            sequences = {"ten" if name == "one" else name: letters for name, letters in sequences.items()}
        text = fasta(sequences, width=19 if change == "rewrapped" else 17)
        if indexed.suffix == ".gz":
            with bgzf.BgzfWriter(str(indexed)) as file:
                file.write(text)
        else:
            indexed.write_text(text)
        for suffix in (".fai", ".gzi"):
            if (index := indexed.with_name(indexed.name + suffix)).exists():
                os.utime(index, ns=(0, indexed.stat().st_mtime_ns + 10**9))
        assert open_indexed([str(indexed)], {"one": None}, "error") is None

    def test_bad_letters_are_found_before_anything_is_computed(self, scorer, chosen, tmp_path):
        import pyfaidx

        path = tmp_path / "g.fa"
        path.write_text(fasta(make_sequences() | {"one": "ACGT" * 10 + "J" + "ACGT" * 80}))
        pyfaidx.Faidx(str(path)).close()
        with pytest.raises(DataError, match=r"'one'.*'J' at base 41"):
            write_tracks(chosen, [str(path)], str(tmp_path / "s.tsv"), regions=bed(tmp_path))
        masked = write_tracks(chosen, [str(path)], str(tmp_path / "a.tsv"), regions=bed(tmp_path), on_invalid="mask")
        Path(f"{path}.fai").unlink()
        write_tracks(chosen, [str(path)], str(tmp_path / "b.tsv"), regions=bed(tmp_path), on_invalid="mask")
        assert masked.by_index
        assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


class TestBadInput:
    def test_all_at_once_before_anything_is_computed(self, chosen, tmp_path):
        (tmp_path / "g.fa").write_text(">one\nACGJ\n>two\nACGT\n>two\nACGTA\n")
        regions = bed(tmp_path, "two\t0\t3\none\tx\t3\ntwoo\t0\t1\n")
        with pytest.raises(DataError) as raised:
            write_tracks(chosen, [str(tmp_path / "g.fa")], str(tmp_path / "s.tsv"), regions=regions)
        for words in (
            'g.fa:2: record "one"',
            "g.fa:5: record 'two'",
            "r.bed:2: start",
            "r.bed:3: there is no sequence",
        ):
            assert words in str(raised.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["g.fa", "r.bed"]

    def test_nothing_to_score(self, chosen, tmp_path):
        (tmp_path / "g.fa").write_text(">one\n" + "N" * 100 + "\n>two\nACG\n")
        with pytest.raises(DataError, match="no window could be scored: 7 of 8"):
            write_tracks(chosen, [str(tmp_path / "g.fa")], str(tmp_path / "s.tsv"))

    def test_no_file(self, chosen, tmp_path):
        with pytest.raises(NoInputError):
            write_tracks(chosen, [str(tmp_path / "none.fa")], str(tmp_path / "s.tsv"))


class StoppedError(Exception):
    pass


def stop_after(num_windows):
    def progress(done, total):
        if done >= num_windows:
            raise StoppedError

    return progress


class TestResume:
    @pytest.fixture
    def whole(self, chosen, genome, tmp_path):
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "whole.tsv"))
        assert summary.num_windows > 3 * 16
        return (tmp_path / "whole.tsv").read_bytes()

    def stop(self, chosen, genome, output, **options):
        with pytest.raises(StoppedError):
            write_tracks(chosen, [str(genome)], str(output), progress=stop_after(32), **options)
        assert not output.exists()
        return output.with_name(output.name + ".partial")

    def test_the_file_is_that_of_a_run_that_was_never_stopped(self, chosen, genome, tmp_path, whole):
        journal = self.stop(chosen, genome, tmp_path / "s.tsv")
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), resume=True)
        assert summary.num_resumed == 32
        assert (tmp_path / "s.tsv").read_bytes() == whole
        assert not journal.exists()

    def test_a_file_that_came_in_between_is_not_replaced(self, chosen, genome, tmp_path):
        self.stop(chosen, genome, tmp_path / "s.tsv")
        (tmp_path / "s.tsv").write_text("mine")
        with pytest.raises(CannotWriteError, match="exists"):
            write_tracks(
                chosen, [str(genome)], str(tmp_path / "s.tsv"), resume=True, progress=lambda *_: pytest.fail("too late")
            )
        assert (tmp_path / "s.tsv").read_text() == "mine"

    def test_what_was_torn_is_scored_again(self, chosen, genome, tmp_path, whole):
        journal = self.stop(chosen, genome, tmp_path / "s.tsv")
        data = (journal / "windows.bin").read_bytes()
        for torn in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), data + b"\0" * 40, data + data[:11]):
            (journal / "windows.bin").write_bytes(torn)
            kept = write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), resume=True, force=True).num_resumed
            assert kept == (28 if len(torn) <= len(data) else 32)
            assert (tmp_path / "s.tsv").read_bytes() == whole
            (tmp_path / "s.tsv").unlink()
            self.stop(chosen, genome, tmp_path / "s.tsv")

    def test_the_units_do_not_matter(self, chosen, genome, tmp_path, whole, monkeypatch):
        monkeypatch.setattr("genomix.tracks.work.BATCHES", 16)
        seen = []
        write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), progress=lambda done, _: seen.append(done))
        assert seen[:2] == [0, 32]
        assert (tmp_path / "s.tsv").read_bytes() == whole

    def test_complete_tracks_are_known(self, scorer, chosen, genome, tmp_path, whole):
        said, output = [], tmp_path / "s.bedgraph"

        def ask(some=chosen, **options):
            return write_tracks(some, [str(genome)], str(output), warn=said.append, **options)

        first = ask(resume=True)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        again = ask(resume=True, progress=lambda *_: pytest.fail("nothing is to be done"))
        assert (first.was_complete, again.was_complete) == (False, True)
        assert said == [f"{output}: is complete already; nothing was predicted"]
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
        with pytest.raises(CannotWriteError, match="exists"):
            ask()
        with pytest.raises(CannotWriteError, match="exists"):
            ask(choose_settings(scorer, stride=STRIDE + 1), resume=True)
        (tmp_path / "s.b.bedgraph").write_text("mine")
        with pytest.raises(CannotWriteError, match="exists"):
            ask(resume=True)
        assert (tmp_path / "s.b.bedgraph").read_text() == "mine"

    def test_a_kill_behind_the_last_moment(self, chosen, genome, tmp_path, whole, monkeypatch):
        monkeypatch.setattr(TrackJournal, "close", lambda _: None)
        write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), resume=True)
        monkeypatch.undo()
        assert (tmp_path / "s.tsv.partial").is_dir()
        assert write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), resume=True).was_complete
        assert not (tmp_path / "s.tsv.partial").exists()

    def test_without_resume_nothing_of_it_is_lost(self, chosen, genome, tmp_path):
        journal = self.stop(chosen, genome, tmp_path / "s.tsv")
        before = (journal / "windows.bin").read_bytes()
        with pytest.raises(CannotWriteError, match="--resume"):
            write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"))
        assert (journal / "windows.bin").read_bytes() == before
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), force=True)
        assert summary.num_resumed == 0

    def test_what_differs_is_named(self, scorer, chosen, genome, tmp_path):
        self.stop(chosen, genome, tmp_path / "s.tsv")
        other = Scorer(make_model(seed=5), batch_bases=64, strands="forward")
        genome.write_text(fasta(make_sequences(seed=1)))
        some = choose_settings(other, stride=STRIDE + 1, max_unknown=0.4)
        with pytest.raises(UsageError) as raised:
            write_tracks(some, [str(genome)], str(tmp_path / "s.tsv"), resume=True, regions=bed(tmp_path))
        lines = str(raised.value).splitlines()[1:-1]
        named = [line.split(": ")[0] for line in lines]
        assert named == ["model", "input", "--regions", "--stride", "--max-unknown", "--strands"]
        assert "--stride: 12 there, 13 here" in lines

    def test_a_stop_that_a_library_takes_for_a_failure_is_a_stop(self, chosen, genome, tmp_path, monkeypatch):
        stopping = Stopping()

        def fail(*arguments, **options):
            stopping.ask("SIGTERM")
            raise DataError("could not be read back")

        monkeypatch.setattr("genomix.tracks.track.TrackWriter", fail)
        with pytest.raises(PreemptedError, match="stopped by SIGTERM"):
            write_tracks(chosen, [str(genome)], str(tmp_path / "s.bw"), stopping=stopping)
        assert (tmp_path / "s.bw.partial" / "written").exists()

    def test_a_kill_between_the_last_window_and_the_end(self, chosen, genome, tmp_path, whole, monkeypatch):
        import genomix.tracks.track

        def fail(*arguments, **options):
            (tmp_path / "s.a.bedgraph").write_text("of before the kill")
            raise StoppedError

        monkeypatch.setattr(genomix.tracks.track, "TrackWriter", fail)
        with pytest.raises(StoppedError):
            write_tracks(chosen, [str(genome)], str(tmp_path / "s.bedgraph"))
        monkeypatch.undo()
        with pytest.raises(CannotWriteError, match="exists"):
            write_tracks(chosen, [str(genome)], str(tmp_path / "s.bedgraph"))
        summary = write_tracks(chosen, [str(genome)], str(tmp_path / "s.bedgraph"), resume=True)
        assert summary.num_resumed == summary.num_windows
        assert len((tmp_path / "s.a.bedgraph").read_text().splitlines()) == len(read(tmp_path / "whole.tsv"))

    def test_other_peoples_directories_are_left_alone(self, chosen, genome, tmp_path):
        (tmp_path / "s.tsv.partial").mkdir()
        (tmp_path / "s.tsv.partial" / "thesis.txt").write_text("mine")
        for options in ({}, {"force": True}, {"resume": True}):
            with pytest.raises(CannotWriteError, match=r"thesis\.txt"):
                write_tracks(chosen, [str(genome)], str(tmp_path / "s.tsv"), **options)
        assert (tmp_path / "s.tsv.partial" / "thesis.txt").read_text() == "mine"

    def test_a_journal_holds_what_was_put_in(self, tmp_path):
        journal = TrackJournal(tmp_path / "s.bw", row_type(2))
        assert journal.open({"a": "1"}, resume=True, force=False) == (0, True)
        rows = np.zeros(3, journal.kind)
        rows["scores"] = np.arange(6).reshape(3, 2)
        for size in (3, 1):
            journal.append(rows[:size])
        assert [len(unit) for unit in journal.units()] == [3, 1]
        assert (next(journal.units()) == rows).all()
        assert journal.open({"a": "1"}, resume=True, force=False) == (2, True)
        with pytest.raises(UsageError, match="a: 1 there, 2 here"):
            journal.open({"a": "2"}, resume=True, force=False)


def test_problems_of_an_index_are_told(tmp_path):
    import pyfaidx

    (tmp_path / "g.fa").write_text(">one\nACGTJ\n")
    pyfaidx.Faidx(str(tmp_path / "g.fa")).close()
    problems = Problems()
    genome = open_indexed([str(tmp_path / "g.fa")], {"one": None}, "error")
    assert genome.survey({"one": np.array([[0, 5]])}, problems) == {"one": 5}
    assert problems.total == 1
