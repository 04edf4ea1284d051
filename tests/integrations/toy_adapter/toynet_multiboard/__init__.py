"""The adapter of toynet for multiboard: an example to begin from."""

from __future__ import annotations

import numpy as np
import toynet

from multiboard import tags
from multiboard.arguments import check_positive
from multiboard.host_captures import capture_arrays
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow


class Adapter:
    """What `multiboard.adapter.Adapter` asks for."""

    name = "toynet"
    module = "toynet"
    array_types = (toynet.Array,)

    def recognizes(self, model):
        return isinstance(model, toynet.Net)

    def watch(self, model, optimizer, run, *, every=100, start_step=0):
        return Watch(model, optimizer, run, check_positive("every", every), start_step)

    def to_host(self, array):
        return array.download()


class Watch:
    """Captures around every n-th `optimizer.step()`."""

    def __init__(self, net, optimizer, run, every, start_step):
        self.step = start_step
        self._net, self._optimizer, self._run, self._every = net, optimizer, run, every
        self._paused = self._forced = False
        self._arrays = {}
        optimizer.before.append(self._before)
        optimizer.after.append(self._after)
        if run is not None:
            run.describe_layers(layer_rows(net), start_step)

    def pause(self):
        self._paused = True

    def resume(self):
        self._paused = False

    def log_now(self):
        self._forced = True

    def remove(self):
        for hooks, hook in ((self._optimizer.before, self._before), (self._optimizer.after, self._after)):
            if hook in hooks:
                hooks.remove(hook)

    def _before(self):
        due = self._forced or (not self._paused and self.step % self._every == 0)
        self._arrays = {}
        if due and self._run is not None:
            self._arrays = {f"params/{path}": np.array(layer.params[role]) for path, layer, role in parameters(self._net)}
            self._arrays |= {f"grads/{path}": layer.grads[role] for path, layer, role in parameters(self._net)}

    def _after(self):
        if self._arrays:
            now = parameters(self._net)
            updates = {f"updates/{path}": layer.params[role] - self._arrays[f"params/{path}"] for path, layer, role in now}
            described = {tag: tags.description(tag.partition("/")[2], "Dense", stage(tag)) for tag in self._arrays}
            capture_arrays(self._run, self._arrays | updates, self.step, descriptions=described)
            self._run.log({tags.LEARNING_RATE: self._optimizer.lr}, self.step)
        self.step += 1
        self._forced = False


def stage(tag):
    return tags.GIVEN if tag.startswith("grads/") else ""


def parameters(net):
    return [(f"{name}/{role}", layer, role) for name, layer in net.layers.items() for role in layer.params]


def layer_rows(net):
    layers = [
        LayerRow(
            name,
            type(layer).__name__,
            order,
            tuple(
                RoleRow(role, f"{name}/{role}", f"{name}.{role}", value.shape, dtype=str(value.dtype))
                for role, value in layer.params.items()
            ),
        )
        for order, (name, layer) in enumerate(net.layers.items())
    ]
    return LayerRows("toynet", tuple(layers), tags.GIVEN)


ADAPTER = Adapter()
