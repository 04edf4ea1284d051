"""Runs that other writers wrote are compared like our own."""

import numpy as np
import pytest

import multiboard as mb


def write(writer, factor=1.0, steps=5):
    """Log a loss and two weights with a SummaryWriter."""
    values = np.random.default_rng(0).normal(size=(2, 400))
    for step in range(steps):
        writer.add_scalar("loss", 1.0 / (step + 1), step)
        for name, weight in zip(("fc1.weight", "fc2.weight"), values, strict=True):
            writer.add_histogram(name, weight * (factor if step > 2 and name == "fc2.weight" else 1.0), step)
    writer.close()


@pytest.fixture(params=["torch.utils.tensorboard", "tensorboardX", "multiboard"])
def writer(request):
    """The class SummaryWriter of each package."""
    return pytest.importorskip(request.param).SummaryWriter


def test_files_of_a_foreign_writer_are_compared_by_tag(writer, tmp_path):
    for name, factor in (("a", 1.0), ("b", 1.0), ("c", 1.5)):
        write(writer(str(tmp_path / name)), factor)
    assert mb.compare(tmp_path / "a", tmp_path / "b").code == 0
    found = mb.compare(tmp_path / "a", tmp_path / "c")
    (first,) = found.divergence
    assert (first.kind, first.name, first.step) == ("histograms", "fc2.weight", 3)
    assert first.distance == pytest.approx(0.5, rel=0.15)
    assert len(found.scalars) == 5


def test_histograms_of_two_writers_are_compared_though_their_edges_differ(tmp_path):
    torch = pytest.importorskip("torch.utils.tensorboard")
    write(torch.SummaryWriter(str(tmp_path / "torch")))
    write(mb.SummaryWriter(str(tmp_path / "ours")))
    found = mb.compare(tmp_path / "torch", tmp_path / "ours", tolerance={"histograms": 0.05})
    assert found.code == 0
    assert {row.name for row in found.layers} == {"fc1.weight", "fc2.weight"}
    assert all(0 < row.emd < 0.05 for row in found.layers)


def test_tables_become_data_frames(tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for name, factor in (("a", 1.0), ("c", 1.5)):
        write(mb.SummaryWriter(str(tmp_path / name)), factor)
    found = mb.compare(tmp_path / "a", tmp_path / "c")
    for table in (found.layers, found.scalars):
        frame, other = table.to_pandas(), table.to_polars()
        assert list(frame.columns) == other.columns == list(table[0]._fields)
        assert repr([*frame.itertuples(index=False, name=None)]) == repr(other.rows()) == repr([tuple(row) for row in table])
    assert isinstance(found.layers.to_pandas(), pandas.DataFrame)
    assert isinstance(found.layers.to_polars(), polars.DataFrame)
    empty = mb.compare(tmp_path / "a", tmp_path / "c", kinds=["grads"]).layers
    assert (len(empty.to_pandas()), len(empty.to_polars())) == (0, 0)
    assert list(empty.to_pandas().columns) == empty.to_polars().columns
