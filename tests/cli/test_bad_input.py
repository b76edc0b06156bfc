"""Everything a user may get wrong, and what the command says to it.

Each case is a command in a directory that holds what is good:

* `data.fa`, `labels.tsv`: records and their labels; `new.fa`: a record to predict
* `model/`: a trained model; `pred.tsv`: its predictions for `data.fa`

and, beside or instead of these, the files of the case. The command must leave with the exit code, say on stderr what is
stated, without a traceback, and leave the directory as it was.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import zstandard
from tiny import TINY, to_fasta

Content = str | bytes | None

USAGE, BAD_DATA, NO_INPUT, CANNOT_WRITE = 2, 65, 66, 73


class Case(NamedTuple):
    """One mistake: what is wrong, the command, what is said, and the files that differ (None: there is none)."""

    wrong: str
    command: str
    code: int
    says: list[str]
    files: dict[str, Content] = {}  # noqa: RUF012 (nobody changes it)


RECORDS = {f"r{number}": "ACGTTGCAAC" * 3 for number in range(6)}
FASTA = to_fasta(RECORDS)
LABELS = "id\tlabel\n" + "".join(f"r{number}\t{'ab'[number % 2]}\n" for number in range(6))
TRAIN = "train data.fa labels.tsv"
PREDICT = "predict model"
STOPPED: dict[str, Content] = {
    "stopped/config.yaml": "preset: paramixer\n",
    "stopped/begun.json": '{"complete": false}',
    "stopped/checkpoint.pt": "",
}

MISSING_INPUT = [
    Case(
        "the sequence file does not exist",
        "train nowhere.fa labels.tsv",
        NO_INPUT,
        ["nowhere.fa: there is no such file"],
    ),
    Case("the sequence file is empty", TRAIN, NO_INPUT, ["data.fa: is empty"], {"data.fa": ""}),
    Case("the sequence file holds blank lines only", TRAIN, NO_INPUT, ["data.fa: is empty"], {"data.fa": "\n\n"}),
    Case(
        "a directory of sequences has none",
        "train empty labels.tsv",
        NO_INPUT,
        ["empty: has no FASTA or FASTQ files"],
        {"empty/readme.md": "hello"},
    ),
    Case(
        "the label table does not exist", "train data.fa nowhere.tsv", NO_INPUT, ["nowhere.tsv: there is no such file"]
    ),
    Case(
        "the label table is empty",
        TRAIN,
        NO_INPUT,
        ["labels.tsv: is empty; give a table with the columns id and label"],
        {"labels.tsv": ""},
    ),
    Case("the label table is a directory", "train data.fa model", NO_INPUT, ["model: is a directory"]),
    Case(
        "a file of a class does not exist",
        "train --class a=data.fa --class b=nowhere.fa",
        NO_INPUT,
        ["nowhere.fa: there is no such file"],
    ),
    Case("stdin is empty", "train - labels.tsv", NO_INPUT, ["stdin: is empty"]),
    Case("nothing to predict", f"{PREDICT} nowhere.fa", NO_INPUT, ["nowhere.fa: there is no such file"]),
    Case(
        "the configuration does not exist",
        f"{TRAIN} --config nowhere.yaml",
        NO_INPUT,
        ["nowhere.yaml: cannot read this configuration"],
    ),
    Case("the model does not exist", "predict nowhere data.fa", NO_INPUT, ["nowhere: no such run directory or model"]),
    Case(
        "the model to evaluate does not exist",
        "evaluate nowhere data.fa labels.tsv",
        NO_INPUT,
        ["nowhere: no such run directory or model"],
    ),
    Case(
        "the model is a preset without weights",
        "predict preset data.fa",
        NO_INPUT,
        ["preset: a preset without weights", "genomix train --model preset"],
        {"preset/config.yaml": "preset: kmer\n"},
    ),
    Case(
        "the model is of a training that stopped before it had weights",
        "predict stopped data.fa",
        NO_INPUT,
        ["stopped: this training has no weights yet; go on with it first (--resume stopped)"],
        STOPPED,
    ),
    Case(
        "the run to report was stopped",
        "report stopped",
        NO_INPUT,
        ["stopped: this training has not ended; go on with it first (--resume stopped)"],
        STOPPED,
    ),
    Case(
        "the run to start from was stopped",
        f"{TRAIN} --init-from stopped",
        USAGE,
        ["--init-from stopped: this training has not ended; go on with it (--resume stopped) first"],
        STOPPED,
    ),
    Case(
        "the model is some other directory",
        "predict other data.fa",
        NO_INPUT,
        ["other: not a run directory or model", "config.yaml, model.safetensors, meta.json missing"],
        {"other/notes.txt": ""},
    ),
    Case(
        "the predictions do not exist",
        "evaluate --predictions nowhere.tsv labels.tsv",
        NO_INPUT,
        ["nowhere.tsv: cannot be read"],
    ),
    Case(
        "the predictions are empty",
        "evaluate --predictions pred.tsv labels.tsv",
        NO_INPUT,
        ["pred.tsv: is empty"],
        {"pred.tsv": ""},
    ),
]

BAD_SEQUENCES = [
    Case(
        "protein, not DNA",
        TRAIN,
        BAD_DATA,
        ["data.fa:1: the file looks like protein", 'record "r0"', "give DNA or RNA"],
        {"data.fa": to_fasta(dict.fromkeys(RECORDS, "MEFILPQLEFIKVLPQE"))},
    ),
    Case(
        "a letter that is no nucleotide",
        TRAIN,
        BAD_DATA,
        ["""data.fa:4: record "r1": 'J' is not a nucleotide code; use --on-invalid skip"""],
        {"data.fa": ">r0\nACGT\n>r1\nACJT\n"},
    ),
    Case(
        "a letter that is no nucleotide, on a later line",
        TRAIN,
        BAD_DATA,
        ["""data.fa:5: record "r1": 'J'"""],
        {"data.fa": ">r0\nACGT\n>r1\nACGT\nACJT\n"},
    ),
    Case(
        "an alignment with gaps",
        TRAIN,
        BAD_DATA,
        ["""data.fa:2: record "r0": '-' is a gap; remove alignment gaps first"""],
        {"data.fa": ">r0\nAC--GT\n"},
    ),
    Case(
        "a record without sequence",
        TRAIN,
        BAD_DATA,
        ['data.fa:1: record "r0": is empty; give its sequence or use --on-invalid skip'],
        {"data.fa": ">r0\n>r1\nACGT\n"},
    ),
    Case(
        "a header without id",
        TRAIN,
        BAD_DATA,
        ["data.fa:1: record without a name: has no id"],
        {"data.fa": ">\nACGT\n"},
    ),
    Case(
        "two records of one id",
        TRAIN,
        BAD_DATA,
        ['data.fa:13: record "r0": the record at data.fa:1 has the same id', "rename or remove one"],
        {"data.fa": FASTA + ">r0 again\nACGT\n"},
    ),
    Case(
        "twelve bad records",
        TRAIN,
        BAD_DATA,
        ['data.fa:2: record "r0"', 'data.fa:20: record "r9"', "... and 2 more problems like these"],
        {"data.fa": to_fasta({f"r{i}": "AXGT" for i in range(12)})},
    ),
    Case(
        "not a sequence file at all",
        TRAIN,
        BAD_DATA,
        ["data.fa: is neither FASTA", "it begins with '%PDF-1.7'"],
        {"data.fa": "%PDF-1.7\n"},
    ),
    Case(
        "a table without a column of sequences",
        "train seqs.csv labels.tsv",
        BAD_DATA,
        ["seqs.csv: is neither FASTA", 'a column "sequence"', "'id,dna'"],
        {"seqs.csv": "id,dna\nr0,ACGT\n"},
    ),
    Case(
        "UTF-16 text",
        TRAIN,
        BAD_DATA,
        ["data.fa: is UTF-16 text; save it as UTF-8"],
        {"data.fa": FASTA.encode("utf-16")},
    ),
    Case("a zip archive", TRAIN, BAD_DATA, ["data.fa: is a zip archive; unpack it"], {"data.fa": b"PK\3\4junk"}),
    Case(
        "a gzip file cut short",
        "train data.fa.gz labels.tsv",
        BAD_DATA,
        ["data.fa.gz: the gzip stream ends too early", "copy, download or compress it again"],
        {"data.fa.gz": gzip.compress(FASTA.encode())[:-12]},
    ),
    Case(
        "a damaged gzip file",
        "train data.fa.gz labels.tsv",
        BAD_DATA,
        ["data.fa.gz: the gzip stream is damaged"],
        {"data.fa.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 40},
    ),
    Case(
        "a damaged bzip2 file",
        "train data.fa.bz2 labels.tsv",
        BAD_DATA,
        ["data.fa.bz2: the bzip2 stream is damaged"],
        {"data.fa.bz2": bz2.compress(FASTA.encode())[:20] + b"\xff" * 40},
    ),
    Case(
        "a damaged xz file",
        "train data.fa.xz labels.tsv",
        BAD_DATA,
        ["data.fa.xz: the xz stream is damaged"],
        {"data.fa.xz": lzma.compress(FASTA.encode())[:20] + b"\xff" * 40},
    ),
    Case(
        "a damaged zstd file",
        "train data.fa.zst labels.tsv",
        BAD_DATA,
        ["data.fa.zst: the zstd stream is damaged"],
        {"data.fa.zst": zstandard.compress(FASTA.encode())[:10] + b"\xff" * 40},
    ),
    Case(
        "FASTQ with qualities of another length",
        "train reads.fq labels.tsv",
        BAD_DATA,
        ['reads.fq:1: record "r0"', "the file is cut short or damaged"],
        {"reads.fq": "@r0\nACGT\n+\nIII\n@r1\nACGT\n+\nIIII\n"},
    ),
    Case(
        "FASTQ that ends in a record",
        "train reads.fq labels.tsv",
        BAD_DATA,
        ['reads.fq:5: record "r1"', "the file is cut short or damaged"],
        {"reads.fq": "@r0\nACGT\n+\nIIII\n@r1\nACGT\n"},
    ),
    Case(
        "sequences to predict have an invalid letter",
        f"{PREDICT} bad.fa",
        BAD_DATA,
        ["""bad.fa:4: record "new2": '!' is not a nucleotide code"""],
        {"bad.fa": ">new1\nACGT\n>new2\nA!GT\n"},
    ),
    Case(
        "protein to predict",
        f"{PREDICT} bad.fa",
        BAD_DATA,
        ["bad.fa:1: the file looks like protein"],
        {"bad.fa": ">p\nMEFILPQLEFIKVLPQE\n"},
    ),
]

BAD_LABELS = [
    Case(
        "no labels at all",
        "train data.fa",
        USAGE,
        ["no labels are given; name a table with the columns id and label", "--label-regex"],
    ),
    Case(
        "a sequence table without labels",
        "train seqs.csv",
        USAGE,
        ["no labels are given"],
        {"seqs.csv": "id,sequence\nr0,ACGT\n"},
    ),
    Case(
        "labels given twice",
        f"{TRAIN} --labels labels.tsv --label-regex (.)",
        USAGE,
        ["labels are given in more than one way"],
    ),
    Case(
        "the label table comes first",
        "train labels.tsv data.fa",
        BAD_DATA,
        ["data.fa: is FASTA, not a table of labels; give the sequences first"],
    ),
    Case(
        "a label table without a column of labels",
        TRAIN,
        BAD_DATA,
        ["labels.tsv:1: has no column 'label'"],
        {"labels.tsv": "id\tclass\nr0\ta\n"},
    ),
    Case("a label table of one column", TRAIN, BAD_DATA, ["labels.tsv:1: has 1 column;"], {"labels.tsv": "r0\nr1\n"}),
    Case(
        "an empty label",
        TRAIN,
        BAD_DATA,
        ['labels.tsv:2: the label of "r0" is empty'],
        {"labels.tsv": LABELS.replace("r0\ta", "r0\t")},
    ),
    Case(
        "a row with too many cells",
        TRAIN,
        BAD_DATA,
        ['labels.tsv:2: the row of "r0" has 3 cells instead of 2'],
        {"labels.tsv": LABELS.replace("r0\ta", "r0\ta\tb")},
    ),
    Case(
        "two labels for a record",
        TRAIN,
        BAD_DATA,
        ['labels.tsv:8: record "r0" has the label "b" here and "a" at labels.tsv:2', "remove one of the rows"],
        {"labels.tsv": LABELS + "r0\tb\n"},
    ),
    Case(
        "a label without record",
        TRAIN,
        BAD_DATA,
        ['labels.tsv:8: the label of "r9" has no record', "--on-missing skip"],
        {"labels.tsv": LABELS + "r9\tb\n"},
    ),
    Case(
        "a record without label",
        TRAIN,
        BAD_DATA,
        ['data.fa:13: record "r9" has no label', "--on-missing skip"],
        {"data.fa": FASTA + ">r9\nACGT\n"},
    ),
    Case(
        "ids that have nothing in common",
        TRAIN,
        BAD_DATA,
        ["labels.tsv:2: no label has the id of a record", '"s0"', '"r0"'],
        {"labels.tsv": LABELS.replace("r", "s")},
    ),
    Case(
        "one class only",
        TRAIN,
        BAD_DATA,
        ['all 6 records have the label "a"', "add records of another"],
        {"labels.tsv": LABELS.replace("\tb\n", "\ta\n")},
    ),
    Case(
        "a class of two records",
        TRAIN,
        BAD_DATA,
        ['class "c" has 2 records, and needs at least 3'],
        {"data.fa": FASTA + ">r6\nACGT\n>r7\nACGA\n", "labels.tsv": LABELS + "r6\tc\nr7\tc\n"},
    ),
    Case(
        "a split that is none",
        TRAIN,
        BAD_DATA,
        ['labels.tsv:2: record "r0": the split is "holdout"; use train, val, test or unused'],
        {"labels.tsv": "id\tlabel\tsplit\nr0\ta\tholdout\nr1\tb\ttrain\n"},
    ),
    Case(
        "a split column without train",
        TRAIN,
        BAD_DATA,
        ["the column split has no train; name the records to learn from"],
        {
            "labels.tsv": LABELS.replace("label\n", "label\tsplit\n")
            .replace("a\n", "a\ttest\n")
            .replace("b\n", "b\ttest\n")
        },
    ),
    Case(
        "a class that is only in test",
        TRAIN,
        BAD_DATA,
        ["no training record of class 'b'", "change the split column"],
        {
            "labels.tsv": LABELS.replace("label\n", "label\tsplit\n")
            .replace("a\n", "a\ttrain\n")
            .replace("b\n", "b\ttest\n")
        },
    ),
    Case("--class without =", "train --class a.fa", USAGE, ["--class 'a.fa': write it as NAME=FILE"]),
    Case(
        "--class beside other sequences",
        "train data.fa --class a=new.fa",
        USAGE,
        ["sequences are given both as files of their own and as NAME=FILE"],
    ),
    Case(
        "a label pattern that is none",
        "train data.fa --label-regex '(('",
        USAGE,
        ["the regular expression '((' is wrong", "mend --label-regex"],
    ),
    Case(
        "a label pattern without a group",
        "train data.fa --label-regex class=.*",
        USAGE,
        ["has 0 groups; put the label, and only it, in (...)"],
    ),
    Case(
        "a label pattern that finds nothing",
        "train data.fa --label-regex class=(.*)",
        BAD_DATA,
        ["""data.fa:1: record "r0": 'class=(.*)' finds no label in the header "r0\""""],
    ),
    Case(
        "an evaluated label that the model does not know",
        "evaluate model data.fa labels.tsv",
        BAD_DATA,
        ['record "r0"', "label 'c' is not a class of this model (it knows a, b)"],
        {"labels.tsv": LABELS.replace("\ta\n", "\tc\n")},
    ),
    Case("an evaluation without labels", "evaluate model data.fa", USAGE, ["no labels are given"]),
    Case("an evaluation of nothing", "evaluate", USAGE, ["give a model, sequences and labels"]),
    Case("an evaluation of a model alone", "evaluate model", USAGE, ["give a model, sequences and labels"]),
]

