"""All adapters there are: those of multiboard, and those of other packages by entry point; and the one for a model."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from multiboard import arrays
from multiboard.adapter import AdapterInfo
from multiboard.arguments import check_run
from multiboard.entry_points import declared
from multiboard.errors import ArgumentError, MultiboardWarning
from multiboard.facts import frameworks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

    from multiboard.adapter import Adapter, Handle
    from multiboard.run import Run

GROUP: Final = "multiboard.adapters"


def adapters() -> dict[str, AdapterInfo]:
    """Return all adapters by name: those of multiboard, and those of other installed packages, which are imported for it."""
    found = {one.name: _info(one, "multiboard") for one in _BUILT_IN}
    for name, entry_point in declared(GROUP).items():
        package = entry_point.dist.name if entry_point.dist else ""
        adapter = _loaded(name, entry_point)
        if isinstance(adapter, str):
            found.setdefault(name, AdapterInfo(name, package, "", installed=False, loaded=False, problem=adapter))
        else:
            found.setdefault(adapter.name, _info(adapter, package))
    return found


def watch(model: Any, optimizer: Any = None, run: Run | None = None, **options: Any) -> Handle:
    """Write parameters, gradients and updates of a model of any framework, with the adapter that recognizes it.

    Args:
        model: e.g. a `torch.nn.Module`, or a model of a framework whose adapter another package provides.
        optimizer: that updates it.
        run: to write to.
        options: of the adapter, e.g. `every=100`; see `multiboard.torch.watch`.

    Returns:
        A handle that counts the steps and takes the hooks off again.

    Raises:
        ArgumentError: no adapter recognizes the model, or its framework calls multiboard by itself; the error says how.
    """
    if run is not None:
        check_run(run)
    for adapter in _in_use():
        if _recognizes(adapter, model):
            if not isinstance(adapter, _BuiltIn):
                frameworks.add(adapter.module)
            handle: Handle = adapter.watch(model, optimizer, run, **options)
            return handle
    known = ", ".join(f"{info.name} ({_state(info)})" for info in adapters().values())
    raise ArgumentError("model", model, f"no adapter recognizes it; there are {known}")


class _BuiltIn:
    """An adapter of multiboard's own, which is imported when it is used.

    Args:
        name: of the framework.
        module: of the framework.
        classes: of its models, each with the module that has it.
        line: what a user writes where the framework calls multiboard; '' if the adapter has a `watch`.
    """

    def __init__(self, name: str, module: str, classes: tuple[tuple[str, str], ...], line: str = "") -> None:
        self.name, self.module = name, module
        self._classes, self._line = classes, line

    @property
    def in_use(self) -> bool:
        """Whether the program has imported what has its models."""
        return any(module in sys.modules for module, _ in self._classes)

    def recognizes(self, model: object) -> bool:
        """See `Adapter`."""
        known = (getattr(sys.modules.get(module), name, None) for module, name in self._classes)
        return isinstance(model, tuple(cls for cls in known if isinstance(cls, type)))

    def watch(self, model: Any, optimizer: Any, run: Run | None, **options: Any) -> Handle:
        """See `Adapter`."""
        if self._line:
            raise ArgumentError("model", model, f"what {self.name} trains is watched from inside: {self._line}")
        handle: Handle = import_module(f"multiboard.{self.name}").watch(model, optimizer, run, **options)
        return handle


_BUILT_IN: Final = (
    _BuiltIn(
        "lightning",
        "lightning",
        (("lightning.pytorch", "Trainer"), ("pytorch_lightning", "Trainer")),
        "Trainer(logger=multiboard.lightning.Logger(...), callbacks=[multiboard.lightning.Watch()])",
    ),
    _BuiltIn(
        "transformers",
        "transformers",
        (("transformers.trainer", "Trainer"),),
        "Trainer(..., callbacks=[multiboard.transformers.Callback(run=run)])",
    ),
    _BuiltIn("keras", "keras", (("keras", "Model"),), "model.fit(..., callbacks=[multiboard.keras.TensorBoard(run=run)])"),
    _BuiltIn("torch", "torch", (("torch.nn", "Module"),)),
    _BuiltIn(
        "jax",
        "jax",
        (
            ("flax.nnx", "Module"),
            ("flax.linen", "Module"),
            ("flax.training.train_state", "TrainState"),
            ("equinox", "Module"),
            ("jax", "Array"),
        ),
        "step = multiboard.jax.wrap_train_step(train_step, run)",
    ),
)
"""In this order: a model of Keras may be one of PyTorch, too."""

_problems: Final[dict[str, str]] = {}
"""By name: adapters that cannot be used, and why; each is said once."""


def _in_use() -> Iterator[Adapter]:
    """Yield the adapters of frameworks that the program has imported, first those of other packages, which are special."""
    for name, entry_point in declared(GROUP).items():
        adapter = _loaded(name, entry_point)
        if not isinstance(adapter, str) and adapter.module in sys.modules:
            yield adapter
    yield from (one for one in _BUILT_IN if one.in_use)


def _loaded(name: str, entry_point: EntryPoint) -> Any:
    """Return an adapter of another package, or why it cannot be used."""
    if name in _problems:
        return _problems[name]
    try:
        adapter = entry_point.load()
        adapter = adapter() if isinstance(adapter, type) else adapter
        _check(adapter)
        _take_arrays(adapter)
    except Exception as error:  # noqa: BLE001  # whatever a foreign package does when it is imported
        return _complain(name, f"{type(error).__name__}: {error}")
    return adapter


def _check(adapter: Any) -> None:
    missing = [name for name in ("name", "module") if not isinstance(getattr(adapter, name, None), str)]
    methods = ("recognizes", "watch", "to_host") if hasattr(adapter, "array_types") else ("recognizes", "watch")
    missing += [name for name in methods if not callable(getattr(adapter, name, None))]
    if missing:
        raise TypeError(f"it lacks {', '.join(missing)}, see multiboard.adapter.Adapter")


def _complain(name: str, problem: str) -> str:
    _problems[name] = problem
    warnings.warn(f"the adapter {name!r} cannot be used: {problem}", MultiboardWarning, stacklevel=4)
    return problem


def _recognizes(adapter: Any, model: object) -> bool:
    try:
        return bool(adapter.recognizes(model))
    except Exception as error:  # noqa: BLE001  # it is foreign
        if adapter.name not in _problems:
            _complain(adapter.name, f"recognizes() raised {type(error).__name__}: {error}")
        return False


def _take_arrays(adapter: Any) -> None:
    for cls in getattr(adapter, "array_types", ()):
        arrays.hosts[cls] = adapter.to_host


def _info(adapter: Any, package: str) -> AdapterInfo:
    module = adapter.module
    return AdapterInfo(
        adapter.name, package, module, _is_installed(module), module in sys.modules, _problems.get(adapter.name, "")
    )


def _is_installed(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module.partition(".")[0]) is not None
    except ValueError:  # a module without a spec, e.g. one that a program has put there
        return True


def _state(info: AdapterInfo) -> str:
    if info.problem:
        return "broken"
    return "in use" if info.loaded else "not imported" if info.installed else "not installed"
