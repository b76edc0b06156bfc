#!/usr/bin/env bash
# Trains on the example data, evaluates, predicts; what it makes goes to the directory named first.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-demo_run}
genomix="${BIN:-.venv/bin}/genomix"
data=example_data/primate_mitochondria
rm -rf "$out"
mkdir -p "$out"

show() { printf '\n$ genomix %s\n' "$*"; "$genomix" "$@"; }

show train $data.fa.gz $data.tsv --out "$out/run" --budget 2m
show evaluate "$out/run" $data.fa.gz $data.tsv --split test
show predict "$out/run" $data.fa.gz --output "$out/predictions.tsv"
head -n 4 "$out/predictions.tsv"
show predict models/primate-suborder $data.fa.gz --output "$out/published.tsv"
head -n 4 "$out/published.tsv"
