"""Explanations from the command line."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tiny import to_fasta

ROOT = Path(__file__).parent.parent.parent
ONE_THREAD = ("--threads", "1", "--device", "cpu")


@pytest.mark.parametrize("method", ["mutagenesis", "gradient", "mixing"])
def test_each_method(genomix, run, data, tmp_path, method):
    options = ("--method", method, "--region", "r3:10-40", "--region", "r5:0-20", "--plots", 0)
    options += ("--steps", 4, "--baseline", "uniform") if method == "gradient" else ()
    done = genomix("explain", run, data.fasta, "-o", tmp_path / "out", *options, *ONE_THREAD)
    assert done.code == 0, done.stderr
    assert done.stdout == ""
    assert f"{method} of 50 bp in 2 pieces" in done.stderr
    facts = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert facts["method"] == method
    assert facts["explained"] == ("model" if method == "mutagenesis" else "network")
    assert (f"--method {method} explains the network alone" in done.stderr) is (method != "mutagenesis")
    assert [(entry["id"], entry["start"], entry["end"]) for entry in facts["records"]] == [
        ("r3", 10, 40),
        ("r5", 0, 20),
    ]
    assert (tmp_path / "out" / "attribution.bw").stat().st_size


def test_kmer_models_are_explained_by_mutagenesis(genomix, kmer_run, data, tmp_path):
    stdin = to_fasta({"a": data.sequences["r2"][:50]}).encode()
    options = ("--method", "mutagenesis", "--class", "plasmid", "--strands", "both", "--quiet")
    done = genomix("explain", kmer_run, "-", "-o", tmp_path / "out", *options, *ONE_THREAD, stdin=stdin)
    assert (done.code, done.stderr) == (0, "")
    lines = (tmp_path / "out" / "attributions.tsv").read_text().splitlines()
    assert len(lines) == 51


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (("{run}", "{data}", "--region", "r99:0-9"), 2, "there is no record 'r99'; did you mean"),
            (("{run}", "{data}", "--region", "r1:0-9999"), 2, "bp, and so ends at"),
            (("{run}", "{data}", "--region", "r1:9-9"), 2, "holds no base"),
            (("{run}", "{data}", "--region", "r1:0-9", "--class", "plasmd"), 2, "did you mean 'plasmid'?"),
            (("{run}", "{data}"), 2, "choose some with --region"),
            (("{kmer}", "{data}", "--method", "mixing"), 2, "counts k-mers"),
            (("{kmer}", "{data}", "--method", "gradient"), 2, "use --method mutagenesis"),
            (("{kmer}", "{data}", "--method", "mutagenesis", "--max-evaluations", "99"), 2, "evaluations of the model"),
            (("several", "{data}", "--region", "r1:0-9"), 2, "choose one of them"),
            (
                ("{run}", "{data}", "--method", "mutagenesis", "--steps", "3"),
                2,
                "--steps 3: goes with --method gradient",
            ),
            (("{run}", "{data}", "--method", "mixing", "--baseline", "shuffled"), 2, "--baseline shuffled: goes with"),
            (
                ("{run}", "{data}", "--max-evaluations", "50000"),
                2,
                "goes with --method mutagenesis only, not with grad",
            ),
            (("{run}", "bad.fa"), 65, "bad.fa:2"),
            (("{run}", "{data}", "--kmer-length", "11", "--region", "r1:0-9"), 2, "use 1 to 10"),
            (("{run}", "twice.fa"), 65, "twice.fa:3: record 'a' comes a second time"),
        ],
    )
    def test_with_its_code(self, genomix, run, kmer_run, data, tmp_path, arguments, code, message):
        (tmp_path / "bad.fa").write_text(">a\nAC!T\n")
        (tmp_path / "twice.fa").write_text(">a\nACGT\n>a\nACGT\n")
        (tmp_path / "several").mkdir()
        for member in ("member-1", "member-2"):
            (tmp_path / "several" / member).symlink_to(run)
        words = [word.format(run=run, data=data.fasta, kmer=kmer_run) for word in arguments]
        done = genomix("explain", *words, "-o", "out", *ONE_THREAD, directory=tmp_path)
        assert (done.code, done.stdout) == (code, "")
        assert message in done.stderr
        assert not (tmp_path / "out").exists()

    def test_a_directory_with_something_in_it(self, genomix, run, data, tmp_path):
        (tmp_path / "mine").write_text("mine")
        done = genomix("explain", run, data.fasta, "-o", tmp_path, "--region", "r1:0-9", *ONE_THREAD)
        assert done.code == 73
        assert "--force" in done.stderr


def test_the_document(genomix, tmp_path):
    """Its commands run as they stand; pictures are drawn elsewhere, as they take the longest."""
    for name in ("models", "example_data"):
        (tmp_path / name).symlink_to(ROOT / name)
    commands = re.findall(r"^genomix (.*)$", (ROOT / "docs" / "explain.md").read_text(), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = genomix(*shlex.split(command), "--plots", 0, *ONE_THREAD, directory=tmp_path)
        assert done.code == 0, done.stderr
