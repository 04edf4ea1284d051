"""The gate names the stages of gradients also where only norms are logged: the layer table has them."""

import multiboard as mb
from multiboard import tags
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow


def write(directory, stage, factor):
    table = LayerRows("torch", (LayerRow("fc", "Linear", 0, (RoleRow("kernel", "fc/kernel", "fc.weight", (3, 4)),)),), stage)
    with mb.Run(directory, facts=False) as run:
        run.describe_layers(table, 0)
        for step in range(3):
            run.log({"norm/grads/fc/kernel": factor, "norm/params/fc/kernel": 1.0}, step)
    return directory


def test_norms_of_gradients_of_two_stages_are_told_apart_by_the_stages(tmp_path):
    clipped = tags.gradient_stage(tags.AFTER_CLIPPING, "to a norm of 1")
    runs = write(tmp_path / "a", tags.GIVEN, 2.0), write(tmp_path / "b", clipped, 1.0)
    gate = mb.compare(*runs).gate
    assert [one[1:5] for one in gate] == [
        ("gradients", "fc/kernel", "as the optimizer gets it", "after clipping (to a norm of 1)")
    ]


def test_one_stage_is_no_mismatch(tmp_path):
    runs = write(tmp_path / "a", tags.GIVEN, 2.0), write(tmp_path / "b", tags.GIVEN, 1.0)
    assert not mb.compare(*runs).gate
