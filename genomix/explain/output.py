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
from typing import Any, Self

import numpy as np

from genomix.data.track_files import TrackWriter
from genomix.data.vocabulary import DECODING
from genomix.explain.kmers import KmerTable
from genomix.explain.plot import write_plot
from genomix.explain.reading import Reading
from genomix.explain.saliency import Saliency
from genomix.runtime import atomic_path, new_directory, write_text

TABLE, ARCHIVE, KMERS, FACTS = "attributions.tsv", "attributions.npz", "top_kmers.tsv", "explain.json"
TRACK_SUFFIXES = (".bedGraph", ".bw")
LISTED_KMERS = 100
ROWS_AT_ONCE = 10_000


class ExplanationWriter:
    """Writes explanations one after another; files appear whole when the `with` block ends well, the facts last.

    Args:
        directory: New or empty; with `force`, what another explanation left there is removed first.
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
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Remove what another explanation left, and open temporary files."""
        for pattern in (
            TABLE,
            ARCHIVE,
            KMERS,
            FACTS,
            "plot-*.png",
            "plot-*.svg",
            *(f"*{one}" for one in TRACK_SUFFIXES),
        ):
            for path in self._directory.glob(pattern):
                path.unlink()
        with self._resources:
            temporary = self._resources.enter_context(atomic_path(self._directory / TABLE))
            self._table = self._resources.enter_context(temporary.open("w", encoding="utf-8"))
            columns = ("sequence", "position", "base", "class", *self._tracks, *self._columns)
            self._table.write("\t".join(columns) + "\n")
            self._writers = {
                name: [
                    self._resources.enter_context(TrackWriter(self._directory / f"{name}{suffix}", self._sizes, [name]))
                    for suffix in TRACK_SUFFIXES
                ]
                for name in self._tracks
            }
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        self._resources.__exit__(*raised)

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
            stem = self._directory / f"plot-{len(self._entries)}-{name}"
            write_plot(stem, tracks, tokens, reading.start, title=title, unit=self._unit)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what is made of all explanations; facts are what is to be said of all."""
        with atomic_path(self._directory / ARCHIVE) as temporary, temporary.open("wb") as stream:
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
        write_text(self._directory / KMERS, "".join(lines))
        content = {**facts, "unit": self._unit, "records": self._entries}
        write_text(self._directory / FACTS, json.dumps(content, indent=2) + "\n")

    def _write_rows(self, reading: Reading, label: str, tokens: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        letters = DECODING[tokens].tobytes().decode()
        for first in range(0, len(tokens), ROWS_AT_ONCE):
            rows = zip(*(array[first : first + ROWS_AT_ONCE].tolist() for array in values.values()), strict=True)
            for place, row in enumerate(rows, first):
                numbers = "\t".join("" if math.isnan(number) else f"{number:.6g}" for number in row)
                self._table.write(f"{reading.id}\t{reading.start + place}\t{letters[place]}\t{label}\t{numbers}\n")


def join_equal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and values of the stretches of equal values in (N,), as float32; NaN is left out."""
    values = values.astype(np.float32)
    edges = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.array([], np.int64)
    ends = np.append(edges[1:], len(values)) if len(values) else edges
    kept = np.isfinite(values[edges])
    return edges[kept], ends[kept], values[edges][kept]
