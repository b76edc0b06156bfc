"""Evaluation: how good a model, or a table of predictions, is on labelled records."""

from genomix.evaluate.evaluation import Evaluated, evaluate_model, evaluate_predictions
from genomix.evaluate.output import check_replaceable, write_evaluation

__all__ = ["Evaluated", "check_replaceable", "evaluate_model", "evaluate_predictions", "write_evaluation"]
