"""Recurrent layers, which every framework splits otherwise."""

import math

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role


def layer(path, cls, order, **shapes):
    roles = tuple(Role(name, f"{path}/{name}", f"{path}/{name}", shape, math.prod(shape)) for name, shape in shapes.items())
    return Layer(path, cls, order, roles, None)


TORCH = layer("lstm", "LSTM", 0, weight_ih_l0=(32, 4), weight_hh_l0=(32, 8), weight_ih_l1=(32, 8), weight_hh_l1=(32, 8))
KERAS = [layer(f"rnn/{name}", "LSTMCell", at, kernel=(inner, 32), recurrent_kernel=(8, 32))
         for at, (name, inner) in enumerate([("lstm", 4), ("lstm_1", 8)])]  # fmt: skip
NNX = [layer(f"cells/{cell}/{name}", "Linear", 2 * cell + at, kernel=(inner, 32))
       for cell, width in enumerate([4, 8]) for at, (name, inner) in enumerate([("dense_i", width), ("dense_h", 8)])]  # fmt: skip


def pairs(a, b):
    return {(pair.a, pair.b) for pair in align(a, b).pairs}


def test_a_stack_of_pytorch_belongs_to_every_layer_of_keras():
    assert pairs([TORCH], KERAS) == {("lstm", "rnn/lstm"), ("lstm", "rnn/lstm_1")}


def test_a_stack_of_pytorch_belongs_to_the_dense_layers_of_optimized_cells():
    assert pairs([TORCH], NNX) == {("lstm", one.path) for one in NNX}


def test_a_stack_is_certain_to_be_itself():
    assert [(pair.a, pair.b, pair.level) for pair in align([TORCH], [TORCH]).pairs] == [("lstm", "lstm", "certain")]


def test_cells_of_other_widths_do_not_belong_together():
    other = [layer("lstm", "LSTMCell", 0, kernel=(5, 40), recurrent_kernel=(10, 40))]
    assert not align([TORCH], other).pairs
    assert align([TORCH], other).only_a == (TORCH,)


def test_layers_of_a_stack_in_both_directions_are_told_apart():
    sides = {f"weight_{kind}_l0{way}": (32, 4 if kind == "ih" else 8) for kind in ("ih", "hh") for way in ("", "_reverse")}
    keras = [layer(f"bidirectional/{way}_lstm/cell", "LSTMCell", at, kernel=(4, 32), recurrent_kernel=(8, 32))
             for at, way in enumerate(["forward", "backward"])]  # fmt: skip
    assert pairs([layer("lstm", "LSTM", 0, **sides)], keras) == {("lstm", one.path) for one in keras}
