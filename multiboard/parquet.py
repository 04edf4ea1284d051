"""Rows of a listing as Parquet, through pyarrow block by block, or through polars.

pandas is passed by: it makes NaN and empty cells the same.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from multiboard.errors import MissingFrameworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.listing import Block, Cells, Listing

_CELLS: Final = 1 << 21
"""Cells of a row group, about."""


def check_parquet() -> None:
    """Raise MissingFrameworkError if nothing is installed that writes Parquet."""
    if not (find_spec("pyarrow") or find_spec("polars")):
        raise MissingFrameworkError("writing Parquet", "polars or pyarrow", "polars")


def write_parquet(listing: Listing, file: BinaryIO) -> int:
    """Write all rows to an open file; return their number. Texts are strings; empty cells are null, which NaN is not."""
    if not find_spec("pyarrow"):
        frame = listing.to_polars()
        frame.write_parquet(file)
        return len(frame)
    rows = 0
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    types = {np.int64: pa.int64(), np.float64: pa.float64()}
    schema = pa.schema([(name, types.get(dtype, pa.string())) for name, dtype in listing.columns.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for blocks in _groups(listing):
            table = pa.concat_tables([_table(pa, block, schema) for block in blocks])
            writer.write_table(table, row_group_size=len(table))
            rows += len(table)
    return rows


def _groups(listing: Listing) -> Iterator[list[Block]]:
    """Yield blocks together that are large enough for a row group."""
    group: list[Block] = []
    cells = 0
    for block in listing.blocks():
        group.append(block)
        cells += block.size * len(listing.columns)
        if cells >= _CELLS:
            yield group
            group, cells = [], 0
    if group:
        yield group


def _table(pa: Any, block: Block, schema: Any) -> Any:
    return pa.table([_array(pa, block.cells.get(field.name), block.size, field.type) for field in schema], schema=schema)


def _array(pa: Any, cells: Cells | None, size: int, dtype: Any) -> Any:
    if cells is None or isinstance(cells, str):
        return pa.repeat(pa.scalar(cells, dtype), size)
    if isinstance(cells, np.ma.MaskedArray):
        return pa.array(cells.data.astype(np.float64), dtype, mask=np.ma.getmaskarray(cells))
    return pa.array(cells.astype(np.float64) if isinstance(cells, np.ndarray) and cells.dtype.kind == "f" else cells, dtype)
