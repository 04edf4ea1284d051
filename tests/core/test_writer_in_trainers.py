"""The calls that trainers make on a writer of torch work on the drop-in writer, in their order and with their arguments.

The calls are those of Stable-Baselines3's TensorBoardOutputFormat, of the TensorBoardCallback of Hugging Face's Trainer, of
accelerate's TensorBoardTracker and of Lightning's TensorBoardLogger.
"""

import numpy as np

import multiboard as mb


def test_stable_baselines(log_dir):
    from matplotlib.figure import Figure

    writer = mb.SummaryWriter(log_dir=str(log_dir))
    for step in (2048, 4096):
        writer.add_scalar("rollout/ep_rew_mean", np.float32(1.5), step)
        writer.add_text("notes", str(step), step)
        writer.add_histogram("actions", np.arange(8), step)
        writer.add_video("video", np.zeros((1, 2, 3, 8, 8), np.uint8), step, 30)
        writer.add_figure("figure", Figure(figsize=(1, 1)), step, close=True)
        writer.add_image("image", np.zeros((8, 8, 3)), step, dataformats="HWC")
        writer.flush()
    writer.close()
    run = mb.read(log_dir)["."]
    columns = [run.scalars["rollout/ep_rew_mean"], run.texts["notes"], run.histograms["actions"]]
    columns += [run.images[tag] for tag in ("video", "figure", "image")]
    assert [column.step.tolist() for column in columns] == [[2048, 4096]] * 6


def test_hugging_face(log_dir):
    writer = mb.SummaryWriter(log_dir=str(log_dir))
    writer.add_text("args", '{"lr": 0.1}')
    writer.add_text("model_config", "{}")
    writer.add_hparams({"lr": 0.1, "fp16": False, "label_names": None}, metric_dict={})
    for step in (1, 2):
        writer.add_scalar("train/loss", 0.5, step)
        writer.flush()
    writer.close()
    run = mb.read(log_dir)["."]
    assert run.scalars["train/loss"].step.tolist() == [1, 2]
    assert run.texts["args"].step.tolist() == [0]
    assert run.hparams == {"lr": 0.1, "fp16": False, "label_names": "None"}
    assert run.status == "success"


def test_accelerate(log_dir):
    writer = mb.SummaryWriter(str(log_dir), max_queue=5)
    writer.add_hparams({"lr": 0.1}, metric_dict={})
    writer.flush()
    for step in (1, 2):
        writer.add_scalar("loss", 0.5, global_step=step)
        writer.add_scalars("both", {"a": 1.0, "b": 2.0}, global_step=step)
        writer.add_text("note", "text", global_step=step)
        writer.add_images("images", np.zeros((2, 8, 8, 3)), global_step=step, dataformats="NHWC")
        writer.flush()
    writer.close()
    run = mb.read(log_dir)["."]
    assert {tag: column.step.tolist() for tag, column in run.scalars.items()} == {
        "loss": [1, 2],
        "both/a": [1, 2],
        "both/b": [1, 2],
    }
    assert [len(pictures) for pictures in run.images["images"].value] == [2, 2]


def test_lightning(log_dir):
    """The summaries of its hyper-parameters are in tests/together: torch makes them."""
    arguments = {"comment": "", "purge_step": None, "max_queue": 10, "flush_secs": 120, "filename_suffix": ""}
    writer = mb.SummaryWriter(log_dir=str(log_dir), **arguments)
    assert writer._get_file_writer().get_logdir() == str(log_dir)
    writer.add_scalars("metrics", {"a": 1.0}, 3)
    writer.add_scalar("epoch", 0.0, 3)
    writer.flush()
    writer.close()
    assert set(mb.read(log_dir)["."].scalars) == {"metrics/a", "epoch"}
