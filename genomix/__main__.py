"""Lets `python -m genomix` be the command `genomix`."""

from genomix.cli.main import main

main()
