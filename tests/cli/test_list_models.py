"""Listing the models: every preset and every encoder, as the configuration knows them."""

import json
import re
import subprocess
import sys

import pytest

from genomix.cli.models import CAPTION, OWN_SOURCES, OWN_WORDS, TITLE, list_models, print_models
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
    assert (entry["encoder"], entry["source"]) == (name, section.SOURCE)
    assert entry["cost"] == ("N log^2 N" if name == "paramixer" else section.COST)
    assert section.__doc__.startswith(entry["what"])
    assert entry["what"].endswith(".")


def test_a_preset_of_the_encoder_with_two_costs_has_its_own(listed):
    names = [name for name, entry in listed.items() if entry["encoder"] == "paramixer"]
    costs = {"paramixer-cdil": "N log N"}
    assert {name: listed[name]["cost"] for name in names} == dict.fromkeys(names, "N log^2 N") | costs


@pytest.mark.parametrize("name", PRESETS)
def test_any_length_is_what_the_network_takes(listed, name):
    assert listed[name]["any_length"] == (not make_config(name).model.is_position_bound)


def test_the_baseline_has_no_encoder(listed):
    assert listed["kmer"]["encoder"] is None
    assert listed["kmer"]["what"] == "Frequencies of k-mers and a linear model."


def test_presets_of_another_name_than_their_encoder_say_what_sets_them_apart(listed):
    others = {name for name, entry in listed.items() if entry["encoder"] not in (name, None)}
    assert set(OWN_WORDS) == others
    assert set(OWN_SOURCES) <= others
    for name, words in OWN_WORDS.items():
        assert listed[name]["what"] == words
    assert listed["psf"]["source"] == "Khalitov, Yu, Cheng, Yang 2022 (Neural Networks)"


@pytest.mark.parametrize("columns", ["60", "160"])
def test_a_pipe_gets_a_table_without_padding_that_names_every_model_whole(environment, listed, columns):
    done = subprocess.run(
        [sys.executable, "-m", "genomix", "models"],
        env=environment | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == TITLE
    assert lines[-1] == CAPTION
    assert max(map(len, lines[:-1])) <= 100
    assert all(line == line.rstrip() for line in lines)
    assert "…" not in done.stdout
    first_words = [line.split()[0] for line in lines if re.match(r" \S", line)]
    assert first_words[2:] == list(listed)


@pytest.mark.parametrize("columns", [40, 60, 79, 80, 100])
def test_a_terminal_names_every_model_and_source_whole(monkeypatch, capsys, columns):
    for name, value in (("COLUMNS", str(columns)), ("FORCE_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    print_models(list_models())
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert "…" not in "".join(lines)
    assert max(len(line) for line in lines if line != CAPTION and line != TITLE) <= columns
    names = (
        [line for line in lines if line in PRESETS]
        if columns < 80
        else [line.split()[0] for line in lines if re.match(r" \S", line)][2:]
    )
    assert names == list(PRESETS)
    if columns < 80:
        said = " ".join(line.strip() for line in lines)
        for one in list_models():
            assert f"{one.name} encoder" in said
            assert f"cost {one.cost}, {'any' if one.any_length else 'not any'} length {one.what}" in said
            assert one.source is None or one.source in said


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
