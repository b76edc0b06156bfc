"""Records are read alike from every form of every format, and what is wrong is said with its place."""

import bz2
import gzip
import lzma
import tracemalloc
from io import StringIO

import hypothesis.strategies as st
import numpy as np
import pytest
import zstandard
from Bio.SeqIO.FastaIO import SimpleFastaParser
from hypothesis import given, settings

from genomix.data import fasta
from genomix.data.records import ReadReport, expand_inputs, read_records
from genomix.data.vocabulary import decode
from genomix.errors import DataError, NoInputError, Problems, UsageError

CODES = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
COMPRESS = [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress]


def plain(sequence: str) -> str:
    """What is read from a sequence, the slow way."""
    return "".join({"U": "T"}.get(c, c if c in "ACGT" else "N") for c in sequence.upper())


def records_of(path, **options):
    return list(read_records([str(path)], **options))


@st.composite
def fasta_files(draw):
    """Sequences, and a file that holds them with any wrapping, blank lines, line ends and compression."""
    sequences = draw(st.lists(st.text(CODES, min_size=1, max_size=80), min_size=1, max_size=5))
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = [""] * draw(st.integers(0, 2))
    header_lines = []
    for number, sequence in enumerate(sequences):
        lines.append(f">r{number} a > b{' ' * draw(st.integers(0, 2))}")
        header_lines.append(len(lines))
        width = draw(st.integers(1, 90))
        for at in range(0, len(sequence), width):
            lines += [sequence[at : at + width] + draw(st.sampled_from(["", " ", "\t"]))]
            lines += [""] * draw(st.integers(0, 1))
    text = line_end.join(lines) + draw(st.sampled_from(["", line_end]))
    return sequences, header_lines, draw(st.sampled_from(COMPRESS))(text.encode())


@settings(max_examples=150, deadline=None)
@given(file=fasta_files(), block=st.integers(1, 60))
def test_every_form_of_a_fasta_file_gives_the_same_tokens(tmp_path_factory, file, block):
    sequences, header_lines, data = file
    path = tmp_path_factory.getbasetemp() / "any_form"
    path.write_bytes(data)
    whole_block, fasta.BLOCK = fasta.BLOCK, block
    try:
        records = records_of(path)
    finally:
        fasta.BLOCK = whole_block
    assert [decode(record.tokens) for record in records] == [plain(sequence) for sequence in sequences]
    assert [record.line for record in records] == header_lines
    assert [record.header for record in records] == [f"r{number} a > b" for number in range(len(sequences))]
    assert [record.num_masked for record in records] == [sum(map(str.islower, sequence)) for sequence in sequences]
    assert [record.num_uracil for record in records] == [s.upper().count("U") for s in sequences]
    assert [record.num_ambiguous for record in records] == [
        sum(letter not in "ACGTUN" for letter in sequence.upper()) for sequence in sequences
    ]


def test_agrees_with_biopython(tmp_path):
    rng = np.random.default_rng(1)
    text = "".join(
        f">seq{i} note\n" + "".join(rng.choice(list("ACGTN"), 61)) + "\n" + "".join(rng.choice(list("acgt"), 13)) + "\n"
        for i in range(300)
    )
    path = tmp_path / "x.fa"
    path.write_text(text)
    ours = [(record.header, decode(record.tokens)) for record in records_of(path)]
    assert ours == [(title, sequence.upper()) for title, sequence in SimpleFastaParser(StringIO(text))]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("fastq", "@a first\nACGU\n+\n@III\n@b\nnnRG\n+b\n+@II\n"),
        ("fastq with wrapped lines", "\n@a first\nAC\nGU\n+\n@I\nII\n\n@b\nnnRG\n+\nIIII\n"),
        ("fastq with CRLF", "@a first\r\nACGU\r\n+\r\nIIII\r\n@b\r\nnnRG\r\n+\r\nIIII\r\n"),
        ("tsv", "id\tsequence\na first\tACGU\nb\tnnRG\n"),
        ("csv in other order", '\nlabel,Sequence,ID\nx,ACGU,"a first"\n\ny,nnRG,b\n'),
        ("csv with a byte order mark and CRLF", "\ufeffid,sequence\r\na first,ACGU\r\nb,nnRG\r\n"),
        ("fasta", ">a first\nACGU\n>b\nnnRG"),
        ("fasta with a byte order mark", "\ufeff>a first\nACGU\n>b\nnnRG\n"),
    ],
)
def test_the_format_is_seen_from_the_content(tmp_path, what, text):
    path = tmp_path / "file.dat"
    path.write_text(text, encoding="utf-8", newline="")
    report = ReadReport()
    first, second = records_of(path, report=report)
    assert (first.id, first.header, decode(first.tokens)) == ("a", "a first", "ACGT")
    assert (second.id, decode(second.tokens)) == ("b", "NNNG")
    assert text.splitlines()[second.line - 1].strip("@>").split("\t")[0] in {"b", "b,nnRG", "y,nnRG,b"}
    assert (report.num_records, report.num_bases, report.num_masked) == (2, 8, 2)
    assert (report.num_uracil, report.num_ambiguous) == (1, 1)
    assert report.warnings() == [
        "2 of 8 letters are lower case (soft-masked) and read as their upper case",
        "1 letters U are read as T",
        "1 ambiguity codes (R, Y, S, ...) are read as N",
    ]


