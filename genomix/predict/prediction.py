"""The prediction of a table: in one go where that is quick, else in parts that outlive a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genomix.data.predictions import check_output
from genomix.data.records import OnInvalid, ReadReport, expand_inputs
from genomix.data.shards import Shard
from genomix.errors import UsageError
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

    Where there are several chunks, or a shard is asked for, the finished parts are kept in a directory beside the
    output until all are there. Such a prediction stops when SIGTERM, SIGUSR1 or the end of a SLURM job asks for it, and
    it can be resumed, also after a kill.

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
        PreemptedError: If it was asked to stop, and can be resumed.
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
        job.write((chunk for _, chunk in job.chunks(summary.report)), output, summary, force=force)
        return summary
    survey = job.survey(summary.report)
    if output != "-" and (shard is not None or survey.num_chunks > 1):
        write_in_parts(job, survey, Path(output), summary, shard=shard, force=force, resume=resume, warn=warn)
    else:
        job.write((chunk for _, chunk in job.chunks(ReadReport())), output, summary, force=force)
    return summary
