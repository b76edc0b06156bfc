"""What a run is made of: the configuration, its presets, and how files, flags and defaults come together.

A configuration is a tree of sections, written as YAML. Training fills in what it leaves open and writes the resolved
tree to the run directory, where it is valid input again.
"""

from genomix.config.encoders import ENCODER_SECTIONS, AnyEncoderConfig, EncoderConfig, ParamixerConfig
from genomix.config.presets import PRESETS
from genomix.config.reading import make_config, model_name, parse_assignment, says_the_same, to_yaml
from genomix.config.schema import (
    Config,
    DataConfig,
    HeadConfig,
    KmerConfig,
    MaskingConfig,
    NetworkConfig,
    TrainingConfig,
)

__all__ = [
    "ENCODER_SECTIONS",
    "PRESETS",
    "AnyEncoderConfig",
    "Config",
    "DataConfig",
    "EncoderConfig",
    "HeadConfig",
    "KmerConfig",
    "MaskingConfig",
    "NetworkConfig",
    "ParamixerConfig",
    "TrainingConfig",
    "make_config",
    "model_name",
    "parse_assignment",
    "says_the_same",
    "to_yaml",
]
