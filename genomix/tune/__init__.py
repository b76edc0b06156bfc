"""Searches the settings of a model by trials on the validation records, with Optuna (Akiba et al. 2019, KDD)."""
