"""The k-mer baseline at its best: counted, fitted with scikit-learn, and chosen on the validation records."""

from genomix.train.kmer.candidates import Candidate, describe, format_candidates, reads_one_strand
from genomix.train.kmer.choice import Found, choose_canonical, choose_kmer
from genomix.train.kmer.fit import fit_kmer

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
