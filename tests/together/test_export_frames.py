"""The same points as data frames of pandas and polars, and back from CSV and Parquet."""

import sys

import numpy as np
import pytest

import multiboard as mb
from multiboard.export import export


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    for name in ("a", "b"):
        with mb.Run(path / name) as run:
            for step in range(4):
                run.log({"loss": 0.1 * step, "bad": float("inf")} if step % 2 else {"loss": float("nan")}, step)
            run.histogram("h", np.linspace(-1, 1, 9), 3)
            run.text("t", 'one, "two"\nthree', 3)
    return mb.read(path)


pytestmark = pytest.mark.filterwarnings("ignore::multiboard.MultiboardWarning")


def rows(frame):
    """Return the rows of a frame of either library with None for what is NaN or empty."""
    lists = frame.itertuples(index=False) if hasattr(frame, "itertuples") else frame.rows()
    return [tuple(None if cell is None or cell != cell else cell for cell in row) for row in lists]  # noqa: PLR0124


def test_pandas_reads_the_csv_as_the_same_table(runs, tmp_path):
    import pandas as pd

    export(runs, tmp_path / "out.csv")
    read = pd.read_csv(tmp_path / "out.csv")
    expected = runs.to_pandas()
    for frame in (read, expected):
        frame["value"] = frame["value"].astype("float32")
    pd.testing.assert_frame_equal(read, expected)


def test_polars_reads_the_csv_as_numbers(runs, tmp_path):
    pl = pytest.importorskip("polars")
    export(runs, tmp_path / "out.csv")
    read, expected = pl.read_csv(tmp_path / "out.csv"), runs.to_polars()
    assert read.schema == expected.schema
    assert read.with_columns(pl.col("value").cast(pl.Float32)).equals(expected.with_columns(pl.col("value").cast(pl.Float32)))


def test_histograms_and_texts_have_tables_as_well(runs):
    histograms = runs.to_pandas("histograms")
    assert histograms.columns.tolist() == ["run", "tag", "step", "wall_time", "left", "right", "count"]
    assert histograms.groupby("run")["count"].sum().tolist() == [9.0, 9.0]
    assert runs.to_pandas("texts").text.tolist() == ['one, "two"\nthree'] * 2
    assert runs.to_pandas("all").kind.value_counts().to_dict()["texts"] == 2


def test_the_wide_table_has_a_column_per_tag(runs):
    frame = runs.wide().to_pandas()
    assert frame.columns.tolist()[:4] == ["run", "step", "loss", "nonfinite/loss"]
    assert frame.step.tolist() == [0, 1, 2, 3] * 2
    assert frame["bad"].isna().tolist() == [True, False, True, False] * 2


def test_no_runs_are_a_table_without_rows(runs):
    empty = type(runs)({})
    for kind in ("scalars", "histograms", "texts", "all"):
        assert empty.to_pandas(kind).dtypes.astype(str).tolist() == runs.to_pandas(kind).dtypes.astype(str).tolist()
    assert empty.wide().to_pandas().empty


@pytest.mark.parametrize("kind", ["scalars", "histograms", "texts", "all"])
def test_polars_and_pandas_hold_the_same(runs, kind):
    pl = pytest.importorskip("polars")
    frame = runs.to_polars(kind)
    assert rows(frame) == rows(runs.to_pandas(kind))
    assert frame.columns == list(runs.to_pandas(kind).columns)
    assert type(runs)({}).to_polars(kind).schema == frame.schema
    assert frame.schema["step"] == pl.Int64


def test_polars_tells_nan_from_an_empty_cell(runs):
    pytest.importorskip("polars")
    frame = runs.wide().to_polars()
    assert frame["loss"].is_nan().to_list()[:2] == [True, False]
    assert frame["bad"].is_null().to_list()[:2] == [True, False]


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
@pytest.mark.parametrize("arguments", [{}, {"kind": "all"}, {"wide": True}], ids=["long", "all", "wide"])
def test_parquet_holds_what_polars_does_whichever_library_writes_it(runs, tmp_path, monkeypatch, library, arguments):
    pl = pytest.importorskip("polars")
    if library == "pyarrow":
        pytest.importorskip("pyarrow")
    else:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    export(runs, tmp_path / "out.parquet", **arguments)
    expected = runs.wide().to_polars() if "wide" in arguments else runs.to_polars(arguments.get("kind", "scalars"))
    read = pl.read_parquet(tmp_path / "out.parquet")
    assert read.schema == expected.schema
    assert read.equals(expected)
