"""Sound arrives as WAV files with the samples that were logged."""

import io
import wave

import numpy as np
import pytest

import multiboard as mb

RNG = np.random.default_rng(0)


def clips(written, samples, **arguments):
    encoded = written(lambda run: run.audio("a", samples, 2, **arguments)).audios["a"].value[0]
    return [decoded(data) for data in encoded]


def decoded(data):
    with wave.open(io.BytesIO(data)) as file:
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return file.getframerate(), samples


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 2), (2, 50), (1, 50), (50, 6), (3, 50, 2)])
def test_int16_samples_survive_exactly_in_every_layout(written, shape):
    samples = RNG.integers(-(2**15), 2**15, shape, np.int16)
    expected = samples if samples.ndim == 3 else [samples.T if shape[0] <= 2 else samples.reshape(50, -1)]
    got = clips(written, samples, sample_rate=8000)
    assert [rate for rate, _ in got] == [8000] * len(got)
    np.testing.assert_array_equal([clip for _, clip in got], expected)


def test_floats_are_scaled_to_the_full_range(written):
    ((rate, clip),) = clips(written, np.array([0.0, 0.5, 1.0, -1.0]))
    assert rate == 44100
    assert clip[:, 0].tolist() == [0, 16384, 32767, -32767]


def test_samples_beyond_the_range_are_clipped_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match=r"'a' got 3 samples beyond -1\.\.1 or NaN at step 2"):
        ((_, clip),) = clips(written, [2.0, -np.inf, np.nan, 0.1])
    assert clip[:, 0].tolist() == [32767, -32767, 0, 3277]


def test_samples_that_are_overwritten_afterwards_keep_what_was_logged(written):
    def actions(run):
        samples = np.ones(4, np.int16)
        run.audio("a", samples, 0)
        samples[:] = 9

    (data,) = written(actions).audios["a"].value[0]
    assert decoded(data)[1][:, 0].tolist() == [1, 1, 1, 1]
