"""Evaluation: how good a model, or a table of predictions, is on labelled records."""

from genomix.evaluate.evaluation import Evaluated, evaluate_model, evaluate_predictions, write_evaluation

__all__ = ["Evaluated", "evaluate_model", "evaluate_predictions", "write_evaluation"]
