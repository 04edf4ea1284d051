"""What a Hugging Face Trainer logs is in the run, under uniform tags and global steps, and the callback never ends a training."""

import pickle

import pytest
import torch

import multiboard as mb
from multiboard.records import unframe

transformers = pytest.importorskip("transformers")
mbh = pytest.importorskip("multiboard.transformers")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*pin_memory.*:UserWarning"
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture
def examples():
    generator = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(0, 20, (6,), generator=generator), "labels": torch.tensor(i % 2)} for i in range(24)]


@pytest.fixture
def model():
    """A function that makes the same model each time, from a configuration."""

    def make():
        torch.manual_seed(0)
        shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        config = transformers.BertConfig(vocab_size=20, max_position_embeddings=16, pad_token_id=0, **shape)
        return transformers.BertForSequenceClassification(config)

    return make


@pytest.fixture
def trainer(tmp_path, model, examples):
    """A function that makes a Trainer on the CPU: 3 updates of 2 batches of 4 in an epoch, each logged."""

    def make(*callbacks, **options):
        defaults = {
            "output_dir": tmp_path / "out",
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "num_train_epochs": 2,
            "logging_steps": 1,
            "learning_rate": 6e-3,
            "save_strategy": "no",
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
        }
        arguments = transformers.TrainingArguments(**(defaults | options))
        made = transformers.Trainer(
            model(), arguments, train_dataset=examples, eval_dataset=examples[:8], callbacks=list(callbacks)
        )
        made.remove_callback(transformers.PrinterCallback)
        return made

    return make


def starts(log_dir):
    """By file, the steps from which on a dashboard drops what earlier files hold."""
    from multiboard import proto

    events = [
        [proto.Event.FromString(data) for data in unframe(file.read_bytes(), [])] for file in sorted(log_dir.glob("events.*"))
    ]
    return [[event.step for event in found if event.session_log.status == 1] for found in events]


def test_logs_and_evaluations_are_at_the_step_of_the_last_update(trainer, log_dir, written):
    training = trainer(mbh.Callback(log_dir), eval_strategy="epoch")
    training.train()
    history = training.state.log_history
    scalars = written().scalars
    assert scalars["train/loss"].step.tolist() == list(range(6))
    assert scalars["train/loss"].value.tolist() == pytest.approx([entry["loss"] for entry in history if "loss" in entry])
    assert scalars["train/grad_norm"].step.tolist() == list(range(6))
    assert scalars["val/loss"].step.tolist() == [2, 5]
    assert scalars["val/loss"].value.tolist() == pytest.approx([entry["eval_loss"] for entry in history if "eval_loss" in entry])
    assert scalars["train/epoch"].step.tolist() == list(range(6))
    assert scalars["train/epoch"].value.tolist() == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert scalars["train/mean_loss"].step.tolist() == [5]
    assert {"perf/train_runtime_s", "perf/val_examples_per_s", "perf/train_steps_per_s", "perf/total_flops"} <= set(scalars)


def test_the_learning_rate_is_that_of_the_update_and_written_once(trainer, log_dir, written):
    trainer(mbh.Callback(log_dir, every=2)).train()
    rate = written().scalars["train/learning_rate"]
    assert rate.step.tolist() == list(range(6))
    assert rate.value.tolist() == pytest.approx([6e-3, 5e-3, 4e-3, 3e-3, 2e-3, 1e-3])


def test_the_rate_of_an_epoch_is_that_of_its_last_update(trainer, log_dir, written):
    trainer(mbh.Callback(log_dir, every=None), logging_strategy="epoch").train()
    rate = written().scalars["train/learning_rate"]
    assert rate.step.tolist() == [2, 5]
    assert rate.value.tolist() == pytest.approx([4e-3, 1e-3])


def test_captures_are_at_the_step_of_their_update_and_see_clipped_gradients(trainer, log_dir, written):
    trainer(mbh.Callback(log_dir, every=2, log=("params", "grads")), max_grad_norm=1e-3).train()
    data = written()
    assert data.histograms["params/classifier/kernel"].step.tolist() == [0, 2, 4]
    assert data.histograms["grads/bert/embeddings/word_embeddings/embedding"].step.tolist() == [0, 2, 4]
    assert data.scalars["norm/grads"].value.tolist() == pytest.approx([1e-3] * 3, rel=1e-2)


def test_a_training_from_a_checkpoint_goes_on(trainer, log_dir, written, tmp_path):
    trainer(mbh.Callback(log_dir, every=2), max_steps=4, save_strategy="steps", save_steps=3).train()
    trainer(mbh.Callback(log_dir, every=2), save_steps=3).train(resume_from_checkpoint=tmp_path / "out" / "checkpoint-3")
    data = written()
    assert starts(log_dir) == [[0], [3]]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 3, 4, 5]
    assert data.scalars["train/learning_rate"].step.tolist() == [0, 1, 2, 3, 3, 4, 5]
    assert data.histograms["params/classifier/kernel"].step.tolist() == [0, 2, 4]


