"""The folders in models/: presets that say what the code says, and trained models that load and predict."""

from pathlib import Path

import numpy as np
import pytest

from genomix.checkpoint import load_model
from genomix.config import PRESETS, make_config, to_yaml

MODELS = Path(__file__).parent.parent / "models"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_folder_holds_what_the_code_says(name):
    assert (MODELS / name / "config.yaml").read_text() == to_yaml(make_config(name)), "run make presets"
    assert (MODELS / name / "README.md").is_file()


def test_the_readme_lists_every_folder():
    folders = {path.name for path in MODELS.iterdir() if path.is_dir()}
    text = (MODELS / "README.md").read_text()
    assert all(f"`{folder}`" in text for folder in folders)
    assert text.startswith("# Models: data, not code.")


@pytest.mark.parametrize("folder", [path.parent.name for path in MODELS.glob("*/model.safetensors")])
def test_a_trained_model_loads_has_a_card_and_says_where_it_comes_from(folder):
    model = load_model(MODELS / folder)
    assert model.meta.inputs
    assert model.meta.training["epochs"] > 0
    assert all(np.isfinite(tensor.numpy()).all() for tensor in model.classifier.state_dict().values())
    assert (MODELS / folder / "README.md").is_file()
    assert (MODELS / folder / "metrics.json").is_file()
