"""Architectures as tables: one row per layer in call order, with its name in each framework; rows are the true pairs."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field

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
    "conv1d": ("Conv1d", "Conv", "Conv", "Conv1D"),
    "conv3d": ("Conv3d", "Conv", "Conv", "Conv3D"),
    "up1d": ("ConvTranspose1d", "ConvTranspose", "ConvTranspose", "Conv1DTranspose"),
    "up3d": ("ConvTranspose3d", "ConvTranspose", "ConvTranspose", "Conv3DTranspose"),
    "rmsnorm": ("RMSNorm", "RMSNorm", "RMSNorm", "RMSNormalization"),
    "groupnorm": ("GroupNorm", "GroupNorm", "GroupNorm", "GroupNormalization"),
    "raw": ("", "", "", ""),
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
        """Add a layer.

        Args:
            kind: of the layer.
            sizes: of its tensors.
            torch: its name; at its end '*' is the number that the framework gives, '!' a fused projection, '#' the tensors of
                several layers stacked, ':role' a tensor that no layer of its own holds.
            linen: see `torch`.
            keras: see `torch`.
            nnx: see `torch`.
            bias: whether it has one.
            shift: how much later Keras calls it; or by framework.
        """
        names = {"torch": torch, "linen": linen, "nnx": nnx, "keras": keras}
        given = {framework: self._number(framework, name) for framework, name in names.items() if name}
        self.rows.append(Row(kind, sizes, given, bias, shift if isinstance(shift, dict) else {"keras": shift}))

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
                stacked = row.names[framework].endswith("#")
                for path, cls, roles in _made(row, framework, index):
                    known = found.get(path)
                    found[path] = (
                        _merged(known, roles, ahead=stacked or framework == "torch")
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


def _merged(layer, roles, *, ahead):
    """Return a layer that holds what other frameworks have as several: each tensor is as long as those together."""
    if not {role.name for role in roles} & {role.name for role in layer.roles}:
        return layer._replace(roles=(*layer.roles, *roles))
    grown = []
    for old, new in zip(layer.roles, roles, strict=True):
        axis = 0 if ahead else len(old.shape) - 1
        shape = (*old.shape[:axis], old.shape[axis] + new.shape[axis], *old.shape[axis + 1 :])
        grown.append(old._replace(shape=shape, size=old.size + new.size))
    return layer._replace(roles=tuple(grown))


def _made(row, framework, index):
    """Return path, class and roles of the layers that a row is in a framework."""
    path, cls = row.names[framework], CLASSES[row.kind][index]
    if row.kind in {"lstm", "gru"}:
        yield from _cell(row, framework, path, cls)
        return
    fused, stacked = path.endswith("!"), path.endswith("#")
    path, _, raw = path.rstrip("!#").partition(":")
    shapes = {raw: row.sizes} if raw else _shapes(row, framework)
    cls = "" if raw else cls
    shapes = {name: (1, *shape) for name, shape in shapes.items()} if stacked else shapes
    tensors = [_role(path, name, shape, framework, fused) for name, shape in shapes.items()]
    yield path, "MultiheadAttention" if fused else cls, tensors


def _role(path, name, shape, framework, fused):
    own = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(name, name) if framework == "torch" else name
    if fused:
        own = name = f"in_proj_{'weight' if name == 'kernel' else name}"
    return Role(name, f"{path}/{name}".strip("/"), f"{path}/{own}".strip("/").replace("/", "."), shape, math.prod(shape))


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
    if row.kind in {"conv", "up", "depthwise"} or row.kind[-2:] in {"1d", "3d"}:
        return _conv(row, framework)
    if row.kind == "embed":
        return {"embedding": row.sizes}
    scale = {"scale": row.sizes, "bias": row.sizes} if row.bias and row.kind != "rmsnorm" else {"scale": row.sizes}
    return scale | ({"mean": row.sizes, "var": row.sizes} if row.kind == "batchnorm" else {})


def _conv(row, framework):
    size, inner, outer = row.sizes
    up = row.kind.startswith("up")
    window = (size,) * int(row.kind[-2]) if row.kind.endswith("d") else (size, size)
    kernel = (*window, inner, outer)
    if row.kind == "depthwise":
        kernel = {"torch": (outer, 1, size, size), "keras": (size, size, outer, 1)}.get(framework, (size, size, 1, outer))
    elif framework == "torch":
        kernel = (inner, outer, *window) if up else (outer, inner, *window)
    elif up and framework == "keras":
        kernel = (*window, outer, inner)
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
