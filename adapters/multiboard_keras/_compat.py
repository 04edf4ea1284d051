"""What Keras and JAX do not offer publicly: each use is guarded and has a fallback.

- The compiled loss of a model (`_compile_loss`) tells the loss of each output. Without it these metrics are Keras' running means.
- What an optimizer was built for (`_trainable_variables`) names what it updates. Without it `apply` must be told.
- The sums of gradients of an optimizer (`_accumulated_gradients`). Without them the gradient of one micro-batch is captured.
- The batches that such an optimizer has seen (`_iterations`). Without them a fit is taken to begin with a new update.
- The weights of layers that are not trained (`_non_trainable_variables`). Without them frozen weights count as buffers.
- The layers inside a layer (`_flatten_layers`), and the mask that goes with a tensor.
- The method that calls stacked cells for the shapes of their dropout masks, and the call of a cell in front of its loop. Should
  Keras drop them, a time step counts too much or too little.
- The module in which Keras' own layers find the functions of `keras.ops`. Without it their calls have no frame in graphs.
- The structure of the inputs that a Functional model declares (`_inputs_struct`). Without it they are a list.
- What lets a model make its variables without a batch (`compute_output_spec`). Without it the model counts as not built.
- The losses that layers have added in their last call (`_losses`, `_loss_ids`). Without them those of a trace take their place.
- The step on TensorFlow that a train function calls (`multi_step_on_iterator`). Without it the function itself is called.
- The graph of a function inside a graph of TensorFlow (`_get_function`). Without it a loop is drawn as one operation.
- Whether TensorFlow's profiler was started (`_profiler`). Without it a session that was refused may stand in the way of others.
- The trace that JAX is in tells whether a tensor may leave the train step. Without it nothing is taken out of the step.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType

DROPOUT_MASKS: Final = "_maybe_config_dropout_masks"
_STEP: Final = "multi_step_on_iterator"
_CLOSURE_AROUND_STEP: Final = frozenset({_STEP, "one_step_on_data", "self"})
_NAMES_AROUND_STEP: Final = frozenset(
    {"isinstance", "tf", "data", "Iterator", "distribute", "DistributedIterator", "has_value", "StopIteration", "get_value"}
    | {"zip", "range", "steps_per_execution"}
)


def compiled_loss(model: Any) -> Any | None:
    """Return the loss object of a compiled model that tracks the losses of several outputs, or None."""
    loss = getattr(model, "_compile_loss", None)
    return loss if callable(loss) and getattr(loss, "metrics", None) else None


def trace_level() -> object:
    """Return a token that is equal for two places of one train step if tensors of one may be returned from the other."""
    if BACKEND == "jax":
        try:
            from jax.extend.core import get_opaque_trace_state
        except ImportError:
            return object()  # equal to no other
        return get_opaque_trace_state(convention="flax")
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return id(tf.compat.v1.get_default_graph())
    return None


def modules_of_operations() -> list[ModuleType]:
    """Return the modules in which layers find the functions of `keras.ops`."""
    try:
        from keras.src import ops
    except ImportError:
        return [keras.ops]
    return [keras.ops, ops]


def declared_inputs(model: Any) -> Any | None:
    """Return the inputs that a Functional or Sequential model declares, in their structure; None if it declares none."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    if len(inputs) == 1 and isinstance(model, keras.Sequential):
        return inputs[0]
    structure = getattr(model, "_inputs_struct", None)
    return inputs if structure is None else structure


def build(model: Any, inputs: Any) -> None:
    """Let a model make its variables, as `fit` does.

    Args:
        model: a model that is not built.
        inputs: its first argument, with a `keras.KerasTensor` for each tensor.
    """
    try:
        from keras.src.backend import compute_output_spec
    except ImportError:
        model.compute_output_spec(inputs)
    else:
        compute_output_spec(model, inputs, training=False)


