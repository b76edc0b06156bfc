"""The prediction of a table: in one go where that is quick, else in parts that outlive a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genomix.data.predictions import check_output
from genomix.data.records import OnInvalid, ReadReport, expand_inputs
from genomix.data.shards import Shard
from genomix.errors import PreemptedError, UsageError
from genomix.predict.job import Job, Summary
from genomix.predict.parts import write_in_parts
from genomix.scoring import Answers, AnyScorer


def predict(
    scorer: AnyScorer,
    paths: Sequence[str],
    output: str,
    *,
    answers: Answers | None = None,
    on_invalid: OnInvalid = "error",
    force: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    shard: Shard | None = None,
    resume: bool = False,
) -> Summary:
    """Write the predictions for all records of some files, or for those of one shard.

    The files are read once before anything is computed, so that bad data are reported at once; stdin and pipes can be
    read only once, and a bad record there stops the prediction where it stands.

    Where there are several chunks, or a shard or to resume is asked for, the finished parts are kept in a directory
    beside the output until all are there, and such a prediction can be resumed, also after a kill. Of one that may be
    resumed a record stays beside the table, so that it is known to be complete when it is asked for once more.

    Inside of `genomix.stopping.Stopping.watching` it stops when that is asked for.

    Args:
        scorer: The model or models, and how they are applied.
        paths: Sequence files, directories, or `-` for stdin.
        output: File to write, or `-` for stdout; the format follows the suffix.
        answers: When no label is given, and which sets of labels are; every record gets a label where it is None.
        on_invalid: What to do with records that hold other letters than nucleotide codes.
        force: Replace an existing file, and an unfinished prediction that is not resumed or cannot be.
        warn: Called with each thing worth saying.
        shard: Which part of the records to predict; None for all. `merge` puts the tables together.
        resume: Go on with an unfinished prediction, if there is one.

    Raises:
        DataError: If the data are bad, all problems at once.
        NoInputError: If an input is missing or there is no record.
        CannotWriteError: If the output or an unfinished one exists (without `force`), or it cannot be written.
        UsageError: If shards or resuming do not go with input or output, or another command left what is unfinished.
        PreemptedError: If it was asked to stop.
    """
    if output == "-" and (shard is not None or resume):
        option = "--resume" if shard is None else "--shard"
        raise UsageError(f"{option}: needs a file beside which something can be kept; name it by --output")
    if not resume:
        check_output(output, force=force)
    files = expand_inputs(paths, warn)
    job = Job(scorer, answers or Answers(scorer.classes), files, on_invalid)
    summary = Summary()
    if not all(Path(file).is_file() for file in files):
        if shard is not None or resume:
            option = "--resume" if shard is None else "--shard"
            raise UsageError(f"{option}: stdin and pipes can be read only once; name files")
        _write_at_once(job, summary.report, output, summary, force=force)
        return summary
    survey = job.survey(summary.report)
    if output != "-" and (shard is not None or resume or survey.num_chunks > 1):
        write_in_parts(job, survey, Path(output), summary, shard=shard, force=force, resume=resume, warn=warn)
    else:
        _write_at_once(job, ReadReport(), output, summary, force=force)
    return summary


def _write_at_once(job: Job, report: ReadReport, output: str, summary: Summary, *, force: bool) -> None:
    """Write all of a table, of which nothing can be kept until it is whole."""
    try:
        job.write((chunk for _, chunk in job.chunks(report)), output, summary, force=force)
    except PreemptedError as error:
        left = f"stdout has {summary.num_records} rows" if output == "-" else f"{output} is not written"
        raise PreemptedError(f"{error}; {left}, and the same command begins again") from error
