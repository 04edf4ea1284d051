"""Leaves no trace of a call of a model: its buffers, its attributes and the states of random generators are put back."""

from __future__ import annotations

import contextlib
import random
import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    Restore = Callable[[], Any]


@contextlib.contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Put back in the end what a call of a model changes of it and of random generators.

    Attributes of modules are put back, and what is in their lists and dicts; not what is inside of other objects.

    Shapes alone do not spare this: without values too, PyTorch counts on in a buffer of one number.

    Args:
        model: that is called inside.
    """
    with contextlib.ExitStack() as restores:
        for restore in (*_generators(), *_buffers(model), *(_attributes(module) for module in model.modules())):
            restores.callback(restore)
        yield


def _generators() -> Iterator[Restore]:
    state, own = torch.get_rng_state(), random.getstate()
    yield lambda: torch.set_rng_state(state)
    yield lambda: random.setstate(own)
    if torch.cuda.is_initialized():
        states = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(states)
    numpy = getattr(sys.modules.get("numpy"), "random", None)
    if numpy is not None:
        legacy = numpy.get_state()
        yield lambda: numpy.set_state(legacy)


def _buffers(model: nn.Module) -> Iterator[Restore]:
    own = (value for module in model.modules() for value in vars(module).values() if isinstance(value, torch.Tensor))
    for buffer in (*model.buffers(), *own):
        copy, version = buffer.detach().clone(), _version(buffer)
        yield lambda buffer=buffer, copy=copy, version=version: _put_back(buffer, copy, version)  # type: ignore[misc]


def _put_back(buffer: torch.Tensor, copy: torch.Tensor, version: int) -> None:
    # One that was not written stays untouched: a backward pass that waits for it would find it changed.
    if _version(buffer) != version or not _is_equal(buffer, copy):
        with torch.no_grad(), torch.inference_mode(mode=buffer.is_inference()):
            buffer.copy_(copy)


def _version(buffer: torch.Tensor) -> int:
    return 0 if buffer.is_inference() else buffer._version  # noqa: SLF001


def _is_equal(buffer: torch.Tensor, copy: torch.Tensor) -> bool:
    """Tell whether two tensors hold the same values, NaN among them; True for a kind of tensor that cannot be compared."""
    try:
        return torch.equal(buffer, copy) or bool(torch.isclose(buffer, copy, rtol=0, atol=0, equal_nan=True).all())
    except (NotImplementedError, RuntimeError):  # without values, sparse or nested
        return True


def _attributes(module: nn.Module) -> Restore:
    attributes = dict(module.__dict__)
    contents = [(value, type(value)(value)) for value in attributes.values() if type(value) in {dict, list, set}]

    def restore() -> None:
        module.__dict__.clear()
        module.__dict__.update(attributes)
        for value, content in contents:
            value.clear()
            value.extend(content) if isinstance(value, list) else value.update(content)

    return restore
