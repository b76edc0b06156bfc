"""Why a model says what it says of a record: three ways to share its score among the bases."""

from genomix.explain.explainer import Explainer, Method
from genomix.explain.run import MOST_EVALUATIONS, Summary, explain
from genomix.explain.saliency import Saliency

__all__ = ["MOST_EVALUATIONS", "Explainer", "Method", "Saliency", "Summary", "explain"]
