"""Logistic regression of k-mers in which k-mers that are alike get weights that are alike.

R records, F k-mers that are told apart, C classes or labels, K columns of scores: C, or one for two classes.

Ridge regression takes the weights of all k-mers to be independent beforehand. Of long k-mers most are seen once or
never, and it cannot learn of them what it learns of others that differ from them in a base. Here the weights of two
k-mers with d mismatches are correlated by r^d beforehand, r the `mismatch` of the configuration: R = Q (x) ... (x) Q, k
times, with Q = (1 - r) I + r 1 1'. That is logistic regression with a mismatch kernel without a bound on the mismatches
(Leslie et al., Bioinformatics 2004; for gapped k-mers Ghandi et al., PLoS Computational Biology 2014), in the primal:
w = S v with S S = R and a ridge penalty of v. S is a product of k factors as well, so that it is applied in O(k 4^k)
and never written down. Of canonical k-mers both forms have the same v, and the same weight: the covariance of two is
r^d + r^d', d' the mismatches of one with the reverse complement of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import sparse
from scipy.special import expit, log_softmax
from sklearn.utils.class_weight import compute_sample_weight

from genomix.nn.kmer import NUM_BASES, canonical_ranks
from genomix.train.kmer.design import Linear, laplace_logit, scale_features

LOG = logging.getLogger("genomix")
MOST_ITERATIONS = 500
GRADIENT, DECREASE = 1e-7, 1e-8
"""Where the solver ends: largest entry of the gradient, and relative decrease, of the mean loss with its penalty."""
MEMORY = 6
"""Steps that the solver remembers; each is as large as the weights."""
AT_ONCE = 3
"""Positions of a k-mer, or some more, to which factors are applied at once: 64 x 64 is faster than thrice 4 x 4."""
DOUBLE_PRECISION = 1 << 18
"""Weights up to which S is applied in float64, of more in float32; all else is in float64."""


def factor(mismatch: float) -> np.ndarray:
    """Return the square root (4, 4) of Q = (1 - r) I + r 1 1'."""
    own = np.sqrt(1 - mismatch)
    shared = (np.sqrt(1 + (NUM_BASES - 1) * mismatch) - own) / NUM_BASES
    return own * np.eye(NUM_BASES) + shared


