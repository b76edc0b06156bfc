"""`genomix report` as its users meet it."""

import shutil

import pytest


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copied")


def test_remakes_the_report_of_a_run(genomix, copied):
    (copied / "report.html").write_text("of yesterday")
    done = genomix("report", copied)
    assert (done.code, done.stdout) == (0, f"{copied / 'report.html'}\n"), done.stderr
    page = (copied / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "the majority baseline" in page
    genomix("report", copied)
    assert (copied / "report.html").read_text() == page


def test_a_process_of_its_own_writes_it_elsewhere(genomix_apart, copied, tmp_path):
    there = copied / "report.html"
    before = there.read_bytes() if there.exists() else None
    done = genomix_apart("report", copied, "-o", tmp_path / "page.html")
    assert done.code == 0, done.stderr
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert (there.read_bytes() if there.exists() else None) == before


def test_what_is_elsewhere_is_replaced_by_force_only(genomix, copied, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    done = genomix("report", copied, "-o", page)
    assert (done.code, page.read_text()) == (73, "mine")
    assert done.stderr == f"genomix: error: {page}: exists; use --force to replace it\n"
    assert genomix("report", copied, "-o", page, "--force").code == 0
    assert page.read_text() != "mine"


def test_bad_paths_and_files_are_named(genomix, copied, tmp_path):
    done = genomix("report", tmp_path / "nowhere")
    assert (done.code, done.stderr) == (66, f"genomix: error: {tmp_path / 'nowhere'}: no such run directory\n")
    (tmp_path / "empty").mkdir()
    done = genomix("report", tmp_path / "empty")
    assert done.code == 66
    assert "has no metrics.json" in done.stderr
    done = genomix("report", copied, "-o", tmp_path / "page.pdf")
    assert done.code == 2
    assert "name it page.html" in done.stderr
    done = genomix("report", copied, "-o", tmp_path / "no" / "page.html")
    assert done.code == 73
    (copied / "meta.json").write_text("{")
    done = genomix("report", copied)
    assert done.code == 65
    assert done.stderr.startswith(f"genomix: error: {copied / 'meta.json'}: damaged")
    assert "Traceback" not in done.stderr


def test_help_names_what_is_made(genomix):
    done = genomix("report", "--help")
    assert done.code == 0
    assert "RUN/report.html" in done.stdout
