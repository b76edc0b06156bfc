"""Writes `models/<preset>/config.yaml` for every preset of `genomix.config`."""

from __future__ import annotations

from pathlib import Path

from genomix.config import PRESETS, make_config, to_yaml

MODELS = Path(__file__).parent.parent / "models"


def main() -> None:
    """Write one configuration a preset."""
    for name in PRESETS:
        folder = MODELS / name
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(to_yaml(make_config(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
