"""Every layer class gets the canonical path and role."""

import pytest
import torch
from torch import nn

from multiboard_torch.layers import named_parameters

NORMS = [
    nn.BatchNorm1d(4),
    nn.BatchNorm2d(4),
    nn.BatchNorm3d(4),
    nn.SyncBatchNorm(4),
    nn.InstanceNorm1d(4, affine=True),
    nn.InstanceNorm2d(4, affine=True),
    nn.InstanceNorm3d(4, affine=True),
    nn.GroupNorm(2, 4),
    nn.LayerNorm(4),
    nn.RMSNorm(4),
]


class ScaleNorm(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*shape))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.kernel = nn.Parameter(torch.ones(2))


def paths(model):
    return [named.path for named in named_parameters(model)]


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: type(norm).__name__)
def test_the_weight_of_a_norm_is_a_scale(norm):
    assert paths(nn.ModuleDict({"norm": norm}))[0] == "norm/scale"


def test_the_weight_of_an_own_norm_class_is_a_scale_if_it_has_one_axis():
    assert paths(ScaleNorm(3)) == ["scale"]
    assert paths(ScaleNorm(3, 3)) == ["kernel"]


@pytest.mark.parametrize("layer", [nn.Embedding(3, 2), nn.EmbeddingBag(3, 2)], ids=["Embedding", "EmbeddingBag"])
def test_the_weight_of_an_embedding_is_an_embedding(layer):
    assert paths(nn.ModuleDict({"words": layer})) == ["words/embedding"]


@pytest.mark.parametrize("layer", [nn.Linear(2, 2), nn.Conv2d(1, 1, 3), nn.ConvTranspose1d(1, 1, 3)])
def test_other_weights_are_kernels(layer):
    assert paths(nn.Sequential(layer)) == ["0/kernel", "0/bias"]


def test_a_layer_that_is_the_model_itself_has_no_layer_path():
    assert paths(nn.Linear(2, 2)) == ["kernel", "bias"]


def test_nested_names_become_paths_in_definition_order():
    model = nn.ModuleDict({"encoder": nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1)), "head": nn.Linear(1, 1, bias=False)})
    assert paths(model) == ["encoder/0/kernel", "encoder/0/bias", "encoder/1/scale", "encoder/1/bias", "head/kernel"]


def test_a_fused_projection_stays_whole():
    assert paths(nn.MultiheadAttention(4, 2)) == ["in_proj_weight", "in_proj_bias", "out_proj/kernel", "out_proj/bias"]


def test_two_parameters_of_one_layer_never_share_a_path():
    found = paths(nn.ModuleDict({"layer": Twice()}))
    assert found[0] == "layer/kernel"
    assert len(set(found)) == 2


def test_native_name_and_class_are_kept():
    (named, _) = named_parameters(nn.ModuleDict({"head": nn.Linear(1, 1)}))
    assert (named.native, named.layer_class) == ("head.weight", "Linear")
