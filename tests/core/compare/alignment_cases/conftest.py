"""Architectures as tables: one row per layer in call order, with its name in each framework; rows are the true pairs."""

import itertools
import runpy
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role

FRAMEWORKS = ("torch", "linen", "nnx", "keras")
CLASSES = {
    "dense": ("Linear", "Dense", "Linear", "Dense"),
    "conv": ("Conv2d", "Conv", "Conv", "Conv2D"),
    "up": ("ConvTranspose2d", "ConvTranspose", "ConvTranspose", "Conv2DTranspose"),
    "depthwise": ("Conv2d", "Conv", "Conv", "DepthwiseConv2D"),
    "layernorm": ("LayerNorm", "LayerNorm", "LayerNorm", "LayerNormalization"),
    "batchnorm": ("BatchNorm2d", "BatchNorm", "BatchNorm", "BatchNormalization"),
    "embed": ("Embedding", "Embed", "Embed", "Embedding"),
    "query": ("Linear", "DenseGeneral", "LinearGeneral", "EinsumDense"),
    "out": ("Linear", "DenseGeneral", "LinearGeneral", "EinsumDense"),
    "lstm": ("LSTM", "OptimizedLSTMCell", "LSTMCell", "LSTMCell"),
    "gru": ("GRU", "GRUCell", "GRUCell", "GRUCell"),
}


@dataclass
class Row:
    """A layer in every framework; a framework without a name has no such layer."""

    kind: str
    sizes: tuple[int, ...]
    names: dict[str, str]
    bias: bool = True
    shift: dict[str, float] = field(default_factory=dict)


class Case:
    """An architecture.

    Args:
        name: of the architecture.
        first: number of the first layer that Keras numbers; models that were made before have taken the others.
    """

    def __init__(self, name, first=0):
        self.name, self.rows = name, []
        self._counts = {"keras": Counter(), "linen": Counter()}
        self._first = first

    def add(self, kind, sizes, torch="", linen="", keras="", nnx="", bias=True, shift=0.0):
        """Add a layer; '*' at the end of a name is the number that a framework gives, `shift` how much later Keras calls it."""
        names = {"torch": torch, "linen": linen, "nnx": nnx, "keras": keras}
        given = {framework: self._number(framework, name) for framework, name in names.items() if name}
        self.rows.append(Row(kind, sizes, given, bias, {"keras": shift}))

    def _number(self, framework, name):
        path = name.replace(".", "/")
        if not path.endswith("*"):
            return path
        count = self._counts[framework]
        word = path[:-1] if framework == "linen" else path[:-1].rpartition("/")[2]
        number = count[word] + (self._first if framework == "keras" else 0)
        count[word] += 1
        return f"{path[:-1]}_{number}" if framework == "linen" or number else path[:-1]

    def frameworks(self):
        return [framework for framework in FRAMEWORKS if any(framework in row.names for row in self.rows)]

    def layers(self, framework, *, graph=True):
        """Return the table as a run of a framework has it: with or without what a logged graph tells."""
        index = FRAMEWORKS.index(framework)
        found = {}
        ordered = sorted(range(len(self.rows)), key=lambda at: at + self.rows[at].shift.get(framework, 0.0))
        calls = {at: order for order, at in enumerate(ordered)}
        for at, row in enumerate(self.rows):
            if framework in row.names:
                for path, cls, roles in _made(row, framework, index):
                    known = found.get(path)
                    found[path] = (
                        _merged(known, roles, torch=framework == "torch")
                        if known
                        else Layer(path, cls, calls[at], tuple(roles), None)
                    )
        layers = [layer._replace(params=sum(role.size for role in layer.roles)) for layer in found.values()]
        holders = {path[:at]: None for path in found for at, char in enumerate(path) if char == "/"}
        layers += [Layer(path, "", None, (), 0) for path in holders if path not in found]
        if framework in {"linen", "nnx"}:
            layers.sort(key=lambda layer: layer.path)
        return layers if graph else [_bare(layer) for layer in layers]

    def truth(self, a, b):
        """Return the true pairs of paths of two frameworks."""
        both = [row for row in self.rows if a in row.names and b in row.names]
        pairs = set()
        for row in both:
            left, right = ([path for path, _, _ in _made(row, one, FRAMEWORKS.index(one))] for one in (a, b))
            same = len(left) == len(right)
            pairs |= set(zip(left, right, strict=True) if same else itertools.product(left, right))
        return pairs


def _bare(layer):
    return layer._replace(order=None, roles=tuple(role._replace(shape=None) for role in layer.roles))


def _merged(layer, roles, *, torch):
    """Return a layer that holds what other frameworks have as several: each tensor is as long as those together."""
    if any(role.name.endswith(("_l0", "_l1", "_l2")) for role in roles):
        return layer._replace(roles=(*layer.roles, *roles))
    grown = []
    for old, new in zip(layer.roles, roles, strict=True):
        axis = 0 if torch else len(old.shape) - 1
        shape = (*old.shape[:axis], old.shape[axis] + new.shape[axis], *old.shape[axis + 1 :])
        grown.append(old._replace(shape=shape, size=old.size + new.size))
    return layer._replace(roles=tuple(grown))