BAD_OPTIONS = [
    Case("no such command", "trian data.fa", USAGE, ["No such command 'trian'"]),
    Case("no such option", f"{TRAIN} --epochs 3", USAGE, ["No such option: --epochs"]),
    Case("nothing to train on", "train", USAGE, ["no sequences are given; name a FASTA, FASTQ or table"]),
    Case("nothing to predict with", "predict", USAGE, ["Missing argument 'MODEL'", "see genomix predict --help"]),
    Case("a number that is none", f"{TRAIN} --max-epochs many", USAGE, ["'--max-epochs'", "valid integer"]),
    Case(
        "an unknown choice", f"{TRAIN} --classes rare", USAGE, ["'rare' is not one of 'natural', 'weighted', 'sampled'"]
    ),
    Case(
        "an unknown preset",
        f"{TRAIN} --model parmixer",
        USAGE,
        ["--model 'parmixer' is neither a preset nor a folder", "did you mean 'paramixer'?", "kmer"],
    ),
    Case(
        "an unknown key of --set",
        f"{TRAIN} --set training.learning_rat=0.1",
        USAGE,
        ["training.learning_rat: there is no such key; did you mean 'learning_rate'?"],
    ),
    Case("--set without =", f"{TRAIN} --set training.seed", USAGE, ["--set 'training.seed': write it as key=value"]),
    Case(
        "a value of --set that is no YAML",
        f"{TRAIN} --set 'training.seed=[1'",
        USAGE,
        ["--set 'training.seed=[1': the value is not valid YAML"],
    ),
    Case("a section set to a number", f"{TRAIN} --set training=3", USAGE, ["training: ", "(found 3)"]),
    Case(
        "a negative number of epochs",
        f"{TRAIN} --max-epochs -1",
        USAGE,
        ["training.max_epochs: Input should be greater than 0 (found -1)"],
    ),
    Case(
        "a length of zero",
        f"{TRAIN} --max-length 0",
        USAGE,
        ["model.max_length: Input should be greater than 0 (found 0)"],
    ),
    Case(
        "--max-length of a k-mer model",
        f"{TRAIN} --model kmer --max-length 9",
        USAGE,
        ["--max-length 9: --max-length does not apply to kmer"],
    ),
    Case(
        "an unknown key in a file",
        f"{TRAIN} --config c.yaml",
        USAGE,
        ["c.yaml: trainning: there is no such key; did you mean 'training'?"],
        {"c.yaml": "trainning:\n  seed: 1\n"},
    ),
    Case(
        "four mistakes in a file",
        f"{TRAIN} --config c.yaml",
        USAGE,
        [
            "c.yaml: model.encoder.protocol",
            "c.yaml: training.seed",
            "c.yaml: data.val_fraction",
            "c.yaml: prediction.strand: there is no such key; did you mean 'strands'?",
        ],
        {
            "c.yaml": "model:\n  encoder:\n    protocol: ring\ntraining:\n  seed: x\n"
            "data:\n  val_fraction: 2\nprediction:\n  strand: both\n"
        },
    ),
    Case(
        "a file that is no YAML",
        f"{TRAIN} --config c.yaml",
        USAGE,
        ["c.yaml:3: not valid YAML"],
        {"c.yaml": "model:\n  encoder: [1, 2\ntraining:\n"},
    ),
    Case(
        "a file that is a list",
        f"{TRAIN} --config c.yaml",
        USAGE,
        ["c.yaml: a configuration is a mapping of sections", "not list"],
        {"c.yaml": "- model\n"},
    ),
    Case(
        "a file that names an unknown preset",
        f"{TRAIN} --config c.yaml",
        USAGE,
        ["c.yaml: preset: 'paramixr' is not known; did you mean 'paramixer'?"],
        {"c.yaml": "preset: paramixr\n"},
    ),
    Case(
        "a file of another schema",
        f"{TRAIN} --config c.yaml",
        USAGE,
        ["c.yaml: schema_version"],
        {"c.yaml": "schema_version: 99\n"},
    ),
    Case(
        "both --model and --config",
        f"{TRAIN} --model kmer --config c.yaml",
        USAGE,
        ["give either --model or --config, not both"],
        {"c.yaml": ""},
    ),
    Case(
        "a duration that is none",
        f"{TRAIN} --max-time soon",
        USAGE,
        ["--max-time 'soon' is not a duration; write it like 90s, 45m or 1h30m"],
    ),
    Case("a duration of nothing", f"{TRAIN} --max-time 0s", USAGE, ["'0s' is not a duration"]),
    Case(
        "an unknown device",
        f"{TRAIN} --device gpu",
        USAGE,
        ["--device 'gpu' is not known: use one of auto, cpu, cuda, mps"],
    ),
    Case(
        "a device that is not there",
        f"{PREDICT} data.fa --device cuda",
        USAGE,
        ["--device cuda: this machine or this build of torch has none; use --device cpu"],
    ),
    Case("no threads", f"{TRAIN} --threads 0", USAGE, ["--threads must be at least 1, not 0"]),
    Case(
        "fractions that leave nothing to train on",
        f"{TRAIN} --set data.val_fraction=0.6 --set data.test_fraction=0.5",
        USAGE,
        ["data: val_fraction and test_fraction must sum to less than 1"],
    ),
    Case("a stride of zero", f"{PREDICT} data.fa --stride 0", USAGE, ["--stride"]),
    Case("batches of a negative size", f"{PREDICT} data.fa --batch-bases -5", USAGE, ["--batch-bases"]),
    Case("stdin twice", "train - -", USAGE, ["both sequences and labels are to come from stdin"]),
    Case("stdin twice among the sequences", f"{PREDICT} - -", USAGE, ["stdin (-) is given more than once"]),
    Case(
        "an output of an unknown kind",
        f"{PREDICT} data.fa -o out.xlsx",
        USAGE,
        ["out.xlsx: the suffix names no format of predictions; use one of .tsv"],
    ),
    Case(
        "--split where the labels have no split",
        "evaluate model data.fa labels.tsv --split test",
        USAGE,
        ["--split test: the labels have no split column"],
    ),
    Case(
        "--split of a split that is empty",
        "evaluate model data.fa labels.tsv --split val",
        USAGE,
        ["--split val: no record is in it; the labels have train"],
        {
            "labels.tsv": LABELS.replace("label\n", "label\tsplit\n")
            .replace("a\n", "a\ttrain\n")
            .replace("b\n", "b\ttrain\n")
        },
    ),
    Case(
        "--split where the labels of predictions have none",
        "evaluate --predictions pred.tsv labels.tsv --split test",
        USAGE,
        ["--split test: labels.tsv has no split column"],
    ),
    Case(
        "predictions with two tables",
        "evaluate --predictions pred.tsv data.fa labels.tsv",
        USAGE,
        ["--predictions takes one table of labels"],
    ),
]