def spread(values: np.ndarray, k: int, mismatch: float) -> np.ndarray:
    """Apply S, which is symmetric, to each row of values of all k-mers in lexical order, (K, 4^k)."""
    sizes = [len(part) for part in np.array_split(np.arange(k), max(1, k // AT_ONCE))]
    single, rest, done = factor(mismatch).astype(values.dtype), k, values
    for size in sizes:
        rest -= size
        several = reduce(np.kron, [single] * size)
        done = (
            several @ done.reshape(-1, len(several), NUM_BASES**rest)
            if rest
            else done.reshape(-1, len(several)) @ several
        )
    return done.reshape(values.shape)


@dataclass(frozen=True)
class _Problem:
    """What the solver minimises: the mean loss of the records + |v|^2 / (2 C R).

    Attributes:
        matrix, transposed: Scaled features (R, F), not centred, and (F, R), float64.
        dtype: What S is applied in.
        centre: What is taken off the features (F,).
        speaks: Whether a record has any k-mer, (R, 1) of 0 and 1; the others are at the centre.
        truth: (R, K) of 0 and 1.
        shares: What each record weighs in the mean, (R, 1) or (R, K); a column that cannot be learnt has zeros.
        ranks: Of each k-mer (4^k,), the feature it counts in; None where each has its own.
        places: Of each feature (F,), a k-mer that counts in it.
        k, mismatch: Length of the k-mers, and r.
        is_exclusive: Whether the columns are classes, of which a record has one; not labels, nor one column of two
            classes.
    """

    matrix: sparse.csr_array
    transposed: sparse.csr_array
    dtype: type
    centre: np.ndarray
    speaks: np.ndarray
    truth: np.ndarray
    shares: np.ndarray
    ranks: np.ndarray | None
    places: np.ndarray
    k: int
    mismatch: float
    is_exclusive: bool

    @property
    def shape(self) -> tuple[int, int]:
        """K and F."""
        return self.truth.shape[1], len(self.places)

    def split(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return v (K, F) and the biases (K,) of what the solver sees, (K F + K,)."""
        num_columns = self.shape[0]
        return flat[:-num_columns].reshape(self.shape), flat[-num_columns:]

    def weights_of(self, v: np.ndarray) -> np.ndarray:
        """Return the weights (K, F) of the features for v (K, F)."""
        v = v.astype(self.dtype)
        if self.ranks is None:
            return spread(v, self.k, self.mismatch).astype(np.float64)
        return spread(v[:, self.ranks], self.k, self.mismatch)[:, self.places].astype(np.float64)

    def adjoint(self, gradient: np.ndarray) -> np.ndarray:
        """Return the gradient by v for that by the weights, (K, F) each."""
        gradient = gradient.astype(self.dtype)
        if self.ranks is None:
            return spread(gradient, self.k, self.mismatch).astype(np.float64)
        full = np.zeros((len(gradient), len(self.ranks)), gradient.dtype)
        full[:, self.places] = gradient
        full = spread(full, self.k, self.mismatch)
        return np.stack([np.bincount(self.ranks, weights=row, minlength=len(self.places)) for row in full])

    def objective(self, flat: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        """Return the value and its gradient for v and the biases, (K F + K,), with an inverse penalty C."""
        v, bias = self.split(flat)
        weights = self.weights_of(v)
        scores = (self.matrix @ weights.T - weights @ self.centre) * self.speaks + bias
        if self.is_exclusive:
            logs = log_softmax(scores, axis=1)
            losses, errors = -(self.truth * logs), np.exp(logs) - self.truth
        else:
            losses, errors = np.logaddexp(0, scores) - self.truth * scores, expit(scores) - self.truth
        errors *= self.shares
        speaking = errors * self.speaks
        gradient = (self.transposed @ speaking).T - np.outer(speaking.sum(0), self.centre)
        strength = 1 / (penalty * len(self.truth))
        by_v = self.adjoint(gradient) + strength * v
        value = float((losses * self.shares).sum() + strength / 2 * np.square(v).sum())
        return value, np.concatenate([by_v.ravel(), errors.sum(0)])


def fit_alike(
    counts: sparse.csr_array,
    targets: np.ndarray,
    penalties: Sequence[float],
    *,
    k: int,
    mismatch: float,
    roots: bool,
    balanced: bool,
    iterations: int | None = None,
) -> Iterator[Linear]:
    """Yield logistic regression for one C after the other, each begun from the one before.

    Args:
        counts: Of k-mers (R, F): of all 4^k, or of the canonical ones.
        targets: Classes (R,), of which each must occur, or what labels each record has (R, C).
        penalties: The inverses of the regularisation strength (C), best in rising order.
        k: Length of the k-mers in bp.
        mismatch: r, from 0, which is ridge regression, to below 1.
        roots: Whether it is of the square roots of the frequencies.
        balanced: Weigh the classes alike, or of a label records with and without it, however many there are.
        iterations: At most, in a search; None for `MOST_ITERATIONS`, and then it is said where they do not suffice.
    """
    from scipy.optimize import minimize

    problem, mean, scale = _make_problem(counts, targets, k=k, mismatch=mismatch, roots=roots, balanced=balanced)
    num_columns, num_kmers = problem.shape
    flat = np.zeros(num_columns * num_kmers + num_columns)
    limits = {"maxiter": iterations or MOST_ITERATIONS, "maxcor": MEMORY, "gtol": GRADIENT, "ftol": DECREASE}
    for penalty in penalties:
        found = minimize(problem.objective, flat, args=(penalty,), jac=True, method="L-BFGS-B", options=limits)
        flat = found.x
        if iterations is None and not found.success:
            LOG.warning("k-mer baseline: not converged after %d iterations", found.nit)
        v, bias = problem.split(flat)
        weight, bias = problem.weights_of(v), bias.copy()
        if targets.ndim == 2:
            unlearnt = ~problem.shares.any(axis=0)
            bias[unlearnt] = [laplace_logit(has_it) for has_it in targets.T[unlearnt]]
        elif num_columns == 1:
            weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
        yield Linear(mean, scale, weight, bias)


def _make_problem(
    counts: sparse.csr_array, targets: np.ndarray, *, k: int, mismatch: float, roots: bool, balanced: bool
) -> tuple[_Problem, np.ndarray, np.ndarray]:
    values, mean, scale = scale_features(counts, roots=roots)
    truth = _columns_of(targets)
    ranks, places = None, np.arange(len(mean))
    if len(mean) < NUM_BASES**k:
        ranks = canonical_ranks(k)
        places = np.unique(ranks, return_index=True)[1]
    dtype = np.float64 if NUM_BASES**k * truth.shape[1] <= DOUBLE_PRECISION else np.float32
    matrix = sparse.csr_array(values @ sparse.diags_array(1 / scale))
    problem = _Problem(
        matrix=matrix,
        transposed=sparse.csr_array(matrix.T),
        dtype=dtype,
        centre=mean / scale,
        speaks=(np.diff(counts.indptr) > 0)[:, None].astype(np.float64),
        truth=truth,
        shares=_weigh(targets, truth, balanced=balanced) / len(truth),
        ranks=ranks,
        places=places,
        k=k,
        mismatch=mismatch,
        is_exclusive=targets.ndim == 1 and truth.shape[1] > 1,
    )
    return problem, mean, scale


def _columns_of(targets: np.ndarray) -> np.ndarray:
    """Return what the scores are to say, (R, K) of 0 and 1."""
    if targets.ndim == 2:
        return targets.astype(np.float64)
    num_classes = int(targets.max()) + 1
    return np.eye(num_classes)[targets] if num_classes > 2 else targets[:, None].astype(np.float64)


def _weigh(targets: np.ndarray, truth: np.ndarray, *, balanced: bool) -> np.ndarray:
    """Return what each record weighs, (R, 1), or (R, C) of labels; nothing in one that all records have, or none."""
    if targets.ndim == 1:
        if not balanced:
            return np.ones((len(targets), 1))
        return compute_sample_weight("balanced", targets)[:, None]
    number = truth.sum(0)
    learnt = (number > 0) & (number < len(truth))
    if not balanced:
        return np.ones(truth.shape) * learnt
    with_it, without = (len(truth) / (2 * np.maximum(part, 1)) for part in (number, len(truth) - number))
    return np.where(truth > 0, with_it, without) * learnt
