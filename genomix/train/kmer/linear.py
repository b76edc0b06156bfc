"""The two linear models of the k-mer baseline: logistic regression and multinomial naive Bayes, by scikit-learn.

R records, F k-mers that are told apart, C classes. Targets are classes (R,), or what labels each record has (R, C).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from genomix.train.kmer.counts import shape_of
from genomix.train.kmer.design import Design, Linear, laplace_logit, make_design

LOG = logging.getLogger("genomix")
MOST_ITERATIONS = 2000
TOLERANCE = 1e-4
"""Of the largest entry of the gradient."""
MOST_INDEPENDENT = 1000


def fit_logistic(
    counts: sparse.csr_array,
    targets: np.ndarray,
    penalties: Sequence[float],
    *,
    roots: bool,
    balanced: bool,
    iterations: int = MOST_ITERATIONS,
) -> Iterator[Linear]:
    """Yield logistic regression for one C after the other, each begun from the one before.

    Args:
        counts: Of k-mers (R, F).
        targets: What is right.
        penalties: The inverses of the regularisation strength (C), best in rising order.
        roots: Whether it is of the square roots of the frequencies.
        balanced: Weigh the classes alike, however many records they have.
        iterations: At most; where they do not suffice, and are all there are to be, it is said.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    design = make_design(counts, targets, roots=roots)
    columns = list(targets[design.kept].T) if targets.ndim == 2 else [targets[design.kept]]
    weights = "balanced" if balanced else None
    how = {"max_iter": iterations, "tol": TOLERANCE, "class_weight": weights, "warm_start": True}
    regressions = [LogisticRegression(**how) for _ in columns]
    for penalty in penalties:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            for regression, column in zip(regressions, columns, strict=True):
                if targets.ndim == 1 or 0 < np.count_nonzero(column) < len(column):
                    regression.set_params(C=penalty).fit(design.matrix, column)
        if iterations == MOST_ITERATIONS and any(issubclass(one.category, ConvergenceWarning) for one in caught):
            LOG.warning("k-mer baseline: not converged after %d iterations", iterations)
        yield _read_labels(design, regressions, columns) if targets.ndim == 2 else _read_classes(design, regressions[0])


def _read_classes(design: Design, regression: object) -> Linear:
    weight, bias = np.asarray(regression.coef_), np.atleast_1d(regression.intercept_)  # pyright: ignore[reportAttributeAccessIssue]
    if len(weight) == 1:
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    return design.read_back(weight, bias)


def _read_labels(design: Design, regressions: Sequence[object], columns: Sequence[np.ndarray]) -> Linear:
    """Put the regressions of the labels together; a label that all records have, or none, has no weights."""
    weight, bias = np.zeros((len(columns), shape_of(design.matrix)[1])), np.zeros(len(columns))
    for label, (regression, has_it) in enumerate(zip(regressions, columns, strict=True)):
        if 0 < np.count_nonzero(has_it) < len(has_it):
            weight[label] = regression.coef_[0]  # pyright: ignore[reportAttributeAccessIssue]
            bias[label] = np.atleast_1d(regression.intercept_)[0]  # pyright: ignore[reportAttributeAccessIssue]
        else:
            bias[label] = laplace_logit(has_it)
    return design.read_back(weight, bias)


def fit_naive_bayes(counts: sparse.csr_array, targets: np.ndarray, num_classes: int, *, balanced: bool) -> Linear:
    """Return multinomial naive Bayes with Laplace smoothing (McCallum and Nigam, AAAI workshop 1998) as a linear model.

    For a record with counts n, logit_c = log prior_c + sum_f n_f log theta_cf, where theta_cf = (N_cf + 1) / (N_c + F)
    and N_cf counts k-mer f in the records of class c. That grows with the length of the record, and overlapping k-mers
    of a long one are no independent witnesses. So n is the record's frequencies times one number for all: the median
    number of whole k-mers of the training records, of which no more than `MOST_INDEPENDENT` count (normalised lengths:
    Rennie et al., ICML 2003). Which class is the most likely differs from the common form by the weight of the prior
    only. How sure the model is then does not depend on the length, and one temperature can mend it. A record without
    any whole k-mer gets the prior.

    Args:
        counts: Of k-mers (R, F).
        targets: What is right; each class must occur. Of labels, each is told from its absence.
        num_classes: C.
        balanced: Let all classes be as likely before anything is counted.
    """
    from sklearn.naive_bayes import MultinomialNB

    num_kmers = shape_of(counts)[1]
    totals = counts.sum(axis=1)
    speaking = totals[totals > 0]
    size = float(min(np.median(speaking), MOST_INDEPENDENT)) if len(speaking) else 1.0
    weight, bias = np.zeros((num_classes, num_kmers)), np.zeros(num_classes)
    if targets.ndim == 1:
        bayes = MultinomialNB(fit_prior=not balanced).fit(counts, targets)
        weight, bias = bayes.feature_log_prob_, bayes.class_log_prior_
        weight = weight - weight.mean(axis=0)  # the same for all classes changes nothing, and costs digits
    else:
        for label, has_it in enumerate(targets.T):
            if not 0 < np.count_nonzero(has_it) < len(has_it):
                bias[label] = laplace_logit(has_it)
                continue
            bayes = MultinomialNB(fit_prior=not balanced).fit(counts, has_it)
            weight[label] = np.diff(bayes.feature_log_prob_, axis=0)[0]
            bias[label] = np.diff(bayes.class_log_prior_)[0]
    return Linear(np.zeros(num_kmers), np.full(num_kmers, 1 / size), weight, bias)