BAD_MODELS_AND_PREDICTIONS = [
    Case(
        "damaged weights",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/model.safetensors: damaged or not a safetensors file"],
        {"model/model.safetensors": b"\x10\0\0\0\0\0\0\0junk"},
    ),
    Case(
        "empty weights",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/model.safetensors: damaged"],
        {"model/model.safetensors": b""},
    ),
    Case(
        "weights of another network",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/model.safetensors: these weights do not fit the config.yaml"],
        {"model/config.yaml": "preset: kmer\nmodel:\n  k: 3\n"},
    ),
    Case(
        "damaged meta data",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/meta.json: damaged meta data"],
        {"model/meta.json": "{"},
    ),
    Case(
        "meta data of a newer genomix",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/meta.json: written by a newer genomix (schema 99); update genomix"],
        {"model/meta.json": '{"schema_version": 99}'},
    ),
    Case(
        "a configuration that the model cannot have",
        f"{PREDICT} data.fa",
        BAD_DATA,
        ["model/config.yaml: model.kk: there is no such key; did you mean 'k'?"],
        {"model/config.yaml": "preset: kmer\nmodel:\n  kk: 3\n"},
    ),
    Case(
        "a model without meta data",
        f"{PREDICT} data.fa",
        NO_INPUT,
        ["model: not a run directory or model: meta.json missing"],
        {"model/meta.json": None},
    ),
    Case(
        "predictions for some records are missing",
        "evaluate --predictions pred.tsv labels.tsv",
        BAD_DATA,
        ['labels.tsv: record "r5" has no prediction in pred.tsv'],
        {"pred.tsv": "id\tprobability_a\tprobability_b\n" + "".join(f"r{i}\t0.5\t0.5\n" for i in range(5))},
    ),
    Case(
        "probabilities that are none",
        "evaluate --predictions pred.tsv labels.tsv",
        BAD_DATA,
        [
            'pred.tsv:2: record "r0": probabilities must be from 0 to 1',
            'pred.tsv:3: record "r1": probabilities must sum to 1',
            'pred.tsv:4: record "r2": a probability is not a number',
        ],
        {"pred.tsv": "id\tprobability_a\tprobability_b\nr0\t1.5\t-0.5\nr1\t0.4\t0.4\nr2\tx\t0.5\n"},
    ),
    Case(
        "predictions without probabilities",
        "evaluate --predictions pred.tsv labels.tsv",
        BAD_DATA,
        [
            "pred.tsv:1: a predictions table has a column id and at least two columns probability_<class>",
            "found id, label",
        ],
        {"pred.tsv": "id\tlabel\nr0\ta\n"},
    ),
    Case(
        "a record predicted twice",
        "evaluate --predictions pred.tsv labels.tsv",
        BAD_DATA,
        ['pred.tsv:3: record "r0" is already at pred.tsv:2; keep one of them'],
        {"pred.tsv": "id\tprobability_a\tprobability_b\nr0\t1\t0\nr0\t1\t0\n"},
    ),
    Case(
        "labels of other classes than the predictions",
        "evaluate --predictions pred.tsv labels.tsv",
        BAD_DATA,
        ["record \"r0\": label 'c' is not a class of pred.tsv (it knows a, b)"],
        {"labels.tsv": LABELS.replace("\ta\n", "\tc\n")},
    ),
]