def test_evaluation_and_prediction_after_a_training_are_at_its_last_update(trainer, examples, log_dir, written):
    training = trainer(mbh.Callback(log_dir))
    training.train()
    training.evaluate()
    training.predict(examples[:4])
    scalars = written().scalars
    assert scalars["val/loss"].step.tolist() == [5]
    assert scalars["test/loss"].step.tolist() == [5]
    assert scalars["train/loss"].step.tolist() == list(range(6))


def test_an_evaluation_before_the_training_is_at_step_0(trainer, log_dir, written):
    trainer(mbh.Callback(log_dir), eval_on_start=True).train()
    assert written().scalars["val/loss"].step.tolist() == [0]


def test_hyper_parameters_are_arguments_and_model_without_secrets(trainer, log_dir, written):
    trainer(mbh.Callback(log_dir, config={"dataset": "noise"}), max_steps=1, hub_token="hf_abc").train()  # noqa: S106
    hparams = written().hparams
    assert hparams["learning_rate"] == 6e-3
    assert hparams["model/hidden_size"] == 8
    assert hparams["model/pad_token_id"] == 0
    assert hparams["dataset"] == "noise"
    assert "hub_token" not in hparams
    assert not any("hf_abc" in str(value) for value in hparams.values())


def test_the_directory_is_below_that_of_the_output(trainer, tmp_path):
    trainer(mbh.Callback(), max_steps=1).train()
    assert mb.read(tmp_path / "out" / "runs")["."].scalars["train/loss"].step.tolist() == [0]


def test_the_environment_names_the_directory(trainer, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "named"))
    trainer(mbh.Callback(), max_steps=1).train()
    assert mb.read(tmp_path / "named")["."].scalars["train/loss"].step.tolist() == [0]


def test_a_given_run_stays_open_and_keeps_its_hyper_parameters(trainer, log_dir, written):
    with mb.Run(log_dir, config={"lr": 1}, facts=False) as run:
        trainer(mbh.Callback(run=run), max_steps=1).train()
        assert not run.closed
    assert written().hparams == {"lr": 1}
    assert written().scalars["train/loss"].step.tolist() == [0]


def test_weights_and_random_numbers_are_bit_identical_with_and_without(trainer, log_dir):
    plain = trainer()
    plain.train()
    expected = torch.rand(3)
    watched = trainer(mbh.Callback(log_dir, every=1))
    watched.train()
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), watched.model.parameters(), strict=True))


def test_values_that_cannot_be_logged_do_not_end_a_training(trainer, log_dir, written):
    class Strange(transformers.TrainerCallback):
        def on_log(self, *_, logs=None, **__):
            logs.update(vector=[1, 2], words="text", number=1.0)

    training = trainer(Strange(), mbh.Callback(log_dir))
    with pytest.warns(mb.MultiboardWarning, match="train/vector"):
        training.train()
    assert training.state.global_step == 6
    assert written().scalars["train/number"].step.tolist() == [0, 1, 2, 3, 4, 5, 5]  # the summary at the end is a log, too
    assert written().texts["train/words"].step.tolist() == [0, 1, 2, 3, 4, 5, 5]


def test_a_directory_that_cannot_be_written_does_not_end_a_training(trainer, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    training = trainer(mbh.Callback(tmp_path / "file"))
    training.train()
    assert training.state.global_step == 6
    assert "cannot be written" in caplog.text


def test_a_run_that_is_closed_meanwhile_does_not_end_a_training(trainer, log_dir):
    class Closing(transformers.TrainerCallback):
        def on_step_begin(self, _, state, *__, **___):
            if state.global_step == 3:
                run.close()

    with mb.Run(log_dir) as run, pytest.warns(mb.MultiboardWarning, match="is closed"):
        training = trainer(mbh.Callback(run=run, every=1), Closing())
        training.train()
    assert training.state.global_step == 6


def test_an_option_that_watch_refuses_does_not_end_a_training(trainer, log_dir, written):
    training = trainer(mbh.Callback(log_dir, log="weights"))
    with pytest.warns(mb.MultiboardWarning, match="watch was left out: ArgumentError: argument 'log' got 'weights'"):
        training.train()
    assert written().scalars["train/loss"].step.tolist() == list(range(6))


def test_a_callback_can_be_copied_and_used_again(trainer, log_dir):
    callback = mbh.Callback(log_dir, every=4)
    trainer(callback, max_steps=1).train()
    trainer(pickle.loads(pickle.dumps(callback))).train()  # noqa: S301
    assert mb.read(log_dir)["."].histograms["params/classifier/kernel"].step.tolist() == [0, 0, 4]


@pytest.mark.parametrize("arguments", [{"log_dir": 3}, {"run": "runs/x"}, {"every": 0}, {"evry": 2}])
def test_a_wrong_argument_is_said_at_once(arguments):
    with pytest.raises(mb.ArgumentError, match=f"argument '{next(iter(arguments))}'"):
        mbh.Callback(**arguments)
