"""Listing the models: every preset and every encoder, as the configuration knows them."""

import json
import re
import subprocess
import sys

import pytest

from genomix.cli.models import OWN_SOURCES, OWN_WORDS
from genomix.config import ENCODER_SECTIONS, PRESETS, make_config

HEAVY = ("torch", "sklearn", "scipy", "numba", "pyarrow", "matplotlib")


@pytest.fixture(scope="module")
def listed(genomix):
    done = genomix("models", "--json")
    assert done.code == 0, done.stderr
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def test_every_preset_and_every_encoder_is_listed(listed):
    assert list(listed) == list(PRESETS)
    assert {entry["encoder"] for entry in listed.values()} == {*ENCODER_SECTIONS, None}


@pytest.mark.parametrize("name", ENCODER_SECTIONS)
def test_an_encoder_is_described_by_its_section(listed, name):
    section = ENCODER_SECTIONS[name]
    entry = listed[name]
    assert (entry["encoder"], entry["cost"], entry["source"]) == (name, section.COST, section.SOURCE)
    assert section.__doc__.startswith(entry["what"])
    assert entry["what"].endswith(".")


@pytest.mark.parametrize("name", PRESETS)
def test_any_length_is_what_the_network_takes(listed, name):
    assert listed[name]["any_length"] == (not make_config(name).model.is_position_bound)


def test_the_baseline_has_no_encoder(listed):
    assert listed["kmer"]["encoder"] is None
    assert listed["kmer"]["what"] == "Canonical k-mer frequencies and logistic regression."


def test_presets_of_another_name_than_their_encoder_say_what_sets_them_apart(listed):
    others = {name for name, entry in listed.items() if entry["encoder"] not in (name, None)}
    assert set(OWN_WORDS) == others
    assert set(OWN_SOURCES) <= others
    for name, words in OWN_WORDS.items():
        assert listed[name]["what"] == words
    assert listed["psf"]["source"] == "Khalitov, Yu, Cheng, Yang 2022 (Neural Networks)"


@pytest.mark.parametrize("columns", ["60", "100", "160"])
def test_the_table_fits_and_names_every_model_whole(environment, listed, columns):
    done = subprocess.run(
        [sys.executable, "-m", "genomix", "models"],
        env=environment | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= max(100, int(columns))
    assert "…" not in done.stdout
    first_words = [line.split()[0] for line in lines if re.match(r" \S", line)]
    assert first_words[2:] == list(listed)


def test_colours_are_left_out_where_nobody_wants_them(environment):
    wanted = environment | {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    for changed in (environment | {"TERM": "xterm-256color"}, wanted | {"NO_COLOR": "1"}):
        done = subprocess.run(
            [sys.executable, "-m", "genomix", "models"], env=changed, capture_output=True, text=True, check=True
        )
        assert not re.search(r"\x1b\[[0-9;]*[34]\dm", done.stdout)


@pytest.mark.parametrize("arguments", [["--json"], [], ["--help"]])
def test_nothing_heavy_is_imported(environment, arguments):
    program = (
        "import atexit, sys; sys.argv[0] = 'genomix'; sys.argv.insert(1, 'models');"
        f"atexit.register(lambda: print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr, end=''));"
        "from genomix.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "--json" in done.stdout if arguments == ["--help"] else "paramixer" in done.stdout
