"""The graph of a model or of a training step, traced from shapes alone: see `graph`."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import TYPE_CHECKING, Any

import jax

from multiboard.arguments import check_run
from multiboard.errors import ArgumentError
from multiboard.graph.recorder import Recorder
from multiboard_jax.tracing.arguments import check_chosen
from multiboard_jax.tracing.layers import module_scopes
from multiboard_jax.tracing.programs import program_of
from multiboard_jax.tracing.walk import walk

if TYPE_CHECKING:
    from multiboard.graph.ir import Graph
    from multiboard.run import Run
    from multiboard_jax.tracing.arguments import Chosen
    from multiboard_jax.tracing.programs import Program


def graph(
    target: Any,
    *args: Any,
    run: Run | None = None,
    tag: str | None = None,
    params: Chosen = None,
    **kwargs: Any,
) -> Graph:
    """Trace a model or a training step, without computing anything, and show its graph in the Graphs tab.

    The graph holds what the function does: the modules of linen, NNX and equinox that are called in it, the functions of the
    API, loops and branches as regions, the gradients under 'backward' and the optimizer as one region. A loop is drawn once and
    counts its FLOPs for every round, a `while` for one; a branch is drawn and counted with all its alternatives.

    Nothing raises but a wrong argument: what could not be recorded is told in the notes of the graph.

    Args:
        target: a training step, jitted, wrapped by `wrap_train_step` or plain; a linen module; an NNX or equinox module; or any
            function of arrays.
        args: what it is called with. Arrays, of which only shape and dtype count, so that a `jax.ShapeDtypeStruct` will do;
            whatever else is in them is used as it is, and so is a model that the function closes over: its arrays are constants
            and no parameters. For a linen module the variables come first; without them, those that its
            `init` would make are taken.
        run: where to show the graph; None only returns it.
        tag: of a further graph in the run; None for the run's own.
        params: which arguments are parameters: names of arguments or beginnings of paths such as 'state/ema', or a function of
            the path. None finds them by what they are called, and by their classes. An argument of the target that has the name
            of one of these is passed by position.
        kwargs: like `args`. For a linen module also `rngs`, `mutable` and `method`.

    Returns:
        The graph; with a note and what there is of it if the target could not be traced.

    Raises:
        ArgumentError: the target cannot be called, the run is none, or `params` is none of the above.

    Example:
        >>> traced = graph(lambda w, x: x @ w, jax.ShapeDtypeStruct((3, 4), "float32"), jax.ShapeDtypeStruct((2, 3), "float32"))
        >>> [(node.op, node.flops) for node in traced.nodes]
        [('Input', 0), ('Input', 0), ('dot_general', 48), ('Output', 0)]
    """
    if not callable(target):
        raise ArgumentError("target", target, "pass a model, or the function that makes one update")
    checked = None if run is None else check_run(run)
    return draw(target, args, kwargs, run=checked, tag=tag, chosen=check_chosen(params))


def draw(
    target: Any,
    args: Any,
    kwargs: Any,
    *,
    run: Run | None,
    tag: str | None = None,
    chosen: Chosen = None,
    step: int | None = None,
) -> Graph:
    """Trace a function or model and show its graph; a failure is reported, or warned of if there is no run.

    Args:
        target: as of `graph`.
        args: likewise.
        kwargs: likewise.
        run: where to show it, if anywhere.
        tag: of a further graph.
        chosen: which arguments are parameters.
        step: of the training, from which the arguments are.
    """
    recorder = Recorder()
    failure = _record(target, args, kwargs, chosen, recorder)
    traced = recorder.finish("jax", step)
    if run is None and failure:
        warnings.warn(failure, stacklevel=3)
    elif run is not None and failure:
        run.report("graph", failure)
    if run is not None and traced.nodes:
        run.graph(traced, tag=tag)
    return traced


def _record(target: Any, args: Any, kwargs: Any, chosen: Chosen, recorder: Recorder) -> str:
    """Record the nodes of a target as far as it comes; return what went wrong, '' if nothing did."""
    try:
        program = program_of(target, args, kwargs, chosen)
        closed, failure = _jaxpr(program, recorder)
        walk(closed, recorder, program.arguments, outputs=program.results)
    except Exception as error:  # noqa: BLE001  # of the user's arguments, of JAX or of ours: a graph is worth no training
        failure = _told(error)
    if failure:
        recorder.note(failure)
    return failure


def _jaxpr(program: Program, recorder: Recorder) -> tuple[Any, str]:
    """Trace a program, without the paths of modules or without any scopes if that fails, and at last as far as it comes."""
    for marks in (True, False):
        with contextlib.suppress(Exception):
            return jax.make_jaxpr(functools.partial(program.call, _scopes(marks=marks)))(*program.arrays), ""
    try:
        closed = jax.make_jaxpr(functools.partial(program.call, lambda _: contextlib.nullcontext()))(*program.arrays)
    except Exception as error:  # noqa: BLE001  # of the user's function
        return jax.make_jaxpr(functools.partial(_as_far_as_it_comes, program))(*program.arrays), _told(error)
    recorder.note("The modules could not be followed while the function was traced; only functions have names.")
    return closed, ""


def _scopes(*, marks: bool) -> Any:
    return functools.partial(module_scopes, marks=marks)


def _as_far_as_it_comes(program: Program, *arrays: Any) -> list[Any]:
    with contextlib.suppress(Exception):
        return program.call(_scopes(marks=True), *arrays)
    return []


def _told(error: Exception) -> str:
    return f"the graph could not be traced: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
