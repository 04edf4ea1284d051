"""Layers that hold the same weights at the first capture belong together, whatever they are called."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard.compare.equal_weights import EqualWeights, ported
from multiboard.compare.sides import matched, side_of


def write(directory, layers, *, facts=True):
    """Write the first capture of layers: tensors by role by path."""
    with mb.Run(directory, facts=facts) as run:
        for path, roles in layers.items():
            for role, values in roles.items():
                run.histogram(f"params/{path}/{role}", values, 0)
                run.log({f"norm/params/{path}/{role}": float(np.linalg.norm(values))}, 0)
    return directory


def weights(count, shape=(24, 24), seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def pairs(a, b):
    return matched((side_of(mb.read(a)["."]), side_of(mb.read(b)["."])), None)[0].pairs


def test_layers_that_were_named_by_the_framework_are_found_by_their_weights(tmp_path):
    up, mid, down = weights(3)
    a = write(tmp_path / "a", {"up": {"kernel": up}, "mid": {"kernel": mid}, "down": {"kernel": down}})
    b = write(tmp_path / "b", {"dense": {"kernel": down.T}, "dense_1": {"kernel": up.T}, "dense_2": {"kernel": mid.T}})
    found = {(pair.a, pair.b): (pair.level, pair.evidence[0]) for pair in pairs(a, b)}
    assert found == dict.fromkeys([("up", "dense_1"), ("mid", "dense_2"), ("down", "dense")], ("certain", "equal weights"))


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 1000))
def test_no_order_of_equal_layers_leads_to_a_wrong_pair(tmp_path_factory, order, seed):
    kernels = weights(6, seed=seed)
    directory = tmp_path_factory.mktemp("runs")
    a = write(directory / "a", {f"layer{i}": {"kernel": kernel} for i, kernel in enumerate(kernels)}, facts=False)
    b = write(directory / "b", {f"dense_{i}": {"kernel": kernels[at]} for i, at in enumerate(order)}, facts=False)
    assert {(pair.a, pair.b) for pair in pairs(a, b)} == {(f"layer{at}", f"dense_{i}") for i, at in enumerate(order)}
    assert {pair.level for pair in pairs(a, b)} == {"certain"}


def test_weights_of_other_seeds_are_no_evidence(tmp_path):
    names = ("up", "mid", "down")
    a = write(tmp_path / "a", {name: {"kernel": kernel} for name, kernel in zip(names, weights(3), strict=True)})
    b = write(tmp_path / "b", {f"dense_{i}": {"kernel": kernel} for i, kernel in enumerate(weights(3, seed=1))})
    assert {pair.level for pair in pairs(a, b)} == {"guess"}


@pytest.mark.parametrize("values", [np.zeros(64), np.ones(64), np.repeat([0.5, 2.0, -1.0, 0.0], 16), np.arange(12.0)])
def test_constants_and_tensors_of_few_values_tell_nothing(tmp_path, values):
    run = mb.read(write(tmp_path / "a", {"first": {"bias": values}, "second": {"bias": values}}))["."]
    side = side_of(run)
    equal = EqualWeights((run, side.layers), (run, side.layers))
    assert not equal(("first",), ("first",))
    assert not ported(run, run, matched((side, side), None)[1].matches)


def test_one_initialisation_in_several_layers_tells_nothing_apart(tmp_path):
    (kernel,) = weights(1)
    a = write(tmp_path / "a", {name: {"kernel": kernel} for name in ("up", "mid", "down")})
    b = write(tmp_path / "b", {f"dense_{i}": {"kernel": kernel} for i in range(3)})
    assert {pair.level for pair in pairs(a, b)} == {"guess"}


def test_a_fused_projection_has_the_weights_of_its_three_parts(tmp_path):
    parts, others = weights(3, (8, 8)), weights(3, (8, 8), seed=1)
    names = [f"{layer}/attn/{part}" for layer in ("enc", "dec") for part in ("query", "key", "value")]
    a = write(tmp_path / "a", {name: {"kernel": kernel} for name, kernel in zip(names, [*parts, *others], strict=True)})
    fused = [np.concatenate(list(three)) for three in (others, parts)]
    b = write(tmp_path / "b", {f"mha_{i}": {"in_proj_weight": kernel} for i, kernel in enumerate(fused)})
    found = {(pair.a, pair.b) for pair in pairs(a, b) if pair.level == "certain"}
    assert found == {(name, "mha_1" if name.startswith("enc") else "mha_0") for name in names}


def test_names_that_say_otherwise_are_told(tmp_path):
    first, second = weights(2)
    a = write(tmp_path / "a", {"up": {"kernel": first}, "down": {"kernel": second}})
    b = write(tmp_path / "b", {"up": {"kernel": second}, "down": {"kernel": first}})
    found = {pair.a: pair for pair in pairs(a, b)}
    assert (found["up"].b, found["up"].level) == ("down", "certain")
    assert "against it: names" in found["up"].evidence


def test_a_bias_that_was_not_ported_does_not_hide_whose_kernel_it_is(tmp_path):
    kernels, biases = weights(2), weights(4, (24,), seed=2)
    a = write(tmp_path / "a", {name: {"kernel": kernels[i], "bias": np.zeros(24)} for i, name in enumerate(("up", "down"))})
    b = write(tmp_path / "b", {f"dense_{i}": {"kernel": kernels[1 - i], "bias": biases[i] * 0} for i in range(2)})
    assert {(pair.a, pair.b, pair.level) for pair in pairs(a, b)} == {
        ("up", "dense_1", "certain"), ("down", "dense_0", "certain"),
    }  # fmt: skip


def test_weights_are_looked_at_where_both_runs_tell_them_first(tmp_path):
    a, b = (write(tmp_path / name, {"fc": {"kernel": weights(1)[0]}}) for name in "ab")
    runs = [mb.read(path)["."] for path in (a, b)]
    side = [side_of(run) for run in runs]
    assert ported(*runs, matched(tuple(side), None)[1].matches)
    with mb.Run(tmp_path / "c") as run:
        run.histogram("params/fc/kernel", weights(1)[0], 7)
    late = mb.read(tmp_path / "c")["."]
    assert not ported(runs[0], late, matched((side[0], side_of(late)), None)[1].matches)