def step_on_iterator(function: Any) -> Callable[..., Any] | None:
    """Return the compiled step in a train function that Keras made for TensorFlow, or None.

    The function does nothing but call it with its iterator and take the outputs out of the Optional that it returns: it may refer
    to no other names than that takes, so that what a user or another version of Keras adds is not left out.
    """
    import tensorflow as tf

    code = getattr(function, "__code__", None)
    names = getattr(code, "co_freevars", ())
    foreign = getattr(function, "__module__", "") != keras.Model.make_train_function.__module__
    if foreign or code is None or _STEP not in names:
        return None
    if not (_NAMES_AROUND_STEP.issuperset(code.co_names) and _CLOSURE_AROUND_STEP.issuperset(names)):
        return None
    step = function.__closure__[names.index(_STEP)].cell_contents
    return step if isinstance(step, tf.types.experimental.PolymorphicFunction) else None


def function_graph(graph: Any, name: str) -> Any | None:
    """Return the FuncGraph of a function that an operation in a graph of TensorFlow calls, or None."""
    find = getattr(graph, "_get_function", None)
    return getattr(find(name), "graph", None) if callable(find) else None


def tensorflow_profiler_started() -> bool | None:
    """Whether somebody in this process has started TensorFlow's profiler and not stopped it; None where it does not tell."""
    try:
        from tensorflow.python.profiler.profiler_v2 import _profiler
    except ImportError:
        return None
    return _profiler is not None


def built_variables(optimizer: Any) -> list[Any]:
    """Return the variables that an optimizer was built for, in order: what `apply` and `stateless_apply` are given.

    Raises:
        LookupError: this Keras does not tell.
    """
    if not isinstance(variables := getattr(optimizer, "_trainable_variables", None), (list, tuple)):
        raise LookupError(  # noqa: TRY004  # it is not the argument that is wrong
            f"this version of Keras does not tell which variables {type(optimizer).__name__} updates"
        )
    return list(variables)


def accumulators(optimizer: Any) -> list[Any] | None:
    """Return the sums of gradients of an optimizer that accumulates, one per variable it was built for, or None."""
    variables = getattr(optimizer, "_accumulated_gradients", None)
    return list(variables) if isinstance(variables, list) else None


def batches_seen(optimizer: Any) -> Any | None:
    """Return the variable in which an optimizer counts batches, also those that make no update, or None."""
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "_iterations", None)


def buffers(model: Any) -> list[Any]:
    """Return the weights of a model that were never meant to be trained, without the frozen ones."""
    try:
        layers = model._flatten_layers()  # noqa: SLF001
        born = {id(variable) for layer in layers for variable in layer._non_trainable_variables}  # noqa: SLF001
    except AttributeError:
        return list(model.non_trainable_weights)
    return [variable for variable in model.weights if id(variable) in born]


def sublayers(layer: Any) -> list[Any]:
    """Return the layers directly inside a layer or model, in its lists and dicts, too; without Keras' help only a model's."""
    flatten = getattr(layer, "_flatten_layers", None)
    if isinstance(layer, keras.Model) or flatten is None:
        return list(getattr(layer, "layers", ()))
    return list(flatten(include_self=False, recursive=False))


def with_mask_of(tensor: Any, original: Any) -> Any:
    """Return a tensor with the mask that Keras keeps at another one; without Keras' help the other one, so that none is lost."""
    try:
        from keras.src.backend import get_keras_mask, set_keras_mask
    except ImportError:
        return original
    mask = get_keras_mask(original)
    if mask is not None and tensor is not original:
        set_keras_mask(tensor, mask)
    return tensor


@contextlib.contextmanager
def losses_kept(layers: Sequence[Any]) -> Iterator[None]:
    """Let layers keep the losses that they have added, whatever they add in the context."""
    known = [vars(layer).get(name) for layer in layers for name in ("_losses", "_loss_ids")]
    kept = [(found, found.copy()) for found in known if isinstance(found, (list, set))]
    try:
        yield
    finally:
        for found, before in kept:
            found.clear()
            (found.extend if isinstance(found, list) else found.update)(before)


def calls_cell_for_shapes(layer: Any) -> bool:
    """Return whether a recurrent layer calls its cell once in front of the loop over time steps, only for the shapes."""
    return isinstance(layer, keras.layers.RNN) and not layer.unroll and BACKEND != "jax"


def in_gradient() -> bool:
    """Return whether TensorFlow is computing gradients, and so a layer that is called is called again for them."""
    import tensorflow as tf

    code = getattr(tf.GradientTape.gradient, "__code__", None)
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None
