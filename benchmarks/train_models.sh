#!/usr/bin/env bash
# Trains the published models of models/ again, from the data in example_data/.
set -euo pipefail
genomix=$(realpath "${1:-.venv/bin/genomix}")
cd "$(dirname "$0")/.."
data=example_data/primate_mitochondria
"$genomix" train $data.fa.gz $data.tsv --out models/primate-suborder --force
rm -f models/primate-suborder/{train.log,predictions.tsv}
