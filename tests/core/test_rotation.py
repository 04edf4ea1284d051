"""A run in several files, and a run that writes only so many bytes of media."""

import numpy as np
import pytest

import multiboard as mb

RNG = np.random.default_rng(0)


def test_no_file_is_larger_than_asked_for_and_each_can_be_read_alone(log_dir):
    with mb.Run(log_dir, max_file_bytes=20_000) as run:
        for step in range(3000):
            run.log({"x": float(step), "y": 2.0}, step)
            run.scalar("z", step, step)
            if step % 100 == 0:
                run.image("i", RNG.integers(0, 255, (16, 16, 3), np.uint8), step)
                run.histogram("h", [1.0, 2.0], step)
    files = sorted(log_dir.iterdir())
    assert len(files) > 10
    assert all(file.stat().st_size <= 20_000 for file in files)
    data = mb.read(log_dir)["."]
    assert not data.damage
    for tag in "xyz":
        assert data.scalars[tag].step.tolist() == list(range(3000))
    assert data.images["i"].step.tolist() == data.histograms["h"].step.tolist() == list(range(0, 3000, 100))
    points = 0
    for number, file in enumerate(files):
        alone = log_dir.parent / f"alone{number}"
        alone.mkdir()
        (alone / file.name).write_bytes(file.read_bytes())
        points += sum(len(column) for column in mb.read(alone)["."].scalars.values())
    assert points == 9000


def test_a_record_that_is_larger_than_a_file_gets_one_of_its_own(log_dir):
    with mb.Run(log_dir, max_file_bytes=1000, facts=False) as run:
        for step in range(3):
            run.text("t", "x" * 5000, step)
    assert mb.read(log_dir)["."].texts["t"].value == ["x" * 5000] * 3
    assert len(list(log_dir.iterdir())) == 3


def test_files_sort_in_the_order_of_writing_also_if_the_clock_was_set_back(log_dir, monkeypatch):
    clock = iter(range(2_000_000_000, 1_000_000_000, -1000))
    monkeypatch.setattr("multiboard.files.time.time", lambda: float(next(clock)))
    for step in range(5):
        with mb.Run(log_dir, resume=True) as run:
            run.log({"x": float(step)}, step)
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limits", [200_000, {"image": 200_000}])
def test_pictures_from_all_of_the_run_fit_into_their_budget(log_dir, limits):
    message = "kind image are dropped.*max_media_bytes=200000|counted while"
    with pytest.warns(mb.MultiboardWarning, match=message) as said, mb.Run(log_dir, max_media_bytes=limits) as run:
        for step in range(1000):
            run.image("i", RNG.integers(0, 255, (32, 32), np.uint8), step)
            run.scalar("x", 1.0, step)
    assert len([w for w in said if "kind image are dropped" in str(w.message)]) == 1
    data = mb.read(log_dir)["."]
    kept = data.images["i"].step
    assert 100_000 < sum(len(picture) for pictures in data.images["i"].value for picture in pictures) <= 200_000
    assert (np.diff(np.diff(kept)) >= 0).all()
    assert kept[0] == 0
    assert kept[-1] > 500
    assert len(kept) + data.scalars["multiboard/dropped/image"].value[-1] == 1000
    assert len(data.scalars["x"]) == 1000


def test_the_parts_of_a_mesh_go_together(log_dir):
    vertices, faces = RNG.normal(size=(30, 3)), RNG.integers(0, 30, (10, 3))
    with (
        pytest.warns(mb.MultiboardWarning, match="kind mesh|counted while"),
        mb.Run(log_dir, max_media_bytes={"mesh": 20_000}) as run,
    ):
        for step in range(200):
            run.mesh("m", vertices, step, faces=faces, colors=np.zeros((30, 3)))
    meshes = mb.read(log_dir)["."].meshes
    steps = {part: column.step.tolist() for part, column in meshes.items()}
    assert steps["m_VERTEX"] == steps["m_FACE"] == steps["m_COLOR"]
    assert 5 < len(steps["m_FACE"]) < 200
