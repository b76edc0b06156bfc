"""A script for SLURM as `genomix slurm` writes it, looked through by a shell and by shellcheck."""

import subprocess
import sys
from pathlib import Path

SHELLCHECK = Path(sys.executable).with_name("shellcheck")
TRAIN = ("train", "my data.fa", "it's.tsv", "--lr", "1e-3")


def make_script(genomix, folder, *words):
    """Write a script into a folder with input files of awkward names, look it through, and return its path."""
    for name in ("my data.fa", "it's.tsv"):
        (folder / name).write_text("x")
    done = genomix("slurm", *words, directory=folder)
    assert done.code == 0, done.stderr
    script = folder / "job.sh"
    script.write_text(done.stdout)
    for checker in (["bash", "-n"], [SHELLCHECK]):
        checked = subprocess.run([*checker, script], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    return script


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def directives(script):
    return [line.removeprefix("#SBATCH ") for line in lines_of(script) if line.startswith("#SBATCH ")]
