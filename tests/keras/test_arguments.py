"""Wrong arguments raise when the callback is made, with a sentence that helps."""

import pytest

import multiboard as mb
import multiboard.keras as mbk


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "argument 'every' got 0 .*at least 1"),
        ({"every": 2.0}, "argument 'every' got 2.0"),
        ({"histogram_freq": -1}, "argument 'histogram_freq' got -1"),
        ({"update_freq": "bach"}, "argument 'update_freq' got 'bach' .*Did you mean 'batch'"),
        ({"update_freq": 0}, "argument 'update_freq' got 0"),
        ({"log": ("gradients",)}, "argument 'log' got 'gradients' .*Did you mean 'grads'"),
        ({"activations": 3}, "argument 'activations' got 3 .*patterns"),
        ({"naming": "original"}, "argument 'naming' got 'original' .*'keras'"),
        ({"samples": [1]}, r"argument 'samples' got \[1\] .*Samples"),
        ({"write_graph": "yes"}, "argument 'write_graph' got 'yes' .*True or False"),
        ({"embeddings_freq": 0.5}, "argument 'embeddings_freq' got 0.5"),
        ({"profile_batch": (20, 10)}, "argument 'profile_batch' got"),
        ({"profiler": "500,520"}, "argument 'profiler' got '500,520' .*multiboard.Profiler"),
        ({"log_dir": 3}, "argument 'log_dir' got 3"),
        ({"hparams": [("lr", 0.1)]}, r"argument 'hparams' got \[\('lr', 0.1\)\] .*mapping of names"),
        ({"run": "runs/first"}, "argument 'run' got 'runs/first' .*multiboard.Run"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_with_its_rule(arguments, message):
    with pytest.raises(mb.ArgumentError, match=message):
        mbk.TensorBoard(**arguments)


def test_two_windows_are_one_too_many():
    with pytest.raises(mb.ArgumentError, match=r"argument 'profiler' got .*pass either this or profile_batch"):
        mbk.TensorBoard(profiler=mb.Profiler(None), profile_batch=3)


def test_hyper_parameters_of_an_open_run_are_refused(tmp_path):
    with mb.Run(tmp_path) as run, pytest.raises(mb.ArgumentError, match=r"argument 'hparams' .*mb\.Run"):
        mbk.TensorBoard(run=run, hparams={"rate": 1})


def test_a_directory_that_cannot_be_written_raises_at_the_beginning_of_the_fit(dense, vectors, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(mb.LogDirError):
        dense().fit(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "file")])
