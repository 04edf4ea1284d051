"""Tensors that were kept element by element: what a comparison finds with them that distributions do not show."""

import json

import numpy as np
import pytest

import multiboard as mb
from multiboard import exact_samples
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow

RNG = np.random.default_rng(0)
KERNEL, OTHER = RNG.normal(size=(2, 16, 16)).astype(np.float32)


def write(directory, steps, *, kernels=("a", "b"), limit=65536, dtype="float32", transform="identity", kinds=("params",)):
    """Write kernels as a watch would: histogram, norm and all elements. `steps` has the kernels of each step."""
    with mb.Run(directory) as run:
        for step, values in steps.items():
            for name, kernel in zip(kernels, values, strict=True):
                for kind in kinds:
                    run.histogram(f"{kind}/{name}/kernel", kernel, step)
                    run.log({f"norm/{kind}/{name}/kernel": float(np.linalg.norm(kernel))}, step)
                    places = exact_samples.places(kernel.shape, transform, limit)
                    later = exact_samples.Later(kernel if places is None else kernel.reshape(-1)[places], None)
                    if places is None:
                        later = exact_samples.Later(kernel, kernel.shape, transform)
                    told = exact_samples.described(f"`{name}.kernel`", dtype, kernel.shape, transform, limit)
                    run.tensor(exact_samples.tag(kind, f"{name}/kernel"), later, step, description=told)
    return directory


def test_a_transposed_square_kernel_is_found_though_its_distribution_is_the_same(tmp_path):
    a = write(tmp_path / "a", {0: (KERNEL, OTHER)})
    b = write(tmp_path / "b", {0: (KERNEL.T, OTHER)})
    found = mb.compare(a, b)
    assert [(one.kind, one.name, one.step, one.exact) for one in found.divergence] == [("params", "a/kernel", 0, True)]
    assert found.divergence[0].distance == pytest.approx(np.linalg.norm(KERNEL - KERNEL.T) / np.linalg.norm(KERNEL), rel=1e-4)
    assert found.code == 1
    assert "params, by element" in str(found)
    assert not any(row.distance for row in found.layers)


def test_the_layout_of_a_framework_makes_no_difference(tmp_path):
    a = write(tmp_path / "a", {0: (KERNEL, OTHER)})
    b = write(tmp_path / "b", {0: (KERNEL.T, OTHER.T)}, transform="transpose 1 0")
    found = mb.compare(a, b)
    assert found.code == 0, str(found)
    assert [(row.name, row.relative_l2, row.ulp_max) for row in found.exact] == [("a/kernel", 0, 0), ("b/kernel", 0, 0)]


@pytest.mark.parametrize("limits", [(100, 100), (100, 65536), (100, 60)])
def test_of_samples_the_common_elements_are_compared(tmp_path, limits):
    a = write(tmp_path / "a", {0: (KERNEL, OTHER)}, limit=limits[0])
    b = write(tmp_path / "b", {0: (KERNEL.T, OTHER.T)}, transform="transpose 1 0", limit=limits[1])
    assert [(row.name, row.ulp_max) for row in mb.compare(a, b).exact] == [("a/kernel", 0), ("b/kernel", 0)]


def test_elements_of_runs_that_were_initialised_apart_are_told_and_are_no_divergence(tmp_path):
    shuffled = RNG.permuted(KERNEL), RNG.permuted(OTHER)
    a = write(tmp_path / "a", {0: (KERNEL * 1.0001, OTHER * 1.0001)})
    b = write(tmp_path / "b", {0: shuffled})
    found = mb.compare(a, b)
    assert found.code == 0, str(found)
    assert min(row.relative_l2 for row in found.exact) > 1


def test_elements_count_at_the_first_step_only(tmp_path):
    a = write(tmp_path / "a", {0: (KERNEL, OTHER), 5: (KERNEL, OTHER)})
    b = write(tmp_path / "b", {0: (KERNEL, OTHER), 5: (KERNEL.T, OTHER)})
    found = mb.compare(a, b)
    assert found.code == 0, str(found)
    assert [row.step for row in found.exact if row.relative_l2] == [5]


def test_parameters_that_differ_at_the_first_step_come_before_what_follows_from_them(tmp_path):
    a = write(tmp_path / "a", {0: (KERNEL, OTHER)}, kinds=("params", "grads"))
    b = write(tmp_path / "b", {0: (KERNEL.T, OTHER)}, kinds=("params", "grads"))
    assert [(one.kind, one.name) for one in mb.compare(a, b).divergence] == [("params", "a/kernel"), ("grads", "a/kernel")]


