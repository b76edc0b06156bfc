"""A run that was never trained, and its report. Both are shared: copy the run to change anything."""

import shutil

import pytest
from made_up import report, write_run

from genomix.report import confidence, confusion, curves, learning, strata
from genomix.report.picture import Picture


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("made-up") / "run")


@pytest.fixture(scope="session")
def page(made_up_run):
    return report(made_up_run)


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the drawing out, which takes most of the time; titles, texts and legends stay."""

    def draw(title, alt, paint, *, legend=None, note="", size=(1, 1)):
        return Picture(title, alt, "", "0 0 1 1", legend or [], note)

    for module in (confidence, confusion, curves, learning, strata):
        monkeypatch.setattr(module, "draw", draw)


@pytest.fixture
def run(made_up_run, tmp_path):
    return shutil.copytree(made_up_run, tmp_path / "run")
