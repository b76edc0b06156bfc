"""From records to probabilities: windows, strands, batches and several models, in input order and bounded memory."""

from genomix.scoring.answers import Answers, check_min_confidence, make_answers
from genomix.scoring.ensemble import AnyScorer, Ensemble
from genomix.scoring.fitted import fit_calibration
from genomix.scoring.load import load_scorer, make_scorer
from genomix.scoring.records import Scorable, StoredRecord
from genomix.scoring.rows import N_RICH, TOO_SHORT, combine, stack_probabilities
from genomix.scoring.scorer import BATCHES_AHEAD, DEFAULT_BATCH_BASES, Scorer
from genomix.scoring.stacking import fit_composition

__all__ = [
    "BATCHES_AHEAD",
    "DEFAULT_BATCH_BASES",
    "N_RICH",
    "TOO_SHORT",
    "Answers",
    "AnyScorer",
    "Ensemble",
    "Scorable",
    "Scorer",
    "StoredRecord",
    "check_min_confidence",
    "combine",
    "fit_calibration",
    "fit_composition",
    "load_scorer",
    "make_answers",
    "make_scorer",
    "stack_probabilities",
]
