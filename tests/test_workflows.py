"""The workflows and the container recipes: Snakemake's is run; of the others what they name is there, and parses."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from genomix.cli.main import app
from genomix.data.cache import VARIABLE

ROOT = Path(__file__).parent.parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
SNAKEFILE = ROOT / "workflows" / "snakemake" / "Snakefile"
NEXTFLOW = ROOT / "workflows" / "nextflow"
RECIPES = {"Dockerfile": r"(?m)^COPY (.+) \S+$", "genomix.def": r"(?m)^    (\S+) /opt/genomix/\S+$"}


def parse(words):
    """Parse a command line of genomix as it is parsed when it runs."""
    command = typer.main.get_command(app).commands[words[1]]
    return command.make_context(words[1], words[2:]).params


def write_data(folder):
    """Write records that k-mers tell apart."""
    records = {f"r{n}": ("ACCA" if n % 2 else "GTTG") * (20 + n) for n in range(24)}
    (folder / "my data.fa").write_text("".join(f">{name}\n{letters}\n" for name, letters in records.items()))
    rows = "".join(f"{name}\t{'ab'[n % 2]}\n" for n, name in enumerate(records))
    (folder / "labels.tsv").write_text("id\tlabel\n" + rows)
    return list(records)


def test_snakemake(tmp_path):
    names = write_data(tmp_path)
    settings = {"data": "my data.fa", "labels": "labels.tsv", "new": "my data.fa", "out": "out", "model": "kmer"}
    settings |= {"options": "--no-checks", "split_options": "--split random", "folds": 2, "shards": 2, "threads": 1}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(settings))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [SNAKEMAKE, "--snakefile", SNAKEFILE, "--cores", "1", "--configfile", "own.yaml"],
        cwd=tmp_path,
        env=os.environ | threads | home | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["labels"] == "labels.tsv"
    lines = (tmp_path / "out" / "predictions.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["id", *names]
    assert sorted(path.name for path in (tmp_path / "out" / "run").glob("fold-*")) == ["fold-1", "fold-2"]


def test_what_snakemake_is_given_by_default_is_there():
    settings = yaml.safe_load(SNAKEFILE.with_name("config.yaml").read_text())
    assert all((ROOT / settings[name]).is_file() for name in ("data", "labels", "new"))


def test_the_commands_of_nextflow_parse():
    """Nextflow itself is not run here: it is no Python package."""
    settings = dict(re.findall(r"(?m)^    (\w+) = (.+)$", (NEXTFLOW / "nextflow.config").read_text()))
    text = (NEXTFLOW / "main.nf").read_text()
    assert set(re.findall(r"params\.(\w+)", text)) <= set(settings)
    scripts = [script.replace("\\\\\n", " ") for script in re.findall(r'"""\n(.*?)"""', text, re.DOTALL)]
    values = {name: value.strip("'\"").replace("${launchDir}", str(ROOT)) for name, value in settings.items()}
    commands = []
    for script in scripts:
        filled = re.sub(r"\$\{params\.(\w+)\}", lambda match: values[match[1]], script)
        filled = re.sub(r"\$\{(?:fold|shard|task\.cpus)\}", "1", filled)
        words = shlex.split(re.sub(r"\$\{\w+\}", "name", filled).partition(">")[0])
        parse(words)
        commands.append(words[1])
    assert commands == ["split", "train", "train", "evaluate", "predict", "merge"]
    for name in ("data", "labels", "new"):
        assert Path(values[name]).is_file()


@pytest.mark.parametrize("name", RECIPES)
def test_containers_copy_what_there_is_and_what_is_needed(name):
    text = (ROOT / "containers" / name).read_text()
    copied = {word for line in re.findall(RECIPES[name], text) for word in line.split()}
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", "constraints.txt", project["project"]["readme"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert needed <= copied
    assert VARIABLE in text


def test_the_commands_of_the_document_parse():
    text = (ROOT / "docs" / "workflows.md").read_text()
    commands = [line for block in text.split("```")[1::2] for line in block.splitlines() if line]
    ways = {"snakemake": "workflows/snakemake/Snakefile", "nextflow": "workflows/nextflow/main.nf"}
    ways |= {"docker": "containers/Dockerfile", "apptainer": "containers/genomix.def"}
    assert {line.split()[0] for line in commands} == set(ways)
    for program, path in ways.items():
        assert any(line.startswith(program) and path in line for line in commands)
        assert (ROOT / path).is_file()
    inside = [
        shlex.split(line)[shlex.split(line).index("genomix") :]
        for line in commands
        if re.search(r" genomix [a-z]", line)
    ]
    assert len(inside) == 2
    for words in inside:
        parse(words)
