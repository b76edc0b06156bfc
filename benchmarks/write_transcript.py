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
            shown.append(f"$ {command}\n{done.stdout.rstrip()}\n")
    return "\n".join(line.rstrip() for line in "\n".join(shown).splitlines())


def main() -> None:
    """Replace the transcript of the README."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    transcript = transcribe()
    readme.write_text(MARKED.sub(lambda match: f"{match[1]}```\n{transcript}\n```\n{match[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
