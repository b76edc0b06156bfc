"""The README's own commands, run as they stand (training for one epoch only, to be quick)."""

import gzip
import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "example_data" / "primate_mitochondria"


NUM_RECORDS, LENGTH = 50, 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the README's commands name: under each name the first of the example data, cut."""
    folder = tmp_path_factory.mktemp("readme")
    header, *rows = EXAMPLE.with_suffix(".tsv").read_text().splitlines()
    kept = [row for row in rows if int(hashlib.sha256(row.encode()).hexdigest(), 16) % 3 == 0][:NUM_RECORDS]
    sequences = dict(read_fasta(EXAMPLE.with_suffix(".fa.gz")))
    kept = list(dict.fromkeys([next(row for row in rows if row.startswith("NC_006901.1")), *kept]))
    fasta = "".join(f">{name}\n{sequences[name][:LENGTH]}\n" for name in (row.split("\t")[0] for row in kept))
    for name in ("data.fa", "test.fa", "new.fa"):
        (folder / name).write_text(fasta)
    for name in ("genome.fa.gz", f"{EXAMPLE.name}.fa.gz"):
        (folder / name).write_bytes(gzip.compress(fasta.encode()))
    for name in ("labels.tsv", "test.tsv", f"{EXAMPLE.name}.tsv"):
        (folder / name).write_text("\n".join([header, *kept]) + "\n")
    return folder


def read_fasta(path):
    with gzip.open(path, "rt") as file:
        for entry in file.read().split(">")[1:]:
            head, _, sequence = entry.partition("\n")
            yield head.split()[0], sequence.replace("\n", "")


def commands(text):
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    return [line for line in lines if line.startswith(("genomix ", "head "))]


def run(command, folder):
    if command.startswith(("genomix train", "genomix tune", "genomix pretrain")):
        command += " --max-epochs 1 --max-length 256"
    if command.startswith("genomix train"):
        command += " --set 'model.composition={k: 3, inverse_regularisation: 1}'"
    if command.startswith("genomix tune"):
        command += " --trials 1 --set model.encoder.num_layers=1"
    command = command.replace("genomix ", f"{shlex.quote(sys.executable)} -m genomix ", 1)
    env = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=env)


def test_the_commands_at_the_top(folder):
    block = README.split("```")[1]
    found = commands(block)
    names = [command.split()[1] for command in found]
    assert names == ["check", "train", "evaluate", "predict", "predict", "explain", "pretrain", "tune"]
    for command in found[:6]:
        done = run(command.replace("run/", "first_run/"), folder)
        fails = command.startswith("genomix check")  # relatives stand on both sides of the example's split
        assert done.returncode in ((0, 65) if fails else (0,)), done.stderr
    num_records = (folder / "new.fa").read_text().count(">")
    assert (folder / "predictions.tsv").read_text().count("\n") == num_records + 1
    assert len(list(folder.glob("scores.*.bw"))) == 2
    assert (folder / "why" / "attribution.bw").is_file()
    (folder / "predictions.tsv").unlink()


def test_the_commands_that_take_longer(folder):
    (folder / "genomes.fa").write_bytes((folder / "data.fa").read_bytes())
    found = [command for command in commands(README.split("```")[1]) if " pretrain " in command or " tune " in command]
    assert len(found) == 2
    for command in found:
        done = run(command, folder)
        assert done.returncode == 0, done.stderr


def test_the_transcript(folder):
    transcript = README.split("<!-- transcript")[1].split("<!-- end of transcript")[0]
    found = commands("\n".join(line for line in transcript.splitlines() if line.startswith("$ ")))
    assert len(found) >= 4
    for command in found:
        done = run(command, folder)
        assert done.returncode == 0, done.stderr
    columns = (folder / "predictions.tsv").read_text().splitlines()[0]
    assert columns.replace("\t", " ") in re.sub(r"\s+", " ", transcript)


def test_every_preset_named_in_the_readme_exists():
    from genomix.config import PRESETS

    table = README.partition("| | `--model` |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`([a-z-]+)`", table)) == sorted(PRESETS)
