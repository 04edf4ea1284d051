"""The graph of a model on PyTorch: its call runs on tensors without values, and is observed."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import torch

from multiboard_keras.tracing.frames import ONE_AT_A_TIME
from multiboard_torch._compat import fake_mode
from multiboard_torch.tracing.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard_keras.tracing.trace import Call


def record(call: Call) -> None:
    """Record a call of a model without computing anything.

    Raises:
        Exception: whatever the model raises, also because values are missing.
    """
    _observe(call, fake=True)


def record_with_values(call: Call) -> None:
    """Record a call of a model that looks at values, with inputs of zeros.

    Raises:
        Exception: whatever the model raises.
    """
    call.recorder.note("The model looks at values: this is the path that it takes where all inputs are 0.")
    _observe(call, fake=False)


def _observe(call: Call, *, fake: bool) -> None:
    observer = Observer(call.recorder, modules=False)
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(enabled=not fake))
        stack.enter_context(fake_mode(enabled=fake))
        if fake:
            stack.enter_context(_known_seeds())
        tensors = [keras.ops.zeros(spec.shape, spec.dtype) for spec in call.inputs.specs]
        stack.enter_context(keras.StatelessScope(state_mapping=list(_values(call, observer, fake=fake))))
        stack.enter_context(observer)
        observer.take_inputs(dict(zip(call.inputs.names, tensors, strict=True)))
        for name, tensor in call.run(observer.scope, tensors):
            observer.take_outputs({name: tensor})  # of one call it takes a tensor once, under however many names


def _values(call: Call, observer: Observer, *, fake: bool) -> Iterator[tuple[Any, torch.Tensor]]:
    """Yield what stands for each variable, so that a write in place reaches nothing."""
    for variable in call.model.variables:
        value = keras.ops.convert_to_tensor(variable).detach()
        value = torch.empty_like(value) if fake else value.clone()
        weight = call.weights.of(variable)
        if weight is not None:
            observer.know(value, weight)
        yield variable, value


@contextlib.contextmanager
def _known_seeds() -> Iterator[None]:
    """Let generators of random numbers give a seed that has a value, in this thread: PyTorch asks for it."""
    thread, original = threading.get_ident(), keras.random.SeedGenerator.next

    @functools.wraps(original)
    def next_seed(generator: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(generator, *args, **kwargs)
        return np.zeros(2, np.int64)

    with ONE_AT_A_TIME:
        keras.random.SeedGenerator.next = next_seed
        try:
            yield
        finally:
            keras.random.SeedGenerator.next = original


RECORDERS: Final = (record, record_with_values)
"""Ways to record a call, the best one first."""
