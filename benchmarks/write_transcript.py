"""Runs the commands of the README's transcript on the example data and writes what they print into the README."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "genomix train primate_mitochondria.fa.gz primate_mitochondria.tsv -o run",
    "genomix predict run primate_mitochondria.fa.gz -o predictions.tsv",
    "head -n 3 predictions.tsv",
    "genomix evaluate run primate_mitochondria.fa.gz primate_mitochondria.tsv --split test",
)
SHOWN_EPOCHS = 2
MARKED = re.compile(r"(<!-- transcript[^\n]*-->\n).*?(<!-- end of transcript -->\n)", re.DOTALL)


def transcribe() -> str:
    """Run the commands in an empty folder beside the example data, and return what a terminal would have shown."""
    shown: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for source in (ROOT / "example_data").glob("primate_mitochondria.*"):
            (Path(folder) / source.name).symlink_to(source)
        for command in COMMANDS:
            words = shlex.split(command)
            if words[0] == "genomix":
                words = [sys.executable, "-m", "genomix", *words[1:]]
            done = subprocess.run(
                words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
            )
            shown.append(f"$ {command}\n{shorten(done.stdout)}\n")
    return "\n".join(line.rstrip() for line in "\n".join(shown).splitlines())


def shorten(output: str) -> str:
    """Leave out all epochs but the first and the last two."""
    lines = output.rstrip().splitlines()
    epochs = [i for i, line in enumerate(lines) if line.startswith("epoch ")]
    if len(epochs) > 2 * SHOWN_EPOCHS:
        left_out = epochs[SHOWN_EPOCHS:-SHOWN_EPOCHS]
        lines[left_out[0] : left_out[-1] + 1] = [f"... {len(left_out)} more epochs ..."]
    return "\n".join(lines)


def main() -> None:
    """Replace the transcript of the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    transcript = transcribe()
    readme.write_text(MARKED.sub(lambda match: f"{match[1]}```\n{transcript}\n```\n{match[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
