"""What the k-mer baseline learns from: frequencies, brought to one scale.

R records, F k-mers that are told apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from genomix.train.kmer.counts import shape_of

DENSE_SHARE = 0.2
"""Of counts that are not zero, from which on a dense matrix is faster."""
ALWAYS_DENSE = 1 << 21
SINGLE_PRECISION = 1 << 24
"""Entries from which on a dense matrix is kept in float32."""
MOST_PROJECTED = 2500
"""Records, of which their products with each other are quickly decomposed."""
MOST_PRODUCTS = 1 << 33
"""Of numbers of a sparse matrix that are multiplied to find the products of its records, in half a minute or less."""
NEGLIGIBLE = 1e-10


class Linear(NamedTuple):
    """The numbers of a `KmerClassifier`: logits = weight (x - mean) / scale + bias; (F,), (F,), (C, F) and (C,)."""

    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


class Components(NamedTuple):
    """Principal components, as what they are of the records.

    Attributes:
        records: Scaled features (R, F), dense and centred, or sparse and not.
        shares: Each component as a sum of records (R, G).
        speaks: Whether a record has any k-mer (R,); the others are at the centre.
        centre: What is still to be taken off the features (F,) of those that have; None where it has been.
    """

    records: np.ndarray | sparse.csr_array
    shares: np.ndarray
    speaks: np.ndarray
    centre: np.ndarray | None

    def to_features(self, weight: np.ndarray) -> np.ndarray:
        """Return the weights (C, F) of the scaled features for those of the components (C, G)."""
        of_records = weight @ self.shares.T
        found = np.asarray(of_records @ self.records)
        return found if self.centre is None else found - np.outer(of_records @ self.speaks, self.centre)


class Design(NamedTuple):
    """What a solver reads, and how what it finds is read back.

    Attributes:
        matrix: (R', G): the records that say something, in `kept`, by numbers that the logits are linear in.
        kept: Rows of the records in it.
        mean, scale: Of the features (F,).
        components: What the G numbers are of; None where they are the scaled features.
        centred: Whether the mean was taken off, which a sparse matrix would not bear.
    """

    matrix: np.ndarray | sparse.csr_array
    kept: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    components: Components | None
    centred: bool

    def read_back(self, weight: np.ndarray, bias: np.ndarray) -> Linear:
        """Return the linear model of the features for weights (C, G) and biases (C,) that fit the matrix."""
        if self.components is not None:
            weight = self.components.to_features(weight)
        return Linear(self.mean, self.scale, weight, bias if self.centred else bias + weight @ (self.mean / self.scale))


def num_entries(counts: sparse.csr_array) -> int:
    """Return how many numbers the matrix of a design would hold before it is projected."""
    size = math.prod(shape_of(counts))
    return size if _is_dense(counts) else counts.nnz


def is_projected(counts: sparse.csr_array) -> bool:
    """Say whether a matrix is replaced by its principal components, of which there are as many as records."""
    num_records, num_kmers = shape_of(counts)
    is_quick = _is_dense(counts) or counts.nnz * num_records <= MOST_PRODUCTS
    return is_quick and num_records < num_kmers and num_records <= MOST_PROJECTED


def _is_dense(counts: sparse.csr_array) -> bool:
    size = math.prod(shape_of(counts))
    return size <= ALWAYS_DENSE or counts.nnz >= DENSE_SHARE * size


def frequencies(counts: sparse.csr_array) -> sparse.csr_array:
    """Divide counts (R, F) by their sums; a record without any stays zero."""
    totals = np.maximum(counts.sum(axis=1), 1)
    return sparse.csr_array(sparse.diags_array(1 / totals.astype(np.float64)) @ counts)


def take_roots(values: sparse.csr_array, *, roots: bool) -> sparse.csr_array:
    """Return frequencies, or their square roots."""
    if not roots:
        return values
    return sparse.csr_array((np.sqrt(values.data), values.indices, values.indptr), shape=shape_of(values))


def scale_features(counts: sparse.csr_array, *, roots: bool) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Return features (R, F), as they are, and what is to be taken off each and what each is to be divided by, (F,).

    Frequencies are standardised each, as has been done from the first. Roots are divided by one number for all, after
    which their variances are 1 on average: those of counts are alike already (Bartlett, Suppl. JRSS 1936), and rare
    k-mers, which are mostly noise, would else weigh as much as the others.

    Args:
        counts: (R, F).
        roots: Whether the features are the square roots of the frequencies.
    """
    values = take_roots(frequencies(counts), roots=roots)
    num_speaking = max(1, np.count_nonzero(np.diff(counts.indptr)))
    mean = values.sum(axis=0) / num_speaking
    squares = values.multiply(values).sum(axis=0) / num_speaking
    variance = np.maximum(squares - mean**2, 0)
    variance[variance <= NEGLIGIBLE * squares] = 0
    if roots:
        return values, mean, np.full(len(mean), np.sqrt(variance.mean()) or 1.0)
    return values, mean, np.where(variance > 0, np.sqrt(variance), 1.0)


def laplace_logit(has_it: np.ndarray) -> float:
    """Return the logit of how likely a label is by Laplace's rule of succession, (R,) of whether records have it."""
    count = np.count_nonzero(has_it)
    return float(np.log((count + 1) / (len(has_it) - count + 1)))


def make_design(counts: sparse.csr_array, targets: np.ndarray, *, roots: bool) -> Design:
    """Scale the features of records for logistic regression, see `scale_features`, and make the matrix small.

    Records without any whole k-mer say nothing, as in prediction: they are at the mean of a dense matrix, and left out
    of a sparse one, unless all records of a class are such. Where there are fewer records than features, the matrix is
    replaced by its principal components, all of them. Ridge penalties do not see the difference (Hastie and Tibshirani,
    Biostatistics 2004), and the solver is faster by as much as there are fewer.

    Args:
        counts: (R, F).
        targets: Classes (R,), or what labels each record has (R, C).
        roots: Whether the features are the square roots of the frequencies.
    """
    values, mean, scale = scale_features(counts, roots=roots)
    speaks = np.diff(counts.indptr) > 0
    everything = np.arange(len(speaks))
    if not _is_dense(counts):
        scaled = sparse.csr_array(values @ sparse.diags_array(1 / scale))
        if is_projected(counts):
            matrix, components = _project(scaled, speaks, mean / scale)
            if matrix.size:
                return Design(matrix, everything, mean, scale, components, centred=True)
        if len(np.unique(targets[speaks], axis=0)) == len(np.unique(targets, axis=0)):
            kept = np.flatnonzero(speaks)
            return Design(sparse.csr_array(scaled[kept]), kept, mean, scale, None, centred=False)
    matrix = (values.astype(np.float32) if num_entries(counts) > SINGLE_PRECISION else values).toarray()
    matrix -= mean.astype(matrix.dtype)
    matrix /= scale.astype(matrix.dtype)
    matrix[~speaks] = 0
    if not is_projected(counts) or not matrix.any():  # where all records are alike there is no component
        return Design(matrix, everything, mean, scale, None, centred=True)
    matrix, components = _project(matrix, speaks)
    return Design(matrix, everything, mean, scale, components, centred=True)


def _project(
    records: np.ndarray | sparse.csr_array, speaks: np.ndarray, centre: np.ndarray | None = None
) -> tuple[np.ndarray, Components]:
    """Return records (R, F) by their principal components (R, G), and these; for the arguments see `Components`."""
    if isinstance(records, np.ndarray):
        products = (records @ records.T).astype(np.float64)
    else:
        products = sparse.csr_array(records @ records.T).toarray()
    if centre is not None:
        across = np.outer(records @ centre, speaks)
        products += centre @ centre * np.outer(speaks, speaks) - across - across.T
    powers, vectors = np.linalg.eigh(products)
    large = powers > NEGLIGIBLE * max(powers[-1], np.finfo(np.float64).tiny)
    roots_of_powers = np.sqrt(powers[large])
    components = Components(records, vectors[:, large] / roots_of_powers, speaks, centre)
    return vectors[:, large] * roots_of_powers, components


def find_probabilities(linear: Linear, counts: sparse.csr_array, *, roots: bool, multi_label: bool) -> np.ndarray:
    """Return the probabilities (R, C) that a linear model gives to records by their counts (R, F)."""
    logits = find_logits(linear, counts, roots=roots)
    return expit(logits) if multi_label else softmax(logits, axis=1)


def find_logits(linear: Linear, counts: sparse.csr_array, *, roots: bool) -> np.ndarray:
    """Return the logits (R, C) that a linear model gives to records by their counts (R, F)."""
    values = take_roots(frequencies(counts), roots=roots)
    scaled = linear.weight / linear.scale
    logits = values @ scaled.T + (linear.bias - scaled @ linear.mean)
    logits[np.diff(counts.indptr) == 0] = linear.bias
    return logits
