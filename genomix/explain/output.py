"""What an explanation leaves in its directory: tables, tracks, pictures and facts.

N bases explained.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from genomix.data.track_files import TrackWriter
from genomix.data.vocabulary import DECODING
from genomix.errors import CannotWriteError
from genomix.explain.kmers import KmerTable
from genomix.explain.plot import write_plot
from genomix.explain.reading import Reading
from genomix.explain.saliency import Saliency
from genomix.files import atomic_path, new_directory, write_text

TABLE, ARCHIVE, KMERS, FACTS = "attributions.tsv", "attributions.npz", "top_kmers.tsv", "explain.json"
TRACK_SUFFIXES = (".bedGraph", ".bw")
LISTED_KMERS = 100
ROWS_AT_ONCE = 10_000
_NAMES = re.compile(
    r"attributions\.(tsv|npz)|top_kmers\.tsv|explain\.json|(attribution|effect|influence)\.(bw|bedGraph)"
    r"|plot-[0-9]+-[A-Za-z0-9._-]+\.(png|svg)"
)
"""What the files of an explanation are named; no other is ever removed."""


class ExplanationWriter:
    """Writes explanations one after another; files appear whole when the `with` block ends well, the facts last.

    Until then they are in a directory of their own within the other one, and nothing that was there is changed.

    Args:
        directory: New or empty; with `force`, files of the same names are replaced, and the other files that an earlier
            explanation left, as its facts list them, are removed.
        sizes: Length in bp of each record, in their order.
        tracks: Their names.
        columns: Names of the further columns.
        kmer_length: Of the table of k-mers.
        most_plots: Pictures that are drawn, of the first explanations.
        unit: What attributions are measured in.
        force: Write into a directory that holds something.
    """

    def __init__(
        self,
        directory: str | Path,
        sizes: Mapping[str, int],
        tracks: Sequence[str],
        columns: Sequence[str],
        *,
        kmer_length: int,
        most_plots: int,
        unit: str,
        force: bool,
    ) -> None:
        self._directory = new_directory(directory, force=force)
        self._sizes, self._tracks, self._columns = dict(sizes), list(tracks), list(columns)
        self._most_plots, self._unit = most_plots, unit
        self._kmers = KmerTable(kmer_length)
        self._entries: list[dict[str, Any]] = []
        self._arrays: dict[str, list[np.ndarray]] = {name: [] for name in ("bases", *tracks, *columns)}
        self._content: dict[str, Any] = {}
        self._kept, self._open = ExitStack(), ExitStack()

    def __enter__(self) -> Self:
        """Open files that are not yet in their place."""
        with self._kept, self._open:
            work = TemporaryDirectory(prefix=".explanation-", dir=self._directory)
            self._work = Path(self._kept.enter_context(work))
            temporary = self._open.enter_context(atomic_path(self._work / TABLE))
            self._table = self._open.enter_context(temporary.open("w", encoding="utf-8"))
            columns = ("sequence", "position", "base", "class", *self._tracks, *self._columns)
            self._table.write("\t".join(columns) + "\n")
            self._writers = {
                name: [
                    self._open.enter_context(TrackWriter(self._work / f"{name}{suffix}", self._sizes, [name]))
                    for suffix in TRACK_SUFFIXES
                ]
                for name in self._tracks
            }
            self._kept, self._open = self._kept.pop_all(), self._open.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Complete the files and put them in their place, or remove them after an error."""
        with self._kept:
            self._open.__exit__(*raised)
            if raised[0] is None:
                self._publish()

    def _publish(self) -> None:
        """Put the files in their place, and remove those of an earlier explanation that this one does not have."""
        earlier = _listed(self._directory / FACTS)
        names = sorted(file.name for file in self._work.iterdir())
        try:
            for name in names:
                (self._work / name).replace(self._directory / name)
            content = self._content | {"files": [*names, FACTS], "records": self._entries}
            write_text(self._directory / FACTS, json.dumps(content, indent=2) + "\n")
            for name in earlier - {*names, FACTS}:
                (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise CannotWriteError(f"{error.filename2 or error.filename}: cannot write ({error.strerror})") from error

    def write(self, reading: Reading, label: str, found: Saliency, facts: Mapping[str, Any]) -> None:
        """Add one explanation, of the class `label`; facts are what else is to be said of it."""
        within = reading.explained
        tokens = reading.tokens[within]
        values = {name: track[within] for name, track in (found.tracks | found.columns).items()}
        self._write_rows(reading, label, tokens, values)
        for name, writers in self._writers.items():
            starts, ends, heights = join_equal(values[name])
            for writer in writers:
                writer.write(reading.id, reading.start + starts, reading.start + ends, heights[:, None])
        for name, array in {"bases": DECODING[tokens].view("S1"), **values}.items():
            self._arrays[name].append(array)
        self._kmers.add(label, reading.id, reading.start, tokens, values[self._tracks[0]])
        place = {"id": reading.id, "start": reading.start, "end": reading.end, "read_start": reading.offset}
        place["read_end"] = reading.offset + len(reading.tokens)
        self._entries.append({**place, "class": label, **facts, **found.facts})
        if len(self._entries) <= self._most_plots:
            name = re.sub(r"[^A-Za-z0-9._-]+", "_", reading.id)[:60]
            title = f"{reading.id}:{reading.start:,}-{reading.end:,}, why {label}"
            tracks = {name: values[name] for name in self._tracks}
            stem = self._work / f"plot-{len(self._entries)}-{name}"
            write_plot(stem, tracks, tokens, reading.start, title=title, unit=self._unit)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what is made of all explanations; facts are what is to be said of all."""
        with atomic_path(self._work / ARCHIVE) as temporary, temporary.open("wb") as stream:
            lengths = [entry["end"] - entry["start"] for entry in self._entries]
            arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in self._arrays.items()}
            np.savez_compressed(
                stream,
                sequences=np.array([entry["id"] for entry in self._entries]),
                starts=np.array([entry["start"] for entry in self._entries]),
                ends=np.array([entry["end"] for entry in self._entries]),
                classes=np.array([entry["class"] for entry in self._entries]),
                offsets=np.concatenate(([0], np.cumsum(lengths))),
                **arrays,
            )
        lines = ["class\tkmer\tmean_attribution\tcount\texample_sequence\texample_start\texample_end\n"]
        for top in self._kmers.top(LISTED_KMERS):
            end = top.start + self._kmers.k
            lines.append(f"{top.label}\t{top.kmer}\t{top.mean:.6g}\t{top.num_places}\t{top.id}\t{top.start}\t{end}\n")
        write_text(self._work / KMERS, "".join(lines))
        self._content = {**facts, "unit": self._unit}

    def _write_rows(self, reading: Reading, label: str, tokens: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        letters = DECODING[tokens].tobytes().decode()
        for first in range(0, len(tokens), ROWS_AT_ONCE):
            rows = zip(*(array[first : first + ROWS_AT_ONCE].tolist() for array in values.values()), strict=True)
            for place, row in enumerate(rows, first):
                numbers = "\t".join("" if math.isnan(number) else f"{number:.6g}" for number in row)
                self._table.write(f"{reading.id}\t{reading.start + place}\t{letters[place]}\t{label}\t{numbers}\n")


def _listed(facts: Path) -> set[str]:
    """Return the names of the files that the facts of an explanation list, as far as they are names of such files."""
    try:
        names = json.loads(facts.read_text(encoding="utf-8"))["files"]
        return {name for name in names if isinstance(name, str) and _NAMES.fullmatch(name)}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def join_equal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and values of the stretches of equal values in (N,), as float32; NaN is left out."""
    values = values.astype(np.float32)
    edges = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.array([], np.int64)
    ends = np.append(edges[1:], len(values)) if len(values) else edges
    kept = np.isfinite(values[edges])
    return edges[kept], ends[kept], values[edges][kept]