def _made(row, framework, index):
    """Return path, class and roles of the layers that a row is in a framework."""
    path, cls = row.names[framework], CLASSES[row.kind][index]
    if row.kind in {"lstm", "gru"}:
        yield from _cell(row, framework, path, cls)
        return
    fused = path.endswith("!")
    path = path.rstrip("!")
    shapes = _shapes(row, framework)
    tensors = [_role(path, name, shape, framework, fused) for name, shape in shapes.items()]
    yield path, "MultiheadAttention" if fused else cls, tensors


def _role(path, name, shape, framework, fused):
    own = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(name, name) if framework == "torch" else name
    if fused:
        own = name = f"in_proj_{'weight' if name == 'kernel' else name}"
    return Role(name, f"{path}/{name}", f"{path}/{own}".replace("/", "."), shape, _product(shape))


def _shapes(row, framework):
    torch, headed = framework == "torch", framework != "torch"
    if row.kind in {"dense", "query", "out"}:
        inner, outer, *heads = row.sizes
        kernel, bias = ((outer, inner) if torch else (inner, outer)), (outer,)
        if heads and headed and row.kind == "query":
            kernel, bias = (inner, heads[0], outer // heads[0]), (heads[0], outer // heads[0])
        if heads and headed and row.kind == "out":
            kernel = (heads[0], inner // heads[0], outer)
        return {"kernel": kernel, "bias": bias} if row.bias else {"kernel": kernel}
    if row.kind in {"conv", "up", "depthwise"}:
        return _conv(row, framework)
    if row.kind == "embed":
        return {"embedding": row.sizes}
    scale = {"scale": row.sizes, "bias": row.sizes} if row.bias else {"scale": row.sizes}
    return scale | ({"mean": row.sizes, "var": row.sizes} if row.kind == "batchnorm" else {})


def _conv(row, framework):
    size, inner, outer = row.sizes
    kernel = (size, size, inner, outer)
    if row.kind == "depthwise":
        kernel = {"torch": (outer, 1, size, size), "keras": (size, size, outer, 1)}.get(framework, (size, size, 1, outer))
    elif framework == "torch":
        kernel = (inner, outer, size, size) if row.kind == "up" else (outer, inner, size, size)
    elif row.kind == "up" and framework == "keras":
        kernel = (size, size, outer, inner)
    return {"kernel": kernel, "bias": (outer,)} if row.bias else {"kernel": kernel}


def _cell(row, framework, path, cls):
    """Return a recurrent cell: one layer, or in Flax one per gate and input; of PyTorch the sizes end with the layer's number."""
    inner, hidden, level = row.sizes
    gates = {"lstm": "ifgo", "gru": "rzn"}[row.kind]
    wide = len(gates) * hidden
    if framework == "torch":
        shapes = {"weight_ih": (wide, inner), "weight_hh": (wide, hidden), "bias_ih": (wide,), "bias_hh": (wide,)}
        named = {f"{name}_l{level}": shape for name, shape in shapes.items()}
        yield path, cls, [_role(path, name, shape, "", False) for name, shape in named.items()]
    elif framework == "keras":
        shapes = {"kernel": (inner, wide), "recurrent_kernel": (hidden, wide), "bias": (wide,)}
        yield path, cls, [_role(path, name, shape, "", False) for name, shape in shapes.items()]
    else:
        for side, gate in itertools.product("ih", gates):
            below = f"{path}/{side}{gate}"
            kernel = (inner if side == "i" else hidden, hidden)
            shapes = {"kernel": kernel, "bias": (hidden,)} if side == "h" else {"kernel": kernel}
            yield below, "Dense", [_role(below, name, shape, "", False) for name, shape in shapes.items()]


def _product(shape):
    product = 1
    for size in shape:
        product *= size
    return product


HERE = Path(__file__).parent
HELD = ("hold the same layers",)


def _cases(folder):
    for file in sorted((HERE / folder).glob("*.py")):
        yield from (made(Case) for name, made in runpy.run_path(str(file)).items() if callable(made) and name[0] != "_")


class Score(NamedTuple):
    """What became of the true pairs of an architecture in two frameworks."""

    truth: int
    right: int
    guessed: int
    wrong: int
    misled: list


def _score(case, a, b, graph):
    truth = case.truth(a, b)
    aligned = align(case.layers(a, graph=graph), case.layers(b, graph=graph))
    pairs = [pair for pair in aligned.pairs if pair.evidence != HELD]
    right = [pair for pair in pairs if (pair.a, pair.b) in truth]
    misled = [(case.name, pair) for pair in pairs if pair not in right and pair.level != "guess"]
    return Score(len(truth), len(right), sum(pair.level == "guess" for pair in right), len(pairs) - len(right), misled)


@pytest.fixture
def scores():
    """A function that returns the scores of all architectures in a folder, in each two frameworks."""

    def count(folder, *, graph):
        return [_score(case, a, b, graph) for case in _cases(folder) for a, b in itertools.combinations(case.frameworks(), 2)]

    return count


@pytest.fixture
def made():
    """A function that returns an architecture by its name."""
    known = {case.name: case for folder in ("developed", "held_out", "fresh", "later") for case in _cases(folder)}
    return known.__getitem__


@pytest.fixture
def stack():
    """A function that returns dense layers of equal sizes, called in the order of their names if there is a graph."""

    def layers(*names, sizes=(64, 64), graph=True):
        case = Case("stack")
        for name in names:
            case.add("dense", sizes, torch=name)
        return case.layers("torch", graph=graph)

    return layers


@pytest.fixture
def alignment_of():
    """A function that aligns an architecture in two frameworks."""
    return lambda case, a, b: align(case.layers(a), case.layers(b))
