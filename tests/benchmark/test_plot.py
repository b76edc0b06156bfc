"""The picture of results shows them."""

import matplotlib.image
import numpy as np
import pytest

from genomix.benchmark.plot import write_plot
from genomix.benchmark.results import OUT_OF_MEMORY, Result


def result(model, length, **figures):
    measured = dict.fromkeys(Result.__annotations__) | {"model": model, "length": length, "status": "ok"}
    return Result(**(measured | {"threads": 1, "dtype": "float32", "batch_size": 4, "device": "cpu"} | figures))


@pytest.fixture
def results():
    return [
        result(model, length, train_step_s=factor * length, inference_bases_per_s=factor, peak_memory_mib=factor)
        for model, factor in (("one", 1.0), ("two", 30.0))
        for length in (64, 256, 1024)
    ]


class TestPlot:
    def test_a_line_a_model_in_every_panel(self, results, tmp_path):
        write_plot(results, tmp_path / "b.png")
        picture = matplotlib.image.imread(tmp_path / "b.png")[..., :3]
        for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):
            of_line = np.abs(picture - np.array(colour) / 255).max(2) < 0.1
            panels = np.array_split(of_line[: len(of_line) * 7 // 8], 3, axis=1)
            assert all(panel.any(axis=0).mean() > 0.3 for panel in panels)

    @pytest.mark.parametrize(("suffix", "beginning"), [("svg", b"<?xml"), ("pdf", b"%PDF-")])
    def test_other_formats(self, results, tmp_path, suffix, beginning):
        write_plot(results, tmp_path / f"b.{suffix}")
        assert (tmp_path / f"b.{suffix}").read_bytes().startswith(beginning)

    def test_what_was_not_measured_is_left_out(self, tmp_path):
        ran_out = result("one", 256, status=OUT_OF_MEMORY)
        write_plot([result("one", 64, inference_bases_per_s=9.0), ran_out], tmp_path / "one.png")
        write_plot([result("one", 64, inference_bases_per_s=9.0, train_step_s=1.0), ran_out], tmp_path / "two.png")
        one, two = (matplotlib.image.imread(tmp_path / f"{name}.png").shape[1] for name in ("one", "two"))
        assert two == 2 * one
