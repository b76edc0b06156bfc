"""Tracks of genomes: from files of sequences to files of tracks, by way of a journal of scored windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

import genomix
from genomix.data.compression import STDIN
from genomix.data.inputs import expand_inputs
from genomix.data.records import OnInvalid
from genomix.data.regions import check_regions, merge_regions, read_regions
from genomix.data.track_files import TrackWriter, check_track_output, names_highest, output_paths
from genomix.errors import PreemptedError, Problems, UsageError
from genomix.files import hash_file
from genomix.scoring.fingerprint import describe_machine, fingerprint
from genomix.stopping import Stopping
from genomix.tracks.blend import Scored, blend
from genomix.tracks.complete import is_complete, note_complete, note_path
from genomix.tracks.genome import Genome, StreamedGenome
from genomix.tracks.indexed import open_indexed
from genomix.tracks.journal import SCORED, TrackJournal, row_type
from genomix.tracks.settings import TrackSettings
from genomix.tracks.work import Regions, TrackSummary, Work


def write_tracks(
    settings: TrackSettings,
    paths: Sequence[str],
    output: str,
    *,
    regions: str | None = None,
    on_invalid: OnInvalid = "error",
    force: bool = False,
    resume: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int | None], None] = lambda _, __: None,
    stopping: Stopping | None = None,
) -> TrackSummary:
    """Write a track for each class: the values of all bases, or those of some regions.

    What is finished is kept in a directory beside the output until the end, so that a run that was killed can be
    resumed. Of one that may be resumed a record stays beside the output, so that the tracks are known to be complete
    when they are asked for once more.

    Args:
        settings: The model or models, and what tracks are made with.
        paths: Sequence files, directories, or `-` for stdin, which cannot be resumed.
        output: The format follows the suffix; see `genomix.data.track_files`.
        regions: A BED file: only these intervals get values.
        on_invalid: What to do with sequences that hold other letters than nucleotide codes.
        force: Replace existing files, and unfinished tracks that are not resumed or cannot be.
        resume: Go on with unfinished tracks, if there are any.
        warn: Called with each thing worth saying.
        progress: Called with the windows that are done, and how many there are (None if that is not known).
        stopping: Who may ask to stop; nobody where it is None.

    Raises:
        DataError: If sequences or regions are bad, all problems at once; or no window could be scored.
        NoInputError: If an input is missing or empty.
        CannotWriteError: If an output or unfinished tracks exist (without `force`), or it cannot be written.
        UsageError: If options do not go together, or another command left what is unfinished.
        PreemptedError: If it was asked to stop, and can be resumed.
    """
    stopping = stopping or Stopping()
    _check_naming(settings, output)
    journal = TrackJournal(Path(output), row_type(len(settings.names)))
    is_own = force or (resume and journal.is_written)
    is_noted = resume and note_path(Path(output)).is_file()
    check_track_output(output, settings.names, force=is_own or is_noted)
    files = expand_inputs(paths, warn)
    by_file = all(Path(file).is_file() for file in files)
    if resume and not by_file:
        raise UsageError("--resume: stdin and pipes can be read only once; name files")
    if regions == STDIN and STDIN in files:
        raise UsageError("stdin (-) is given for both the sequences and --regions; it can be read only once")
    summary = TrackSummary()
    problems = Problems()
    asked = None if regions is None else read_regions(regions, problems)
    wanted = None if asked is None else merge_regions(asked)
    origin = _origin(settings, files if by_file else [], wanted, on_invalid)
    if is_noted:
        if is_complete(Path(output), output_paths(output, settings.names), origin):
            warn(f"{output}: is complete already; nothing was predicted")
            journal.close_if_of(origin)
            summary.was_complete = True
            return summary
        check_track_output(output, settings.names, force=is_own)
    genome = _open(files, wanted, on_invalid)
    summary.by_index = not isinstance(genome, StreamedGenome)
    sizes = genome.survey(wanted, problems) if by_file else None
    if sizes is not None:
        check_regions(asked or [], sizes, problems)
    problems.raise_if_any()
    stopping.check("before anything was computed")
    if asked is not None and wanted is not None:
        summary.num_regions = (len(asked), sum(map(len, wanted.values())))
    work = Work(settings, genome, wanted, asked or [], sizes)
    num_units, same_machine = journal.open(origin, resume=resume, force=force)
    if not same_machine:
        warn(f"{journal.directory}: was begun on another kind of machine; last digits may differ from those of one run")
    try:
        sizes = work.score(journal, num_units, stopping, summary, progress)
        _write(journal, output, sizes, settings.names, wanted, summary, force=force or journal.is_written)
        if resume:
            note_complete(Path(output), output_paths(output, settings.names), origin)
    except BaseException as error:
        if by_file and summary.num_windows:
            warn(f"{journal.directory}: keeps {summary.num_windows} windows; go on with them by --resume")
        else:
            journal.close()
        if not isinstance(error, PreemptedError | KeyboardInterrupt):
            stopping.check()  # a library may have taken being stopped for a failure of its own
        raise
    journal.close()
    summary.report = genome.report
    return summary


def _check_naming(settings: TrackSettings, output: str) -> None:
    """Check that a format that names the likeliest class is given all that may be it.

    Raises:
        UsageError: If it is not.
    """
    left_out = [name for name in settings.scorer.classes if name not in settings.names]
    if left_out and names_highest(output) and not settings.scorer.members[0].model.is_multi_label:
        raise UsageError(
            f"--classes {','.join(settings.names)}: {output} names the likeliest class of each interval, which may be "
            f"one that is left out, such as {left_out[0]}; leave out --classes, or write .bedgraph, .bw or .tsv"
        )


def _open(files: list[str], regions: Regions | None, on_invalid: OnInvalid) -> Genome:
    indexed = None if regions is None else open_indexed(files, regions, on_invalid)
    return indexed or StreamedGenome(files, on_invalid)


def _write(
    journal: TrackJournal,
    output: str,
    sizes: Mapping[str, int],
    names: Sequence[str],
    regions: Regions | None,
    summary: TrackSummary,
    *,
    force: bool,
) -> None:
    """Blend the windows of the journal to the tracks."""
    check_track_output(output, names, force=force)
    journal.mark_written()
    sequences = list(sizes)
    with TrackWriter(output, sizes, names, force=True) as writer:
        for place, parts in groupby(_by_sequence(journal), key=lambda part: part[0]):
            name = sequences[place]
            for intervals in blend((scored for _, scored in parts), None if regions is None else regions[name]):
                writer.write(name, *intervals)
                summary.num_bases += int((intervals.ends - intervals.starts).sum())


def _by_sequence(journal: TrackJournal) -> Iterator[tuple[int, Scored]]:
    """Yield the windows that were scored, with the place of their sequence."""
    for unit in journal.units():
        rows = unit[unit["state"] == SCORED]
        for part in np.split(rows, np.flatnonzero(np.diff(rows["sequence"])) + 1):
            if len(part):
                yield int(part["sequence"][0]), Scored(part["start"], part["end"], part["scores"])


def _origin(
    settings: TrackSettings, files: Sequence[str], regions: Regions | None, on_invalid: OnInvalid
) -> dict[str, str]:
    """Return what the scores depend on, by the names that users know."""
    members = settings.scorer.members
    content = hashlib.sha256(repr({name: found.tolist() for name, found in (regions or {}).items()}).encode())
    inputs = hashlib.sha256(" ".join(map(hash_file, files)).encode())
    return {
        "model": fingerprint(settings.scorer),
        "input": inputs.hexdigest() if len(files) != 1 else hash_file(files[0]),
        "--regions": "none" if regions is None else content.hexdigest(),
        "--window": str(settings.grid.window),
        "--stride": str(settings.grid.stride),
        "--classes": ", ".join(settings.names),
        "--max-unknown": str(settings.max_unknown),
        "--strands": ", ".join(dict.fromkeys(member.strands for member in members)),
        "--batch-bases": ", ".join(dict.fromkeys(str(member.batch_bases) for member in members)),
        "--on-invalid": on_invalid,
        "version of genomix": genomix.__version__,
        "machine": describe_machine(settings.scorer),
    }