def test_rows_without_an_id_are_called_by_their_number(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("sequence\nACGT\n\nGG\n")
    report = ReadReport()
    assert [record.id for record in records_of(path, report=report)] == ["row_1", "row_2"]
    assert report.warnings() == ["2 rows of a table have no id and are called row_1, row_2, ..."]


def test_a_cell_may_be_longer_than_a_csv_reader_allows_by_default(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("id,sequence\na," + "ACGT" * 100_000 + "\n")
    assert len(records_of(path)[0].tokens) == 400_000


PROTEIN = ">p1\nMKLVEFILPQQWE\n>p2\nMEEPQSDPSV\n"
BAD_FILES = [
    (
        "a letter that is no code",
        ">a\nACGT\nACJT\n",
        ":3: record \"a\": 'J' is not a nucleotide code; use --on-inv",
        65,
    ),
    ("a gap", ">a\nAC-GT\n", ":2: record \"a\": '-' is a gap; remove alignment gaps first, or use", 65),
    ("a stop", ">a\nACGT*\n", ":2: record \"a\": '*' is a gap", 65),
    ("a byte beyond ASCII", b">a\nAC\xe9GT\n", r""":2: record "a": '\\xe9' is not a nucleotide code""", 65),
    ("no sequence", ">a\n>b\nACGT\n", ':1: record "a": is empty; give its sequence or', 65),
    ("no sequence at the end", ">a\nA\n>b", ':3: record "b": is empty', 65),
    ("no id", ">\nACGT\n", ":1: record without a name: has no id; give it a name", 65),
    ("a protein", PROTEIN, ':1: the file looks like protein: 69 % of the letters of record "p1" are E, F, I, L, P', 65),
    ("old Mac line ends", ">a\rACGT\r>b\rACGT\r", ":1: its lines end in a carriage return alone (old Mac)", 65),
    ("text before the first header", "  >a\nACGT\n", ":1: there is text before the first header; remove it", 65),
    ("no header", "ACGT\nACGT\n", 'is neither FASTA (begins with ">"), FASTQ ("@") nor a table', 65),
    ("labels in place of sequences", "id\tlabel\na\tx\n", "it begins with 'id\\\\tlabel'", 65),
    ("UTF-16", "id\tsequence\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8", 65),
    ("fastq cut in the sequence", "@a\nACGT\n+\nIIII\n@b\nAC", ':5: record "b": End of file without quality', 65),
    ("fastq cut in the qualities", "@a\nACGT\n+\nIII", ':1: record "a": Lengths of sequence and quality', 65),
    ("fastq with something between", "@a\nACGT\n+\nIIII\nACGT\n", ':1: record "a": Lengths of', 65),
    ("a row too short", "id\tsequence\na\n", ':2: record "a": has 1 cell instead of 2; mend the row', 65),
    ("an open quotation mark", 'id,sequence\na,"ACGT\n', ":2: not a row of a table (unexpected end of data)", 65),
    ("an empty id in a table", "id,sequence\n,ACGT\n", ":2: record without a name: has no id", 65),
    ("nothing", "", "is empty; give a file with sequences", 66),
    ("blanks only", "\n \n", "is empty; give a file with sequences", 66),
]


@pytest.mark.parametrize(("what", "content", "message", "exit_code"), BAD_FILES, ids=[bad[0] for bad in BAD_FILES])
def test_bad_files(tmp_path, what, content, message, exit_code):
    path = tmp_path / "bad"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises((DataError, NoInputError)) as caught:
        records_of(path)
    assert message.replace("\\\\", "\\") in str(caught.value).replace("\\\\", "\\")
    assert str(caught.value).startswith(str(path))
    assert caught.value.exit_code == exit_code


BAD = ">a\nAJ\n>b\nACGT\n>c\n>d\nA-Z\n>\nACG\n"


def test_all_bad_records_are_collected(tmp_path):
    path = tmp_path / "bad.fa"
    path.write_text(BAD)
    problems = Problems()
    assert [record.id for record in records_of(path, problems=problems)] == ["b"]
    assert [message.split(": ", 1)[0].removeprefix(f"{path}:") for message in problems.messages] == ["2", "5", "7", "8"]


def test_bad_records_can_be_skipped(tmp_path):
    path = tmp_path / "bad.fa"
    path.write_text(BAD)
    report = ReadReport()
    records = records_of(path, on_invalid="skip", report=report)
    assert [(record.id, record.problem) for record in records] == [
        ("a", "invalid letter 'J'"),
        ("b", None),
        ("c", "empty"),
        ("d", "invalid letter '-'"),
        ("", "no id"),
    ]
    assert [len(record.tokens) for record in records] == [0, 4, 0, 0, 0]
    assert report.num_skipped == 4
    assert report.num_bases == 4
    assert report.warnings() == ["4 records with invalid letters or no sequence are left out (--on-invalid skip)"]


def test_invalid_letters_can_be_read_as_n(tmp_path):
    path = tmp_path / "bad.fa"
    path.write_text(">a\nAJ\n-c\n>b\nAR\n")
    report = ReadReport()
    first, second = records_of(path, on_invalid="mask", report=report)
    assert decode(first.tokens) == "ANNC"
    assert (first.num_invalid, first.num_ambiguous, second.num_ambiguous) == (2, 0, 1)
    assert report.num_invalid_masked == 2


@pytest.mark.parametrize("on_invalid", ["error", "skip", "mask"])
def test_a_protein_file_is_reported_once(tmp_path, on_invalid):
    path = tmp_path / "protein.fa"
    path.write_text(PROTEIN * 20)
    problems = Problems()
    assert records_of(path, problems=problems, on_invalid=on_invalid) == []
    assert problems.total == 1


def test_headers_that_are_not_utf8_are_read_and_counted(tmp_path):
    path = tmp_path / "latin.fa"
    path.write_bytes(b">caf\xe9 x\nACGT\n>b \xc3\xa9\nACGT\n")
    report = ReadReport()
    assert [record.header for record in records_of(path, report=report)] == ["café x", "b é"]
    assert report.warnings() == ["1 headers are not UTF-8 and read as Latin-1"]


def test_memory_is_bounded_by_the_longest_record(tmp_path):
    path = tmp_path / "long.fa"
    path.write_bytes(b">a\n" + b"ACGT" * 1_000_000 + b"\n" + b">b\nACGTACGT\n" * 50_000)
    tracemalloc.start()
    try:
        num_bases = sum(len(record.tokens) for record in read_records([str(path)]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert num_bases == 4_400_000
    assert peak < 4_000_000 * 1.5 + 20 * fasta.BLOCK


def test_a_directory_stands_for_its_sequence_files(tmp_path):
    for name in ("b.fa.gz", "a.fasta", "c.FQ", "labels.tsv", "a.fasta.fai"):
        (tmp_path / name).write_text("x")
    warnings = []
    assert expand_inputs([str(tmp_path), "-"], warnings.append) == [
        *(str(tmp_path / name) for name in ("a.fasta", "b.fa.gz", "c.FQ")),
        "-",
    ]
    assert warnings == [f"{tmp_path}: 2 entries without the suffix of a FASTA or FASTQ file are left out"]


def test_all_inputs_that_are_missing_are_named_at_once(tmp_path):
    (tmp_path / "empty.fa").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(NoInputError) as caught:
        expand_inputs([str(tmp_path / name) for name in ("none.fa", "empty.fa", "folder")], pytest.fail)
    messages = str(caught.value).splitlines()
    assert [message.split(": ")[1].split(";")[0].split(" (")[0] for message in messages] == [
        "there is no such file",
        "is empty",
        "has no FASTA or FASTQ files",
    ]


def test_stdin_can_be_read_once():
    with pytest.raises(UsageError, match="more than once"):
        expand_inputs(["-", "-"], pytest.fail)
    with pytest.raises(UsageError, match="no sequences are given"):
        expand_inputs([], pytest.fail)
