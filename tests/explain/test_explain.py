"""Explanations from files to a directory: strands, tracks, tables and pictures that say the same."""

import json

import numpy as np
import pytest
from explained import make_model, random_tokens
from pyfaidx import Fasta

from genomix.data.vocabulary import decode, reverse_complement
from genomix.errors import CannotWriteError, DataError, UsageError
from genomix.explain import Explainer, explain
from genomix.explain.output import join_equal
from genomix.explain.reading import Reading

bigwig = pytest.importorskip("pyBigWig")
METHODS = ["mutagenesis", "gradient", "mixing"]


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "data.fa"
    path.write_text("".join(f">r{i} x\n{decode(random_tokens(length, i))}\n" for i, length in enumerate((40, 64, 17))))
    return path


def reading(tokens, start=0, end=None):
    return Reading("r", len(tokens), tokens, 0, start, len(tokens) if end is None else end)


@pytest.mark.parametrize("method", METHODS)
class TestStrands:
    def test_the_other_strand_gets_the_same(self, method):
        model = make_model()
        tokens = random_tokens(45)
        ways = {"steps": 40, "baseline": "uniform"}
        both = Explainer(model, method, "a", strands="both", **ways)
        _, score, found = both.explain(reading(tokens, 5, 20))
        _, other_score, other = both.explain(reading(reverse_complement(tokens), 25, 40))
        assert score == pytest.approx(other_score)
        for name, values in found.tracks.items():
            assert np.isfinite(values[5:20][tokens[5:20] < 4]).all()
            np.testing.assert_allclose(values[5:20], other.tracks[name][::-1][5:20], rtol=1e-7, atol=1e-10)
        for base, complement in zip("ACGT", "TGCA", strict=True):
            if method == "mutagenesis":
                mirrored = other.columns[f"delta_{complement}"][::-1]
                np.testing.assert_allclose(found.columns[f"delta_{base}"], mirrored, rtol=1e-7, atol=1e-10)

    def test_mean_of_the_strands(self, method):
        model = make_model()
        tokens = random_tokens(45)
        both, one = (Explainer(model, method, "a", strands=strands, steps=3) for strands in ("both", "forward"))
        found = both.explain(reading(tokens))[2].attribution
        forward = one.explain(reading(tokens))[2].attribution
        reverse = one.explain(reading(reverse_complement(tokens)))[2].attribution[::-1]
        np.testing.assert_allclose(found, (forward + reverse) / 2, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_all_files_say_the_same(method, fasta, tmp_path):
    model = make_model()
    explainer = Explainer(model, method, steps=4)
    out = tmp_path / "out"
    summary = explain(explainer, [str(fasta)], out, regions=["r1:10-60", "r0", "r1:60-64"], kmer_length=3, most_plots=1)
    assert (summary.num_explained, summary.num_bases) == (3, 94)
    names = {"mutagenesis": ["effect"], "mixing": ["influence"]}.get(method, [])
    names = ["attribution", *names]
    columns = [f"delta_{base}" for base in "ACGT"] if method == "mutagenesis" else []
    tracks = {f"{name}{suffix}" for name in names for suffix in (".bw", ".bedGraph")}
    tables = {"attributions.tsv", "attributions.npz", "top_kmers.tsv", "explain.json"}
    assert {path.name for path in out.iterdir()} == tracks | tables | {"plot-1-r0.png", "plot-1-r0.svg"}

    header, *lines = (out / "attributions.tsv").read_text().splitlines()
    assert header.split("\t") == ["sequence", "position", "base", "class", *names, *columns]
    rows = [line.split("\t") for line in lines]
    places = [("r0", i) for i in range(40)] + [("r1", i) for i in range(10, 64)]
    assert [(row[0], int(row[1])) for row in rows] == places
    sequences = Fasta(str(fasta))
    assert [row[2] for row in rows] == [str(sequences[name][place]) for name, place in places]

    archive = np.load(out / "attributions.npz")
    assert archive["sequences"].tolist() == ["r0", "r1", "r1"]
    assert archive["offsets"].tolist() == [0, 40, 90, 94]
    assert archive["bases"].astype(str).tolist() == [row[2] for row in rows]
    facts = json.loads((out / "explain.json").read_text())
    for number, name in enumerate([*names, *columns], 4):
        values = np.array([float(row[number] or "nan") for row in rows])
        np.testing.assert_allclose(archive[name], values, rtol=1e-5, atol=1e-12)
        if name in columns:
            continue
        with bigwig.open(str(out / f"{name}.bw")) as track:
            assert track.chroms() == {"r0": 40, "r1": 64}
            found = np.concatenate([track.values("r0", 0, 40), track.values("r1", 10, 64)])
            assert np.isnan(track.values("r1", 0, 10)).all()
        np.testing.assert_allclose(found, archive[name], rtol=1e-6, atol=1e-12)
        text = [line.split("\t") for line in (out / f"{name}.bedGraph").read_text().splitlines() if "\t" in line]
        spread = {(row[0], i): float(row[3]) for row in text for i in range(int(row[1]), int(row[2]))}
        np.testing.assert_allclose([spread.get(place, np.nan) for place in places], found, rtol=1e-6, atol=1e-12)
    assert [entry["class"] for entry in facts["records"]] == archive["classes"].tolist()
    for entry, name in zip(facts["records"], ("r0", "r1", "r1"), strict=True):
        tokens = random_tokens(len(sequences[name]), int(name[1]))
        score, value, _ = explainer.explain(reading(tokens))
        assert (entry["class"], entry["formula"]) == (score.label, score.formula)
        assert entry["score"] == pytest.approx(value)
    assert (out / "plot-1-r0.png").read_bytes()[:4] == b"\x89PNG"
    kmers = [line.split("\t") for line in (out / "top_kmers.tsv").read_text().splitlines()[1:]]
    for _, kmer, _, _, name, start, end in kmers:
        assert str(sequences[name][int(start) : int(end)]) == kmer


def test_what_was_there_stays_or_goes(fasta, tmp_path, monkeypatch):
    out = tmp_path / "out"
    explainer = Explainer(make_model(), "mixing")
    explain(explainer, [str(fasta)], out, most_plots=1)
    facts = json.loads((out / "explain.json").read_text())
    assert sorted(facts["files"]) == sorted(path.name for path in out.iterdir())
    mine = {name: name.encode() for name in ("notes.txt", "coverage.bw", "genes.bedGraph", "plot-7-mine.png")}
    for name, content in mine.items():
        (out / name).write_bytes(content)
    (tmp_path / "beside.png").write_bytes(b"mine")
    facts["files"] += ["notes.txt", "../beside.png", "coverage.bw", "plot-9-gone.svg"]
    (out / "explain.json").write_text(json.dumps(facts))
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def there():
        return {path.name: path.read_bytes() for path in out.iterdir()}

    with pytest.raises(CannotWriteError, match="--force"):
        explain(explainer, [str(fasta)], out)
    with monkeypatch.context() as patch:
        patch.setattr("genomix.explain.output.KmerTable.top", full)
        with pytest.raises(CannotWriteError, match="the disk is full"):
            explain(explainer, [str(fasta)], out, regions=["r2"], most_plots=1, force=True)
    assert there() == before
    explain(explainer, [str(fasta)], out, regions=["r2"], most_plots=1, force=True)
    after = there()
    assert after.items() >= mine.items()
    assert (tmp_path / "beside.png").read_bytes() == b"mine"
    plots = {"plot-1-r2.png", "plot-1-r2.svg"}
    assert after.keys() == before.keys() - {"plot-1-r0.png", "plot-1-r0.svg"} | plots
    assert json.loads(after["explain.json"])["records"][0]["id"] == "r2"


def full(*_):
    raise OSError("the disk is full")


def test_too_much_work_is_refused_with_its_amount(fasta, tmp_path):
    explainer = Explainer(make_model(), "mutagenesis", "a")
    said = []
    known = sum(int((random_tokens(length, i) < 4).sum()) for i, length in enumerate((40, 64, 17)))
    expected = rf"takes {3 * known + 3} evaluations .* --max-evaluations {3 * known + 3}"
    with pytest.raises(UsageError, match=expected):
        explain(explainer, [str(fasta)], tmp_path / "out", max_evaluations=50)
    assert not (tmp_path / "out").exists()
    explain(explainer, [str(fasta)], tmp_path / "out", regions=["r0:0-5"], say=said.append)
    assert "16 evaluations of the model, each of up to 40 bp" in said[0]


def test_nothing_to_replace(tmp_path):
    (tmp_path / "n.fa").write_text(">n\nNNNNNN\n")
    with pytest.raises(DataError, match="no known base"):
        explain(Explainer(make_model(), "mutagenesis", "a"), [str(tmp_path / "n.fa")], tmp_path / "out")


def test_a_gap_in_the_sum_is_said(fasta, tmp_path):
    warned = []
    explainer = Explainer(make_model(), "gradient", "a", baseline="uniform", steps=1)
    explain(explainer, [str(fasta)], tmp_path / "out", regions=["r0"], warn=warned.append)
    assert "take more --steps" in warned[0]


def test_equal_neighbours_are_joined():
    starts, ends, values = join_equal(np.array([1.0, 1, 2, np.nan, np.nan, 2, 2, 3]))
    assert (starts.tolist(), ends.tolist(), values.tolist()) == ([0, 2, 5, 7], [2, 3, 7, 8], [1, 2, 2, 3])
    assert [len(part) for part in join_equal(np.array([]))] == [0, 0, 0]


def test_options_that_contradict():
    with pytest.raises(UsageError, match="--against a: name the class"):
        Explainer(make_model(), "gradient", against="a")
    with pytest.raises(UsageError, match="k-mers"):
        Explainer(make_model("kmer"), "mixing")
    with pytest.raises(UsageError, match="k-mers"):
        Explainer(make_model("kmer"), "gradient")
