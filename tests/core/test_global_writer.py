"""The global writer counts steps by itself and is one for the whole process."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import multiboard as mb


def test_the_nth_value_of_a_tag_is_at_step_n(log_dir):
    writer = mb.GlobalSummaryWriter(log_dir)
    for i in range(3):
        writer.add_scalar("x", float(i), 100.0 + i)
        writer.add_text("t", str(i))
        writer.add_image("i", np.zeros((3, 2, 2)))
    writer.add_scalar("y", 1.0)
    writer.close()
    run = mb.read(log_dir)["."]
    columns = [run.scalars["x"], run.texts["t"], run.images["i"], run.scalars["y"]]
    assert [column.step.tolist() for column in columns] == [[0, 1, 2]] * 3 + [[0]]
    assert run.scalars["x"].wall_time.tolist() == [100.0, 101.0, 102.0]


def test_no_step_is_given_twice_to_threads(log_dir):
    writer = mb.GlobalSummaryWriter(log_dir)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: writer.add_scalar("x", i), range(400)))
    writer.close()
    assert sorted(mb.read(log_dir)["."].scalars["x"].step) == list(range(400))


def test_the_writer_of_the_process_is_always_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = mb.GlobalSummaryWriter.getSummaryWriter()
    assert mb.GlobalSummaryWriter.getSummaryWriter() is writer
    assert writer.file_writer.get_logdir().startswith("runs/")
    writer.close()