BAD_OUTPUTS = [
    Case(
        "the run directory holds something",
        f"{TRAIN} -o full",
        CANNOT_WRITE,
        ["full: exists and is not empty; name another directory, or --force"],
        {"full/precious.txt": "mine"},
    ),
    Case(
        "the run directory is a file",
        f"{TRAIN} -o data.fa",
        CANNOT_WRITE,
        ["data.fa: is a file; name a directory that does not exist yet"],
    ),
    Case(
        "the run directory is below a file",
        f"{TRAIN} -o data.fa/run",
        CANNOT_WRITE,
        ["data.fa/run: cannot make or write this directory"],
    ),
    Case(
        "the table of predictions exists",
        f"{PREDICT} data.fa -o pred.tsv",
        CANNOT_WRITE,
        ["pred.tsv: exists; use --force to replace it"],
    ),
    Case(
        "the table of predictions is a directory",
        f"{PREDICT} data.fa -o full.tsv",
        CANNOT_WRITE,
        ["full.tsv: is a directory; name a file"],
        {"full.tsv/x": ""},
    ),
    Case(
        "the table's directory does not exist",
        f"{PREDICT} data.fa -o nowhere/out.tsv",
        CANNOT_WRITE,
        ["nowhere/out.tsv: there is no directory nowhere; make it first (mkdir -p nowhere)"],
    ),
    Case(
        "the directory of an evaluation holds something",
        "evaluate model data.fa labels.tsv -o full",
        CANNOT_WRITE,
        ["full: exists and is not empty"],
        {"full/precious.txt": "mine"},
    ),
]

