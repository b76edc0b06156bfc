"""Divisions of records into train, val and test, and into folds."""

from genomix.data.splits.division import divide_into_folds, divide_records
from genomix.data.splits.folds import from_folds, make_folds
from genomix.data.splits.given import take_splits
from genomix.data.splits.nearness import measure_nearness
from genomix.data.splits.partition import from_column, make_splits
from genomix.data.splits.parts import SPLIT_NAMES, Splits
from genomix.data.splits.table import (
    FoldTable,
    SplitTable,
    format_folds,
    format_splits,
    is_table_of,
    read_folds,
    read_splits,
    write_folds,
    write_splits,
)

__all__ = [
    "SPLIT_NAMES",
    "FoldTable",
    "SplitTable",
    "Splits",
    "divide_into_folds",
    "divide_records",
    "format_folds",
    "format_splits",
    "from_column",
    "from_folds",
    "is_table_of",
    "make_folds",
    "make_splits",
    "measure_nearness",
    "read_folds",
    "read_splits",
    "take_splits",
    "write_folds",
    "write_splits",
]