def test_gradients_that_are_0_but_for_rounding_are_no_divergence(tmp_path):
    noise = [RNG.normal(size=(16, 16)).astype(np.float32) * 1e-7 for _ in range(2)]
    a = write(tmp_path / "a", {0: (KERNEL, noise[0])}, kinds=("grads",))
    b = write(tmp_path / "b", {0: (KERNEL, noise[1])}, kinds=("grads",))
    for directory in (a, b):
        with mb.Run(directory, resume="add") as run:
            run.histogram("params/a/kernel", KERNEL, 0)
    found = mb.compare(a, b)
    assert found.code == 0, str(found)
    assert max(row.relative_l2 for row in found.exact) > 1


@pytest.mark.parametrize("limit", [65536, 40])
def test_a_fused_tensor_is_compared_with_its_three_parts(tmp_path, limit):
    parts = RNG.normal(size=(3, 16, 16)).astype(np.float32)
    a = write(tmp_path / "a", {0: tuple(parts)}, kernels=[f"attn/{name}" for name in ("query", "key", "value")], limit=limit)
    fused = np.concatenate([part.T for part in parts])
    b = write(tmp_path / "b", {0: (fused,)}, kernels=["attn/qkv"], transform="transpose 1 0, thirds", limit=limit)
    found = mb.compare(a, b, guesses=True)
    assert [(row.name, row.other, row.ulp_max) for row in found.exact] == [("attn/query/kernel", "attn/qkv/kernel", 0)]
    parts[2] = parts[2].T
    c = write(tmp_path / "c", {0: tuple(parts)}, kernels=[f"attn/{name}" for name in ("query", "key", "value")], limit=limit)
    assert mb.compare(b, c, guesses=True).exact[0].relative_l2 > 0.5


@pytest.mark.parametrize("limit", [65536, 40])
@pytest.mark.parametrize("together", [np.stack, lambda parts: np.concatenate(parts, -1)], ids=["stacked", "side by side"])
def test_experts_in_one_tensor_are_compared_with_each_of_them(tmp_path, together, limit):
    parts = RNG.normal(size=(4, 16, 16)).astype(np.float32)
    a = write(tmp_path / "a", {0: tuple(parts)}, kernels=[f"experts/{number}/up" for number in range(4)], limit=limit)
    b = write(tmp_path / "b", {0: (together(parts),)}, kernels=["experts/up"], limit=limit)
    found = mb.compare(a, b, guesses=True)
    assert [(row.name, row.other, row.ulp_max) for row in found.exact] == [("experts/0/up/kernel", "experts/up/kernel", 0)]


def test_units_are_those_of_the_coarser_type(tmp_path):
    bits = KERNEL.view(np.uint32)
    halves = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    a = write(tmp_path / "a", {0: (KERNEL, OTHER)})
    b = write(tmp_path / "b", {0: (halves, OTHER)}, dtype="bfloat16")
    row = mb.compare(a, b).exact[0]
    assert row.ulp_max == 0
    assert 0 < row.relative_l2 < 0.01


def test_the_table_has_frames_and_is_in_json(tmp_path):
    a, b = (write(tmp_path / name, {0: (KERNEL, OTHER), 5: (KERNEL, OTHER)}) for name in "ab")
    found = mb.compare(a, b)
    columns = ["run", "kind", "name", "other", "step", "cosine", "relative_l2", "max_error", "ulp_median", "ulp_max"]
    assert list(found.exact.columns()) == columns
    assert [row._asdict() for row in found.exact] == json.loads(found.to_json())["exact"]
    assert len(found.exact) == 4


def test_runs_that_kept_nothing_have_an_empty_table(trained):
    found = mb.compare(trained("a"), trained("b"))
    assert len(found.exact) == 0
    assert list(found.exact) == []


def test_a_run_in_the_words_of_another_one_writes_its_kept_tensors_so_too(tmp_path):
    def table(path):
        role = RoleRow("kernel", f"{path}/kernel", f"{path}.kernel", (16, 16), dtype="float32")
        return LayerRows("torch", (LayerRow(path, "Dense", 0, (role,)),))

    with mb.Run(tmp_path / "a") as run:
        run.describe_layers(table("encoder"), 0)
    with mb.Run(tmp_path / "b", align_to=tmp_path / "a") as run:
        run.describe_layers(table("enc"), 0)
        later = exact_samples.Later(KERNEL, KERNEL.shape)
        run.kept_tensor("exact/params/enc/kernel", later, 0, description="`enc.kernel`; float32 [16, 16]")
    column = mb.read(tmp_path / "b")["."].tensors["exact/params/encoder/kernel"]
    np.testing.assert_array_equal(column.value[0], KERNEL)
