"""A scalar that is exported has the numbers of TensorBoard's own CSV download."""

import csv
import io

import numpy as np
import pytest

import multiboard as mb
from multiboard.export import export

RUN = "export"


@pytest.fixture(scope="module")
def log_dir(board_dir):
    values = np.random.default_rng(0).standard_normal(50) * 10.0 ** np.arange(-25, 25)
    with mb.Run(board_dir / RUN) as run:
        for step, value in enumerate(values):
            run.log({"train/loss": value}, step)
    return board_dir / RUN


def test_the_csv_of_tensorboard_has_the_same_numbers(log_dir, board):
    def download():
        body, _ = board.bytes("data/plugin/scalars/scalars", run=RUN, tag="train/loss", format="csv")
        return list(csv.reader(io.StringIO(body.decode())))[1:]

    theirs = board.wait_for(download, lambda rows: len(rows) == 50)
    out = io.BytesIO()
    export(log_dir, out)
    ours = list(csv.DictReader(io.StringIO(out.getvalue().decode())))
    assert [int(row["step"]) for row in ours] == [int(row[1]) for row in theirs]
    assert [float(row["wall_time"]) for row in ours] == [float(row[0]) for row in theirs]
    assert [np.float32(row["value"]) for row in ours] == [np.float32(row[2]) for row in theirs]
