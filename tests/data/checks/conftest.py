import pytest
from made import load, splits_of

from genomix.data.checks import run_checks
from genomix.data.label_sets import PLAIN


@pytest.fixture
def checked(tmp_path):
    """Check a made-up set, with its splits or without; return the checks by name."""

    def checked(made, *, with_splits=True, kind=PLAIN, **options):
        records = load(made, tmp_path, kind)
        checks = run_checks(records, splits_of(records) if with_splits else None, fast=True, **options)
        return {check.name: check for check in checks.checks}

    return checked
