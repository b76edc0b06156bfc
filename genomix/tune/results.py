"""What a study leaves: a table of its trials, the best configuration, and what is to be thought of it."""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from genomix.config import Config, to_yaml
from genomix.files import write_text
from genomix.metrics import HIGHER_IS_BETTER
from genomix.metrics.comparison import Difference, compare_metrics
from genomix.tune.searched import encode
from genomix.tune.space import Choices
from genomix.tune.study import DEFAULT, REASON, Study, describe, is_interrupted
from genomix.tune.trial import PROBABILITIES
from genomix.tune.values import differences, with_values

TRIALS_TABLE, BEST, SUMMARY = "trials.tsv", "best.yaml", "summary.md"
ENOUGH_TRIALS = 20
"""Complete trials from which on the importance of settings is told."""


@dataclass
class Results:
    """What a study has come to.

    Attributes:
        metric: That trials are compared by, on the validation records.
        trials: All of them.
        best: The best of those that are complete; None before any.
        default: The one with the preset's own values, if it is complete.
        config: The configuration of the best.
        num_records: Validation records.
        changes: What it has in place of the preset's own, by key: before and after.
        difference: Of the best from the default, record by record; None where that cannot be told.
        importance: Share of each setting in what trials differ by; empty where there are too few.
    """

    metric: str
    trials: list[FrozenTrial]
    best: FrozenTrial | None
    default: FrozenTrial | None
    config: Config
    num_records: int
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    difference: Difference | None = None
    importance: dict[str, float] = field(default_factory=dict)

    @property
    def running(self) -> list[FrozenTrial]:
        """Those that other processes are at."""
        return [trial for trial in self.trials if trial.state == TrialState.RUNNING]

    @property
    def num_complete(self) -> int:
        """How many were trained to their end."""
        return sum(trial.state == TrialState.COMPLETE for trial in self.trials)


def collect(study: Study) -> Results:
    """Return what a study has come to so far."""
    trials = study.found
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    sign = 1 if HIGHER_IS_BETTER[study.metric] else -1
    best = max(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)
    default = next((trial for trial in complete if trial.user_attrs.get(DEFAULT)), None)
    config = study.config if best is None or best is default else with_values(study.config, values_of(study, best))
    return Results(
        metric=study.metric,
        trials=trials,
        best=best,
        default=default,
        config=config,
        num_records=len(study.splits.val),
        changes=differences(with_values(study.config, study.own), config) if best not in (None, default) else {},
        difference=None if best is None or default in (None, best) else _compare(study, best, default),
        importance=_find_importance(study.optuna) if len(complete) >= ENOUGH_TRIALS else {},
    )


def write_results(study: Study) -> Results:
    """Write the table of trials, the summary and, once a trial is complete, the best configuration.

    Raises:
        CannotWriteError: If one of them cannot be written.
    """
    results = collect(study)
    write_text(study.path / TRIALS_TABLE, _to_tsv(study, results.trials))
    write_text(study.path / SUMMARY, "".join(f"- {sentence}\n" for sentence in sentences(results)))
    if results.best is not None:
        head = f"# genomix tune: trial {results.best.number}, {results.metric} {results.best.value:.4f} on the "
        head += f"validation records, the best of {results.num_complete} complete trials\n"
        write_text(study.path / BEST, head + to_yaml(results.config))
    return results


def values_of(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    """Return the values of a trial by their keys, lists as they are in a configuration."""
    values = dict[str, Any]()
    for key, stored in trial.params.items():
        one = study.space[key]
        named = {encode(value): value for value in one.values} if isinstance(one, Choices) else {stored: stored}
        values[key] = named[stored]
    return values


def sentences(results: Results) -> list[str]:
    """Say how the study went, what won, and how far that is to be believed."""
    states = Counter("interrupted" if is_interrupted(one) else describe(one.state) for one in results.trials)
    states.pop("waiting", None)
    said = [f"{sum(states.values())} trials: {', '.join(f'{count} {name}' for name, count in states.items())}"]
    reasons = Counter(one.user_attrs[REASON] for one in results.trials if _has_failed(one))
    said += [f"failed ({count}): {reason}" for reason, count in reasons.most_common(3)]
    if results.best is None:
        return said
    of = f"{results.metric} {results.best.value:.4f} on {results.num_records} validation records"
    said.append(f"best: trial {results.best.number}, {of}")
    said += _set_against_default(results)
    said.append(
        f"the best of {results.num_complete} values on the same records is optimistic: what the model is worth, only "
        "the test records tell, once"
    )
    if results.importance:
        shares = [f"{key} {share:.0%}" for key, share in list(results.importance.items())[:5]]
        said.append(f"what trials differ by most: {', '.join(shares)}")
    return said


def _set_against_default(results: Results) -> list[str]:
    if results.default is None:
        return ["the preset's own settings have no result to compare with"]
    if results.best is results.default:
        return ["no trial was better than the preset's own settings: tuning won nothing"]
    own = results.default.value or 0.0
    said = f"the preset's own settings (trial {results.default.number}): {own:.4f}, a difference of "
    said += f"{(results.best.value if results.best and results.best.value else 0.0) - own:+.4f}"
    interval = results.difference.interval if results.difference else None
    if interval is None:
        return [said]
    said += f" (95 % interval {interval.low:+.4f} to {interval.high:+.4f})"
    if interval.low <= 0 <= interval.high:
        said += ": no more than chance may give"
    return [said]


def _has_failed(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and REASON in trial.user_attrs and not is_interrupted(trial)


def _compare(study: Study, best: FrozenTrial, default: FrozenTrial | None) -> Difference | None:
    """Set what two trials say of the validation records against each other."""
    truth = study.records.truth[study.splits.val]
    if default is None or truth.ndim == 2:
        return None
    try:
        one, other = (np.load(study.folder(trial.number) / PROBABILITIES) for trial in (best, default))
    except (OSError, ValueError):
        return None
    found = compare_metrics(
        truth, {"best": one, "default": other}, study.records.classes, (study.metric,), baseline="default"
    )
    return found.runs[0].differences[study.metric]


def _find_importance(journal: optuna.Study) -> dict[str, float]:
    """Return what share each setting has in what trials differ by (PED-ANOVA, Watanabe et al. 2023, IJCAI)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return optuna.importance.get_param_importances(journal)
        except (ValueError, RuntimeError):
            return {}


def _to_tsv(study: Study, trials: list[FrozenTrial]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["trial", "state", study.metric, "seconds", "epochs", "reason", *study.space])
    for trial in trials:
        if trial.state == TrialState.WAITING:
            continue
        told = trial.user_attrs
        value = told.get("best")
        writer.writerow(
            [
                trial.number,
                "interrupted" if is_interrupted(trial) else describe(trial.state),
                "" if value is None else f"{value:.6f}",
                told.get("seconds", ""),
                told.get("epochs", ""),
                told.get(REASON, ""),
                *(_show(trial.params[key]) if key in trial.params else _show(study.own[key]) for key in study.space),
            ]
        )
    return text.getvalue()


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "auto" if value is None else str(encode(value))
