"""The workflows and the container recipes: Snakemake's is run; of the others what they name is there, and parses."""

import gzip
import json
import os
import re
import shlex
import shutil
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
EXAMPLE = ROOT / "example_data"
NEXTFLOW = ROOT / "workflows" / "nextflow"
RECIPES = {"Dockerfile": r"(?m)^COPY (.+) \S+$", "genomix.def": r"(?m)^    (\S+) /opt/genomix/\S+$"}


def parse(words):
    """Parse a command line of genomix as it is parsed when it runs."""
    command = typer.main.get_command(app).commands[words[1]]
    return command.make_context(words[1], words[2:]).params


def cut_example(folder):
    """Write the example data, cut short, to where they are looked for by default; return the ids."""
    folder.mkdir()
    header, *rows = (EXAMPLE / "primate_mitochondria.tsv").read_text().splitlines()
    kinds = [f"{label}\t{part}" for part in ("train", "test") for label in ("Haplorrhini", "Strepsirrhini")]
    rows = [row for kind in kinds for row in [row for row in rows if row.endswith(kind)][:6]]
    (folder / "primate_mitochondria.tsv").write_text("".join(f"{row}\n" for row in [header, *rows]))
    names = [row.split("\t")[0] for row in rows]
    with gzip.open(EXAMPLE / "primate_mitochondria.fa.gz", "rt") as source:
        records = {record.split()[0]: "".join(record.splitlines()[1:]) for record in source.read().split(">")[1:]}
    with gzip.open(folder / "primate_mitochondria.fa.gz", "wt") as target:
        target.writelines(f">{name}\n{records[name][:300]}\n" for name in names)
    return names


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Where the command of the document was run, on few records, and their ids."""
    folder = tmp_path_factory.mktemp("workflow")
    names = cut_example(folder / "example_data")
    shutil.copyfile(folder / "example_data" / "primate_mitochondria.fa.gz", folder / "my data.fa.gz")
    (folder / "workflows").symlink_to(ROOT / "workflows")
    [command] = re.findall(r"(?m)^snakemake .+$", (ROOT / "docs" / "workflows.md").read_text())
    words = shlex.split(command)[1:]
    words += ["folds=2", "shards=2", "threads=1", "options=--no-checks", "new=my data.fa.gz"]  # the last ones count
    threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [SNAKEMAKE, *words, "retries=0"],
        cwd=folder,
        env=os.environ | threads | home | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, names


def test_snakemake(worked):
    folder, names = worked
    out = folder / "workflow_run"
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["labels"] == "workflow_run/held_out.tsv"
    held_out = [line.split("\t")[0] for line in (out / "held_out.tsv").read_text().splitlines()]
    assert held_out == ["id", *names[:12]]  # the others are those of the test split
    lines = (out / "predictions.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["id", *names]
    assert sorted(path.name for path in (out / "run").glob("fold-*")) == ["fold-1", "fold-2"]


def test_what_snakemake_is_given_by_default_is_there():
    settings = yaml.safe_load(SNAKEFILE.with_name("config.yaml").read_text())
    assert all((ROOT / settings[name]).is_file() for name in ("data", "labels", "new"))


def nextflow_scripts(**values):
    """Return the scripts of the processes by name, as a shell gets them, with these values filled in."""
    settings = dict(re.findall(r"(?m)^    (\w+) = (.+)$", (NEXTFLOW / "nextflow.config").read_text()))
    settings = {name: value.strip("'\"").replace("${launchDir}", str(ROOT)) for name, value in settings.items()}
    scripts = {}
    for name, text in re.findall(r'(?s)process (\w+) \{.*?"""\n(.*?)"""', (NEXTFLOW / "main.nf").read_text()):
        script = re.sub(r"\$\{params\.(\w+)\}", lambda match: settings[match[1]], text)
        script = re.sub(r"\$\{(?:fold|shard|task\.cpus)\}", "1", script)
        script = re.sub(r"\$\{(\w+)\}", lambda match: str(values.get(match[1], "name")), script)
        scripts[name] = re.sub(r"\\([\\$])", r"\1", script)
    return scripts, settings


def test_the_commands_of_nextflow_parse():
    """Nextflow itself is not run here: it is no Python package."""
    scripts, settings = nextflow_scripts()
    commands = []
    for script in scripts.values():
        [line] = [line for line in script.replace("\\\n", " ").splitlines() if line.strip().startswith("genomix")]
        words = shlex.split(line.partition(">")[0])
        parse(words)
        commands.append(words[1])
    assert commands == ["split", "train", "train", "evaluate", "predict", "merge"]
    for name in ("data", "labels", "new"):
        assert Path(settings[name]).is_file()


def test_tasks_of_nextflow(worked, tmp_path):
    """Each is run in a folder of its own, with what Snakemake left, or a command that only says how it was called."""
    (tmp_path / "genomix").write_text('#!/bin/bash\nprintf "%s\\n" "$@" > words\n')
    (tmp_path / "genomix").chmod(0o755)
    results = tmp_path / "my results"
    scripts, settings = nextflow_scripts(folds=worked[0] / "workflow_run" / "folds.tsv", results=results)
    words = {}
    for name in ("TRAIN_FOLD", "POOL", "EVALUATE", "PREDICT", "MERGE"):
        (tmp_path / name).mkdir()
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run(
            ["bash", "-ue", "-c", scripts[name]], cwd=tmp_path / name, env=os.environ | {"PATH": path}, check=True
        )
        words[name] = (tmp_path / name / "words").read_text().splitlines()
    held_out = (worked[0] / "workflow_run" / "held_out.tsv").read_text()
    assert (tmp_path / "EVALUATE" / "held_out.tsv").read_text() == held_out
    for name in ("TRAIN_FOLD", "POOL"):
        assert words[name][words[name].index("--resume") + 1] == str(results / "run")
    assert words["PREDICT"][-1] == str(results / "shards" / "part-1.tsv")
    assert (results / "shards").is_dir()
    parts = [str(results / "shards" / f"part-{number}.tsv") for number in range(1, int(settings["shards"]) + 1)]
    assert words["MERGE"][1:-2] == parts


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