CASES = MISSING_INPUT + BAD_SEQUENCES + BAD_LABELS + BAD_OPTIONS + BAD_MODELS_AND_PREDICTIONS + BAD_OUTPUTS


@pytest.fixture(scope="module")
def good(genomix, tmp_path_factory):
    """A directory where nothing is wrong."""
    directory = tmp_path_factory.mktemp("good")
    (directory / "data.fa").write_text(FASTA)
    (directory / "labels.tsv").write_text(LABELS)
    (directory / "new.fa").write_text(">new\nACGTTGCA\n")
    trained = genomix("train", "data.fa", "labels.tsv", "-o", "model", "-m", "kmer", "-t", 1, directory=directory)
    predicted = genomix("predict", "model", "data.fa", "-o", "pred.tsv", "-t", 1, directory=directory)
    assert trained.code == predicted.code == 0, trained.stderr + predicted.stderr
    return directory


@pytest.fixture
def workplace(good, tmp_path):
    """A copy of it, in which a case can go wrong."""
    return Path(shutil.copytree(good, tmp_path / "work"))


def lay_out(directory: Path, files: dict[str, Content]) -> None:
    for name, content in files.items():
        path = directory / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def fingerprint(directory: Path) -> dict[str, str]:
    """Return what is in a directory, down to the last byte."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "directory"
        for path in sorted(directory.rglob("*"))
    }


@pytest.mark.parametrize("case", CASES, ids=[case.wrong for case in CASES])
def test_bad_input_is_explained_and_leaves_no_trace(genomix, workplace, case):
    lay_out(workplace, case.files)
    before = fingerprint(workplace)
    done = genomix(*shlex.split(case.command), directory=workplace)
    assert done.code == case.code, done.stderr
    check_message(done.stderr, case.says)
    assert done.stdout == ""
    assert fingerprint(workplace) == before


BEFORE_TRAINING = [case for case in CASES if case.command.startswith("train") and case.code != CANNOT_WRITE]


@pytest.mark.parametrize("case", BEFORE_TRAINING, ids=[case.wrong for case in BEFORE_TRAINING])
def test_a_dry_run_says_what_the_training_would(genomix, workplace, case):
    lay_out(workplace, case.files)
    before = fingerprint(workplace)
    done = genomix(*shlex.split(case.command), "--dry-run", directory=workplace)
    assert done.code == case.code, done.stderr
    check_message(done.stderr, case.says)
    assert done.stdout == ""
    assert fingerprint(workplace) == before


OCCUPIED = [case for case in BAD_OUTPUTS if case.command.startswith("train")]


@pytest.mark.parametrize("case", OCCUPIED, ids=[case.wrong for case in OCCUPIED])
def test_a_dry_run_needs_no_place_to_write(genomix, workplace, case):
    lay_out(workplace, case.files)
    before = fingerprint(workplace)
    done = genomix(*shlex.split(case.command), "--dry-run", "-m", "kmer", "-t", 1, directory=workplace)
    assert done.code == 0, done.stderr
    assert "nothing to estimate" in done.stdout
    assert fingerprint(workplace) == before


def check_message(stderr: str, says: list[str]) -> None:
    assert "Traceback" not in stderr
    message = stderr[stderr.index("genomix: error: ") :] if "genomix: error: " in stderr else stderr
    assert message.startswith("genomix: error: ")
    for fragment in says:
        assert fragment in message


@pytest.mark.parametrize("command", ["train nowhere.fa labels.tsv", "train --classes rare data.fa", "predict model"])
def test_a_fresh_process_says_the_same(genomix, genomix_apart, workplace, command):
    words = shlex.split(command)
    assert genomix_apart(*words, directory=workplace) == genomix(*words, directory=workplace)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("command", [f"{TRAIN} -o locked/run", f"{PREDICT} data.fa -o locked/out.tsv"])
def test_a_directory_that_cannot_be_written(genomix, workplace, command):
    locked = workplace / "locked"
    locked.mkdir(mode=0o500)
    done = genomix(*shlex.split(command), directory=workplace)
    assert done.code == CANNOT_WRITE
    check_message(done.stderr, ["locked", "cannot"])
    assert not any(locked.iterdir())


def test_a_bad_record_from_stdin_stops_the_prediction(genomix, workplace):
    done = genomix("predict", "model", "-", directory=workplace, stdin=b">new\nACJT\n")
    assert done.code == BAD_DATA
    check_message(done.stderr, ["""stdin:2: record "new": 'J' is not a nucleotide code"""])


def test_windows_with_gaps_between_them(genomix, run, data):
    done = genomix("predict", run, data.fasta, "--stride", 65)
    assert done.code == USAGE
    check_message(done.stderr, ["--stride 65 leaves gaps between windows of 64 bases"])


def test_a_network_that_cannot_be_is_no_run_directory(genomix, data, tmp_path):
    """What only shows when the data are known must not leave a directory that is in the way of the next try."""
    out = tmp_path / "run"
    settings = ["--set", "model.pooling=flatten", "--set", "prediction.long=whole"]
    done = genomix("train", data.fasta, data.table, "-o", out, *TINY, *settings)
    assert done.code == USAGE
    check_message(
        done.stderr, ["prediction.long: whole: this model has a place for each of 64 bases", "prediction.long=window"]
    )
    assert not out.exists()
