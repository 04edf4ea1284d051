"""Functions, steps and models as programs of arrays only, which can be traced without computing anything."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax

from multiboard.graph.ir import OUTPUT, TensorSpec
from multiboard.graph.recorder import Weight
from multiboard_jax.capture import WrappedStep
from multiboard_jax.compiled import home_of, unbound
from multiboard_jax.layer_paths import is_linen, is_nnx
from multiboard_jax.paths import array_paths, key_text
from multiboard_jax.reachable import Arguments, is_equinox_module
from multiboard_jax.tracing.arguments import arguments_of, is_array, variable_kind
from multiboard_jax.tracing.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from multiboard_jax.tracing.arguments import Chosen
    from multiboard_jax.tracing.values import Argument


_RNGS: Final = "rngs"
_KEY: Final = TensorSpec((), "key<fry>")


class Program(NamedTuple):
    """What is traced.

    Attributes:
        call: takes a function, which gets the arguments and returns the context in which the user's function is to run, and the
            arrays; returns arrays.
        arrays: shapes and dtypes of those that it takes.
        arguments: what each of them is.
        results: names of what it has returned; filled by the call.
    """

    call: Callable[..., list[Any]]
    arrays: list[Any]
    arguments: list[Argument]
    results: list[str]


class Results(NamedTuple):
    """What a linen module returns, and the collections that it has changed."""

    output: Any
    updates: Mapping[str, Any]


def program_of(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], chosen: Chosen) -> Program:
    """Return the program of a target.

    Args:
        target: a module, or a function, which may be compiled, wrapped or bound to its first arguments.
        args: arrays, or shapes and dtypes, and whatever else it takes.
        kwargs: likewise.
        chosen: which of its arguments are parameters.
    """
    if is_linen(target):
        return _linen(target, args, kwargs, chosen)
    if is_nnx(target) or (is_equinox_module(target) and not home_of(target)):
        return _program(_called, ("model", *_names(target, args)), (target, *args), kwargs, chosen)
    if isinstance(target, WrappedStep):
        target = vars(target)["__wrapped__"]
    bound = unbound(target)
    function: Any = getattr(bound.function, "__wrapped__", bound.function) if home_of(bound.function) else bound.function
    values, keywords = (*bound.args, *args), {**bound.kwargs, **kwargs}
    while isinstance(function, functools.partial):
        function, values, keywords = function.func, (*function.args, *values), {**function.keywords, **keywords}
    return _program(function, Arguments(function, values, {}).names, values, keywords, chosen)


def _linen(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], chosen: Chosen) -> Program:
    """Return the program of a linen module: with its variables in front of the arguments, or of the shapes that it would have."""
    options = {name: kwargs[name] for name in ("method", "mutable", "capture_intermediates") if name in kwargs}
    rngs = kwargs.get("rngs") or {"dropout": jax.random.key(0)}
    keywords = {name: value for name, value in kwargs.items() if name not in {*options, "rngs"}}
    if args and hasattr(args[0], "keys") and "params" in args[0]:
        variables, *inputs = args
    else:
        method = {"method": options["method"]} if "method" in options else {}
        init = {"params": jax.random.key(0), **rngs}
        variables, inputs = jax.eval_shape(lambda *args: model.init(init, *args, **keywords, **method), *args), list(args)
    mutable = options.pop("mutable", [name for name in variables if name != "params"]) or False

    def apply(variables: Any, rngs: Any, *inputs: Any, **keywords: Any) -> Any:
        result = model.apply(variables, *inputs, rngs=rngs, mutable=mutable, **options, **keywords)
        return Results(*result) if mutable else result

    program = _program(apply, ("variables", _RNGS, *_names(model, inputs)), (variables, rngs, *inputs), keywords, chosen)
    return program._replace(arguments=[_key(i, argument) for i, argument in enumerate(program.arguments)])


def _key(number: int, argument: Argument) -> Argument:
    """Return an argument; a random key of linen is a state of what uses it, as it is in NNX."""
    if isinstance(argument, Weight) or not argument[1].startswith(f"{_RNGS}/"):
        return argument
    name = argument[1].removeprefix(f"{_RNGS}/")
    return Weight((_RNGS, number), name, argument[1], name, _KEY, 0, trainable=False)


def _called(model: Any, *args: Any, **kwargs: Any) -> Any:
    return model(*args, **kwargs)


def _names(module: Any, args: Sequence[Any]) -> Sequence[str]:
    """Return the names of the arguments with which a module is called."""
    return Arguments(type(module).__call__.__get__(module), args, {}).names


def _program(
    function: Callable[..., Any], names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], chosen: Chosen
) -> Program:
    objects = Objects((*args, *kwargs.values()), (*names, *kwargs))
    leaves, structure = jax.tree.flatten(objects.others)
    traced = [i for i, leaf in enumerate(leaves) if is_array(leaf)]
    results: list[str] = []

    def call(around: Callable[[Any], AbstractContextManager[None]], *arrays: Any) -> list[Any]:
        inner = list(leaves)
        for i, array in zip(traced, arrays[: len(traced)], strict=True):
            inner[i] = array
        given, made = objects.merged(jax.tree.unflatten(structure, inner), arrays[len(traced) :])
        with around(given):
            result = function(*given[: len(args)], **dict(zip(kwargs, given[len(args) :], strict=True)))
        named = [*_named(result), *objects.changed(made)]
        results[:] = [name for name, _ in named]
        return [array for _, array in named]

    places = [(objects.names[path[0].idx], path, leaf) for path, leaf in array_paths(objects.others) if is_array(leaf)]
    found = [((name, *path[1:]), leaf) for name, path, leaf in places]
    owners = [objects.others[path[0].idx] for _, path, _ in places]
    found += [((name, *path[1:]), leaf) for name, path, leaf in objects.places]
    owners += [objects.state[path[0].key if hasattr(path[0], "key") else path[0].idx] for _, path, _ in objects.places]
    arrays = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for _, leaf in found]
    return Program(call, arrays, arguments_of(found, owners, chosen), results)


def _named(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of a result with their names; those of a collection share one."""
    if isinstance(result, Results):
        yield from _named(result.output)
        yield from ((name, leaf) for name, tree in result.updates.items() for leaf in jax.tree.leaves(tree))
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(result, is_leaf=lambda node: variable_kind(node) is not None):
        arrays = [array for array in jax.tree.leaves(leaf) if is_array(array)]
        yield from (("/".join(map(key_text, path)) or OUTPUT.lower(), array) for array in arrays)
