"""Captures of loops that are written by hand: of a tree of arrays, where and when the caller says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np

from multiboard import tags
from multiboard.arguments import check_flag, check_run, check_written
from multiboard.errors import ArgumentError, MultiboardError
from multiboard.values import Capture
from multiboard_jax.distributed import placement_of
from multiboard_jax.names import FreeNames
from multiboard_jax.paths import places
from multiboard_jax.statistics import Arrival, measure, pack

if TYPE_CHECKING:
    from multiboard.run import Run
    from multiboard_jax.distributed import Placement

_COLLECTIONS: Final = {tags.PARAMS: "params", tags.BUFFERS: "batch_stats"}
"""By group what Flax calls it, as a key of variables and as an attribute of a training state."""
_MOST_SAID: Final = 3
_MOST_KNOWN: Final = 32


def watch_params(
    tree: Any, run: Run | None, step: int, *, group: str = tags.PARAMS, histograms: bool = True, norms: bool = True
) -> None:
    """Write the distributions and norms of a tree of arrays as they are now, for loops without `wrap_train_step`.

    They get the tags of the wrapped step: `params/<layer>/<role>`, `norm/params/...`. One compiled program measures all of the
    tree, behind what is being computed already; nothing is waited for, and the next call may be given the arrays to donate. The
    first call with arrays of these shapes compiles.

    Args:
        tree: parameters, gradients or others: nested dicts, lists and dataclasses, an `nnx.State`, a module that is a pytree.
            Of an NNX module its parameters are taken, of the variables of a Linen module and of a `TrainState` the `params`
            (with group 'buffers' the batch statistics). Leaves that are no arrays of numbers are left out, which is said once.
        run: the run to write to; process 0 writes. None measures and writes nothing. Where arrays are spread over several
            processes, each of them calls this at the same steps.
        step: global step: of the next update for parameters, of the update that they belong to for gradients.
        group: the first part of the tags: 'params', 'grads', 'updates', 'optimizer_state' or 'buffers'.
        histograms: False writes norms only.
        norms: False writes no norms.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, multiboard as mb
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     watch_params({"dense": {"kernel": jax.numpy.ones((2, 3))}}, run, 0)
    """
    writing = None if run is None else check_run(run)
    _check(group, histograms=histograms, norms=norms)
    leaves, rows = _found(_part(tree, group), group)
    if rows.complaint and writing is not None:
        _say(writing, group, rows.complaint)
    if not rows.tags:
        return
    try:
        arrays = [_kept(leaves[i]) for i in rows.positions]
        packed = _measure(arrays, placement_of(arrays))
        if writing is not None and jax.process_index() == 0:
            capture = Capture(rows.tags, Arrival(packed), step, time(), rows.descriptions)
            writing.capture(capture._replace(histograms=histograms, norms=norms))
    except MultiboardError:
        raise  # a mistake of the caller in the first step of the run, as in `run.log`
    except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
        kind = type(error).__name__
        if writing is not None:
            writing.report(f"capture {kind}", f"{group} of step {step} were left out: {kind}: {error}")


@partial(jax.jit, static_argnums=1)
def _measure(arrays: list[jax.Array], placement: Placement | None) -> jax.Array:
    return pack(measure(arrays, placement))


def _check(group: object, *, histograms: object, norms: object) -> None:
    if group not in tags.GROUPS:
        raise ArgumentError("group", group, f"use any of {', '.join(map(repr, tags.GROUPS))}")
    check_flag("histograms", histograms)
    check_flag("norms", norms)
    check_written(histograms=histograms, norms=norms)


class _Rows(NamedTuple):
    """What is measured of a tree.

    Attributes:
        tags: of the arrays.
        positions: of the arrays among the leaves.
        descriptions: by tag.
        complaint: what is said about the other leaves, or about a tree without any.
    """

    tags: tuple[str, ...]
    positions: tuple[int, ...]
    descriptions: Mapping[str, str]
    complaint: str


def _found(part: Any, group: str) -> tuple[list[Any], _Rows]:
    """Return the leaves of a tree, and what is measured of them; known for trees that were there before."""
    leaves, structure = jax.tree.flatten(part)
    key = group, structure, tuple((type(leaf), getattr(leaf, "dtype", None)) for leaf in leaves)
    try:
        rows = _known.get(key)
    except TypeError:  # static parts of a tree that have no hash
        return leaves, _rows(part, leaves, group)
    if rows is None:
        rows = _rows(part, leaves, group)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = rows
    return leaves, rows


_known: Final[dict[Any, _Rows]] = {}


def _rows(part: Any, leaves: list[Any], group: str) -> _Rows:
    found: dict[str, tuple[int, str]] = {}
    others, names = [], FreeNames()
    for i, (leaf, place) in enumerate(zip(leaves, places(part), strict=True)):
        if isinstance(leaf, jax.core.Tracer):
            raise ArgumentError("tree", leaf, "call it outside of jit, where arrays have values; inside use mbj.tag_tree")
        if _has_numbers(leaf):
            found[names.take(f"{group}/{place.layer}")] = i, tags.description(place.native, place.layer_class)
        else:
            others.append(f"{place.native} ({getattr(leaf, 'dtype', type(leaf).__name__)})")
    complaint = ""
    if others:
        complaint = f"{len(others)} leaves of the tree are no arrays of numbers and are left out: {_listed(others)}"
    elif not found:
        complaint = f"the tree for {group!r} is empty, a {type(part).__name__}: pass the one that holds the arrays"
    positions, descriptions = zip(*found.values(), strict=True) if found else ((), ())
    return _Rows(tuple(found), positions, dict(zip(found, descriptions, strict=True)), complaint)


def _kept(array: Any) -> Any:
    # A compiled program on a CPU reads the caller's own NumPy array, some time after the call.
    return array.copy() if isinstance(array, np.ndarray) else array


def _has_numbers(leaf: Any) -> bool:
    if not isinstance(leaf, (jax.Array, np.ndarray)):
        return False
    return bool(jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == np.bool_)


def _part(tree: Any, group: str) -> Any:
    """Return the part of a tree that a group means."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(tree, nnx.Module):
        kinds = {tags.PARAMS: nnx.Param, tags.BUFFERS: nnx.BatchStat}
        return nnx.state(tree, kinds[group]) if group in kinds else nnx.state(tree)
    collection = _COLLECTIONS.get(group, "")
    if isinstance(tree, Mapping):
        is_state = nnx is not None and isinstance(tree, nnx.State)
        return tree[collection] if collection in tree and not is_state else tree
    is_training_state = hasattr(tree, "params") and hasattr(tree, "opt_state")
    return getattr(tree, collection, tree) if is_training_state else tree


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_SAID]) + (", ..." if len(names) > _MOST_SAID else "")


_said: Final[WeakKeyDictionary[Run, set[str]]] = WeakKeyDictionary()
"""What a run has been told: the same call comes again and again, and is not wrong each time."""


def _say(run: Run, group: str, message: str) -> None:
    said = _said.setdefault(run, set())
    if message not in said:
        said.add(message)
        run.report(f"watch_params {group}", message)
