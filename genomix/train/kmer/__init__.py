"""The k-mer baseline at its best: counted, fitted with scikit-learn, and chosen on the validation records."""

from genomix.train.kmer.candidates import Candidate, describe, format_candidates
from genomix.train.kmer.fit import fit_kmer
from genomix.train.kmer.search import Found, choose_canonical, choose_kmer, reads_one_strand

__all__ = [
    "Candidate",
    "Found",
    "choose_canonical",
    "choose_kmer",
    "describe",
    "fit_kmer",
    "format_candidates",
    "reads_one_strand",
]
