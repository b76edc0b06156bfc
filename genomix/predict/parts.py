"""Tables that are made in parts: of all chunks, or those of a shard."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from genomix.data.journal import MOST_PARTS, Journal
from genomix.data.parts import Part, differences, is_whole, joined, read_part, record_path, write_part
from genomix.data.predictions import check_output
from genomix.data.records import ReadReport, Record
from genomix.data.shards import Shard
from genomix.errors import DataError
from genomix.files import hash_file
from genomix.predict.job import Job, Summary, Survey
from genomix.scoring.fingerprint import describe_machine, describe_settings, fingerprint

_LOG = logging.getLogger("genomix")


def write_in_parts(
    job: Job,
    survey: Survey,
    output: Path,
    summary: Summary,
    *,
    shard: Shard | None,
    force: bool,
    resume: bool,
    warn: Callable[[str], None],
) -> None:
    """Write what is missing of a table, put it together, and count what is in it; see `predict`."""
    own = shard or Shard(1, 1)
    chunks = own.of(survey.num_chunks)
    num_parts = max(1, min(MOST_PARTS, len(chunks)))
    whole = Part(
        number=own.number,
        count=own.count,
        num_chunks=survey.num_chunks,
        origin=_origin(job, survey, output),
        machine=describe_machine(job.scorer),
    )
    blank = whole.model_copy(update={"count": num_parts, "origin": whole.origin | {"--shard": str(own)}})
    journal = Journal(output, blank)
    lasting, passing = record_path(output), record_path(journal.directory / output.name)

    if resume and (found := _completed(output, lasting, whole) or _completed(output, passing, whole)):
        warn(f"{output}: is complete already; nothing was predicted")
        journal.close()
        _add(found, summary)
        return
    check_output(output, force=force)
    parts = journal.open(resume=resume, force=force)
    if parts:
        _LOG.info("%s: %d of %d parts are there already", journal.directory, len(parts), num_parts)
    if any(part.machine != whole.machine for part in parts.values()):
        warn(f"{journal.directory}: was begun on another kind of machine; last digits may differ from those of one run")
    try:
        _write_missing(job, journal, chunks, parts)
        for part in parts.values():
            _add(part, summary)
        with joined([journal.table(n) for n in sorted(parts)], output) as temporary:
            record = lasting if shard or resume else passing
            write_part(_counted(whole, summary, hash_file(temporary)), record)
    except BaseException:
        if journal.close(keep=True):
            warn(f"{journal.directory}: keeps {len(parts)} of {num_parts} parts; go on with them by --resume")
        raise
    journal.close()


def _origin(job: Job, survey: Survey, output: Path) -> dict[str, str]:
    suffix = output.with_suffix("").suffix if output.suffix == ".gz" else output.suffix
    return {
        "model": fingerprint(job.scorer),
        "input": survey.sha256,
        **describe_settings(job.scorer, job.answers),
        "--on-invalid": job.on_invalid,
        "format": suffix.lower(),
    }


def _completed(output: Path, record: Path, whole: Part) -> Part | None:
    """Return what is known of a table that is whole already, and was made by the same command."""
    with contextlib.suppress(DataError):
        found = read_part(record)
        if found.number == whole.number and not differences(found, whole) and is_whole(output, found):
            return found
    return None


def _write_missing(job: Job, journal: Journal, chunks: range, parts: dict[int, Part]) -> None:
    """Predict the parts that are not there, and add them to those that are."""
    stream = job.chunks(ReadReport())

    def take(wanted: range) -> Iterator[Iterator[Record]]:
        for number in wanted:
            found = next((records for index, records in stream if index == number), None)
            if found is None:
                raise DataError(f"{', '.join(job.files)}: changed while it was read; start again")
            yield found

    for number in range(1, journal.blank.count + 1):
        if number in parts:
            continue
        within = Shard(number, journal.blank.count).of(len(chunks))
        summary = Summary()
        table = journal.table(number)
        job.write(take(chunks[within.start : within.stop]), table, summary, force=True)
        part = _counted(journal.blank.model_copy(update={"number": number}), summary, hash_file(table))
        write_part(part, record_path(table))
        parts[number] = part


def _counted(part: Part, summary: Summary, sha256: str) -> Part:
    counts = {"num_records": summary.num_records, "num_bases": summary.num_bases}
    names = {"labels": dict(summary.labels), "statuses": dict(summary.statuses)}
    return part.model_copy(update=counts | names | {"sha256": sha256})


def _add(part: Part, summary: Summary) -> None:
    summary.num_records += part.num_records
    summary.num_bases += part.num_bases
    summary.labels.update(part.labels)
    summary.statuses.update(part.statuses)
