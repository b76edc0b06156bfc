"""Tables with one vector a row, written as a stream: NumPy archives and Parquet.

R rows, P numbers in a vector.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.lib.format import write_array_header_1_0

from genomix.errors import UsageError
from genomix.files import atomic_path, check_file

if TYPE_CHECKING:
    from types import TracebackType

NPZ, PARQUET = ".npz", ".parquet"
COPIED_ROWS = 4096
GROUP_BYTES = 8 << 20


def check_vector_output(path: str | Path, *, force: bool) -> None:
    """Find out, before any work, whether vectors can be written to `path`.

    Raises:
        UsageError: If the suffix is not that of a format.
        CannotWriteError: If the file exists (without `force`), is a directory, or has no directory to be in.
    """
    if Path(path).suffix.lower() not in (NPZ, PARQUET):
        raise UsageError(f"{path}: the suffix names no format of vectors; use {NPZ} or {PARQUET}")
    check_file(Path(path), force=force)


class VectorWriter:
    """Writes rows of a name, some integers and a vector to a file that appears whole when the `with` block ends well.

    A NumPy archive has an array `vectors`, float32 (R, P), and one for each other column, in the order of the rows. A
    Parquet file has a column `vectors` of lists of P float32. Memory does not depend on R.

    Args:
        path: The file; its suffix says what is written.
        name: The column of the names.
        integers: The columns of integers.
        dim: P.
        constants: Further arrays of an archive; Parquet files do without.
        force: Replace an existing file.
    """

    def __init__(
        self,
        path: str | Path,
        name: str,
        integers: Sequence[str],
        dim: int,
        constants: Mapping[str, np.ndarray] | None = None,
        *,
        force: bool = False,
    ) -> None:
        check_vector_output(path, force=force)
        self._path, self._columns, self._dim, self._constants = Path(path), (name, *integers), dim, constants or {}
        self._resources = ExitStack()
        self._sink: _Archive | _Parquet

    def __enter__(self) -> Self:
        """Open a temporary file."""
        with self._resources:
            temporary = self._resources.enter_context(atomic_path(self._path))
            make = _Parquet if self._path.suffix.lower() == PARQUET else _Archive
            self._sink = make(temporary, self._columns, self._dim, self._constants, self._resources)
            self._resources = self._resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Complete the file and give it its name, or remove it after an error."""
        if error is None:
            with self._resources:
                self._sink.close()
        else:
            self._resources.__exit__(kind, error, traceback)

    def write(self, name: str, integers: Sequence[int], vector: np.ndarray) -> None:
        """Add a row."""
        self._sink.write(name, integers, np.ascontiguousarray(vector, np.float32))


class _Archive:
    """Columns grow in files of their own, and are put together at the end: an archive takes one array after another."""

    def __init__(
        self, path: Path, columns: Sequence[str], dim: int, constants: Mapping[str, np.ndarray], resources: ExitStack
    ) -> None:
        self._path, self._columns, self._dim, self._constants = path, columns, dim, constants
        self._rows, self._longest = 0, 1
        self._names, self._integers, self._vectors = (
            resources.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115 (the stack closes it)
            for _ in range(3)
        )

    def write(self, name: str, integers: Sequence[int], vector: np.ndarray) -> None:
        self._rows += 1
        self._longest = max(self._longest, len(name))
        encoded = name.encode()
        self._names.write(len(encoded).to_bytes(4, "little") + encoded)
        self._integers.write(np.array(integers, np.int64).tobytes())
        self._vectors.write(vector.tobytes())

    def close(self) -> None:
        name, *integers = self._columns
        self._names.seek(0)
        kind = np.dtype(f"<U{self._longest}")
        with zipfile.ZipFile(self._path, "w", allowZip64=True) as archive:
            self._copy(archive, name, kind, (), lambda count: np.array([self._next_name() for _ in range(count)], kind))
            for i, column in enumerate(integers):
                self._integers.seek(0)
                self._copy(archive, column, np.dtype("<i8"), (), lambda count, i=i: self._next(count)[:, i])
            self._vectors.seek(0)
            size = 4 * self._dim
            self._copy(archive, "vectors", np.dtype("<f4"), (self._dim,), lambda n: self._vectors.read(n * size))
            for constant, array in self._constants.items():
                with archive.open(f"{constant}.npy", "w") as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)

    def _copy(self, archive: zipfile.ZipFile, column: str, kind: np.dtype, shape: tuple[int, ...], read: Any) -> None:
        with archive.open(f"{column}.npy", "w", force_zip64=True) as stream:
            header = {"descr": kind.str, "fortran_order": False, "shape": (self._rows, *shape)}
            write_array_header_1_0(stream, header)
            step = max(1, min(COPIED_ROWS, GROUP_BYTES // max(1, kind.itemsize * int(np.prod(shape)))))
            for first in range(0, self._rows, step):
                block = read(min(step, self._rows - first))
                stream.write(block if isinstance(block, bytes) else np.ascontiguousarray(block).tobytes())

    def _next_name(self) -> str:
        return self._names.read(int.from_bytes(self._names.read(4), "little")).decode()

    def _next(self, count: int) -> np.ndarray:
        width = len(self._columns) - 1
        return np.frombuffer(self._integers.read(8 * width * count), np.int64).reshape(count, width)


class _Parquet:
    def __init__(
        self, path: Path, columns: Sequence[str], dim: int, constants: Mapping[str, np.ndarray], resources: ExitStack
    ) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        del constants
        kinds = [pa.string(), *(pa.int64() for _ in columns[1:]), pa.list_(pa.float32(), dim)]
        self._schema = pa.schema(list(zip((*columns, "vectors"), kinds, strict=True)))
        self._writer = resources.enter_context(parquet.ParquetWriter(path, self._schema, compression="zstd"))
        self._rows: list[tuple[Any, ...]] = []
        self._most = max(1, min(COPIED_ROWS, GROUP_BYTES // (4 * dim)))

    def write(self, name: str, integers: Sequence[int], vector: np.ndarray) -> None:
        self._rows.append((name, *integers, vector))
        if len(self._rows) >= self._most:
            self.close()

    def close(self) -> None:
        """Write the rows that wait."""
        import pyarrow as pa

        if self._rows:
            *columns, vectors = zip(*self._rows, strict=True)
            kinds = self._schema.types
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds[:-1], strict=True)]
            numbers = pa.array(np.concatenate(vectors), pa.float32())
            arrays.append(pa.FixedSizeListArray.from_arrays(numbers, kinds[-1].list_size))
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._rows.clear()
