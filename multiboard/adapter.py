"""What an adapter of a framework provides; `adapter_registry` finds the one for a model.

A package makes one for a framework that multiboard does not know, and registers it by an entry point. `mb.watch` imports all of
them, also for a model of another framework: what takes long to import belongs into the methods.

    [project.entry-points."multiboard.adapters"]
    my_framework = "my_package.multiboard_adapter:ADAPTER"

`ADAPTER` is an object, or a class without arguments, that has what `Adapter` says. It writes with the methods of a `Run`:
numbers with `log`, host arrays with `multiboard.host_captures.capture_arrays`, what it has counted on a device with
`Run.capture`, and the table of the layers with `Run.describe_layers`. Tags are made with `multiboard.tags`, so that they are
those of all frameworks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from multiboard.run import Run


class Handle(Protocol):
    """What `watch` returns.

    Attributes:
        step: the global step of the next update.
    """

    step: int

    def pause(self) -> None:
        """Capture nothing until `resume`; steps are counted on."""
        ...

    def resume(self) -> None:
        """Capture again."""
        ...

    def log_now(self) -> None:
        """Capture the next update, whatever the interval says."""
        ...

    def remove(self) -> None:
        """Take all hooks off; a second call does nothing. What was captured is still written."""
        ...


class Adapter(Protocol):
    """What connects a framework to multiboard.

    Two attributes are optional: `array_types`, a tuple of classes of the framework's arrays, and `to_host(array)`, which returns
    one as a NumPy array. With them `run.log`, `run.histogram` and the others take such arrays; `to_host` is called on the thread
    that logs, at once.

    Attributes:
        name: of the framework, one word, as it is shown.
        module: the module that is in `sys.modules` when the framework is in use. Before, the adapter is asked nothing.
    """

    name: str
    module: str

    def recognizes(self, model: object) -> bool:
        """Tell whether a model is of this framework; raises nothing, computes nothing."""
        ...

    def watch(self, model: Any, optimizer: Any, run: Run | None, **options: Any) -> Handle:
        """Write parameters, gradients and updates of a model from now on, see `multiboard.torch.watch`.

        Step n is the n-th update, from 0. The training must not change, and nothing may raise into it: what goes wrong later is
        told to `run.report`.

        Args:
            model: one that is recognized.
            optimizer: whatever updates it; None if the framework needs none.
            run: to write to; None on processes that write nothing.
            options: of the adapter; `every` is the number of updates from one capture to the next.

        Raises:
            ArgumentError: an argument is not one of the possible ones.
        """
        ...


class AdapterInfo(NamedTuple):
    """What is known of one adapter.

    Attributes:
        name: of the framework.
        package: the installed distribution that provides it.
        module: the module of the framework; '' if that is not known.
        installed: whether the framework is.
        loaded: whether the program has imported it.
        problem: why the adapter cannot be used, '' if it can.
    """

    name: str
    package: str
    module: str
    installed: bool
    loaded: bool
    problem: str = ""
