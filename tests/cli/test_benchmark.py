"""Speed and memory from the command line: what is printed and written, and what is refused."""

import csv
import json
import resource
import subprocess
import sys

import matplotlib.image
import pytest
from tiny import rows_of

FLOATS = (
    "train_step_s",
    "train_bases_per_s",
    "inference_s",
    "inference_bases_per_s",
    "peak_memory_mib",
    "inference_peak_memory_mib",
    "baseline_memory_mib",
)
WHOLE = ("length", "batch_size", "threads", "num_parameters", "repeats", "inference_repeats")
TEXTS = ("model", "dtype", "device", "status", "torch_version", "processor")
LENGTH = 64
TOO_LONG = 50_000_000
LIMIT_BYTES = 6 << 30
"""Of addresses: enough for torch, not for the position table of `TOO_LONG` bases."""


@pytest.fixture(scope="module")
def measured(genomix_apart, tmp_path_factory):
    """Training and inference, printed as JSON and written as a table and a picture."""
    folder = tmp_path_factory.mktemp("benchmark")
    options = ("--model", "paramixer-paper", "--length", LENGTH, "--batch-size", 2, "--threads", 1)
    written = ("--csv", folder / "b.csv", "--plot", folder / "b.png")
    done = genomix_apart("benchmark", *options, "--device", "cpu", "--json", *written)
    assert done.code == 0, done.stderr
    return folder, done, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def short_of_memory(environment, tmp_path_factory):
    """A model's folder at a length that fits and one that does not; a file that is replaced."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "config.yaml").write_text("preset: paramixer-paper\nmodel:\n  encoder:\n    protocol: cdil\n")
    (folder / "b.csv").write_text("old")
    arguments = ("--model", folder, "--length", LENGTH, "--length", TOO_LONG, "--csv", folder / "b.csv", "--force")
    return folder, run_with_little_memory(environment, *arguments, "--threads", 1)


def run_with_little_memory(environment, *arguments):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))

    command = [sys.executable, "-m", "genomix", "benchmark", "--predict-only", "--repeats", "1", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=limit)


class TestJson:
    def test_a_line_with_every_figure(self, measured):
        (row,) = measured[2]
        assert {*row} == {*FLOATS, *WHOLE, *TEXTS}
        assert all(isinstance(row[name], float) and row[name] > 0 for name in FLOATS)
        assert all(isinstance(row[name], int) for name in WHOLE)
        assert all(isinstance(row[name], str) and row[name] for name in TEXTS)

    def test_what_was_asked_for_is_stated(self, measured):
        asked = {"model": "paramixer-paper", "length": LENGTH, "batch_size": 2, "threads": 1, "dtype": "float32"}
        assert measured[2][0].items() >= {**asked, "device": "cpu", "status": "ok"}.items()

    def test_the_network_has_room_for_the_length_and_no_more(self, measured):
        dim, hidden, factors, links = 32, 128, 6, 7
        embedding, head = (6 + LENGTH) * dim, 2 * (LENGTH * dim + 1)
        value_mlp, link_mlp = ((dim + 1) * hidden + (hidden + 1) * out for out in (dim, links))
        assert measured[2][0]["num_parameters"] == embedding + value_mlp + factors * link_mlp + head

    def test_speeds_are_the_bases_of_a_batch_over_the_seconds(self, measured):
        (row,) = measured[2]
        for speed, seconds in (("train_bases_per_s", "train_step_s"), ("inference_bases_per_s", "inference_s")):
            assert row[speed] * row[seconds] == pytest.approx(2 * LENGTH)

    def test_enough_repeats(self, measured):
        for repeats, seconds in (("repeats", "train_step_s"), ("inference_repeats", "inference_s")):
            assert measured[2][0][repeats] >= 3
            assert measured[2][0][repeats] * measured[2][0][seconds] > 0.1  # a second in all, by the median about

    def test_a_training_step_takes_longer_and_a_process_grows(self, measured):
        (row,) = measured[2]
        assert row["train_step_s"] > row["inference_s"]
        assert row["baseline_memory_mib"] < min(row["peak_memory_mib"], row["inference_peak_memory_mib"])

    def test_nothing_to_say_on_stderr(self, measured):
        assert measured[1].stderr == ""


class TestFiles:
    def test_the_table_holds_what_was_printed(self, measured):
        folder, _, rows = measured
        found = rows_of((folder / "b.csv").read_text(), ",")
        assert found == [{name: str(value) for name, value in row.items()} for row in rows]

    def test_the_picture_has_a_coloured_point_in_each_of_three_panels(self, measured):
        picture = matplotlib.image.imread(measured[0] / "b.png")
        height, width = picture.shape[:2]
        assert min(height, width) > 300
        coloured = abs(picture[..., 0] - picture[..., 2]) > 0.3
        assert all(coloured[: height * 3 // 4, panel * width // 3 :][:, : width // 3].any() for panel in range(3))

    def test_nothing_of_an_unfinished_write_is_left(self, measured):
        assert sorted(path.name for path in measured[0].iterdir()) == ["b.csv", "b.png"]

    @pytest.mark.parametrize("option", ["--csv", "--plot"])
    def test_nothing_is_overwritten(self, genomix, tmp_path, option):
        path = tmp_path / "there.png"
        path.write_text("mine")
        done = genomix("benchmark", option, path)
        assert done.code == 73
        assert done.stderr == f"genomix: error: {path}: exists; use --force to replace it\n"
        assert path.read_text() == "mine"

    @pytest.mark.parametrize("option", ["--csv", "--plot"])
    def test_a_place_that_is_not_there(self, genomix, tmp_path, option):
        done = genomix("benchmark", option, tmp_path / "none" / "b.png")
        assert done.code == 73
        assert "there is no directory" in done.stderr


class TestTable:
    def test_one_that_runs_out_of_memory_does_not_end_the_others(self, short_of_memory):
        folder, outcome = short_of_memory
        assert outcome.returncode == 0
        assert f"{TOO_LONG} bp, inference: out of memory" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        with (folder / "b.csv").open(newline="") as table:
            rows = list(csv.DictReader(table))
        assert [row["status"] for row in rows] == ["ok", "out of memory"]
        assert rows[0]["inference_repeats"] == "1"
        assert rows[0]["train_step_s"] == rows[1]["inference_s"] == ""

    def test_a_row_a_length_and_only_what_was_measured(self, short_of_memory):
        out = short_of_memory[1].stdout
        assert "inference" in out
        assert "train step" not in out
        assert f"{TOO_LONG:,} bp: out of memory" in out
        assert "measured" not in out
        assert f"at {LENGTH} bp: measured" in short_of_memory[1].stderr

    def test_it_is_an_error_where_all_run_out_of_memory(self, environment, tmp_path):
        plot = tmp_path / "b.png"
        options = ("--model", "paramixer-paper", "--length", TOO_LONG, "--threads", 1, "--plot", plot)
        done = run_with_little_memory(environment, *options)
        assert done.returncode == 2
        assert "nothing could be measured" in done.stderr
        assert not plot.exists()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--model", "kmer"), "--model kmer: k-mer counts are not a network"),
        (("--model", "paramixer", "--model", "paramixr"), "did you mean 'paramixer'?"),
        (("--length", "4k"), "--length '4k' is not a number of bases"),
        (("--length", "1024,"), "--length '' is not a number of bases"),
        (("--length", "0"), "--length '0' is not a number of bases"),
        (("--batch-size", "0"), "--batch-size"),
        (("--repeats", "0"), "--repeats"),
        (("--threads", "0"), "--threads must be at least 1"),
        (("--dtype", "int8"), "'int8' is not one of 'float32'"),
        (("--device", "cuda"), "--device cuda: this machine or this build of torch has none"),
        (("--device", "mps"), "'mps' is not one of 'auto'"),
        (("--plot", "b.gif"), "--plot b.gif: the suffix names no format of pictures"),
        (("--train-only", "--predict-only"), "give either --train-only or --predict-only"),
    ],
)
def test_bad_options_are_refused(genomix, options, found):
    done = genomix("benchmark", *options)
    assert done.code == 2
    assert done.stderr.startswith("genomix: error: ")
    assert found in done.stderr
    assert done.stdout == ""


def test_a_network_that_does_not_fit_together_is_refused(genomix, tmp_path):
    (tmp_path / "config.yaml").write_text("model:\n  stem: null\n")
    done = genomix("benchmark", "--model", tmp_path)
    assert done.code == 2
    assert "without a stem they must be equal" in done.stderr


def test_help_waits_for_no_heavy_import(environment):
    heavy = ("torch", "matplotlib", "numba", "numpy")
    program = (
        "import atexit, sys; sys.argv[0] = 'genomix';"
        f"atexit.register(lambda: print(*sorted(set({heavy}) & set(sys.modules)), file=sys.stderr, end=''));"
        "from genomix.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, "benchmark", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("Usage: genomix benchmark")
