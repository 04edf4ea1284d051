"""The handle of a graph that is recorded: it waits for a call of its model, observes that, writes the graph and lets go."""

from __future__ import annotations

import itertools
import sys
import threading
import warnings
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from multiboard.errors import MultiboardWarning
from multiboard.graph.recorder import Recorder
from multiboard_torch._compat import is_compiled_in_place, is_exporting, is_tracing, runs_while_compiling
from multiboard_torch.clipping import watches
from multiboard_torch.tracing.example import Call, without_processes
from multiboard_torch.tracing.modules import unwrapped
from multiboard_torch.tracing.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from multiboard.graph.ir import Graph
    from multiboard.run import Run

_CAUSE: Final = "graph of a model"
_COMPILED: Final = (
    "the model is called by compiled code, which shows no layers; pass the compiled model instead, "
    "or observe a block: with multiboard.torch.graph(model, run, backward=True)."
)
_CALL: Final = "_call_impl"
"""The function of PyTorch that runs the hooks of a module and the module."""


class Recording:
    """Observes the next call of a model, or all that runs in its `with` block.

    Args:
        model: the outermost object that is called.
        run: to write the graph to; None only keeps it.
        tag: of a further graph of the run.
        timing: whether the time of operators on a CPU is taken.
        fake: whether the call is observed without values, before it runs as usual.
        block: whether everything in the `with` block is observed, and not one call.

    Attributes:
        graph: what was observed; None until then.
    """

    def __init__(
        self, model: nn.Module, run: Run | None, *, tag: str | None, timing: bool, fake: bool = False, block: bool = False
    ) -> None:
        self.graph: Graph | None = None
        self._model: nn.Module | None = model
        self._name, self._run, self._tag = type(model).__name__, run, tag
        self._timing, self._fake, self._block = timing, fake, block
        self._hook: RemovableHandle | None = None
        self._claim = threading.Lock()
        self._observer: Observer | None = None
        self._frame: FrameType | None = None
        self._raised: BaseException | None = None
        self._said = False
        self._number = next(_NUMBERS)
        _RECORDINGS[self._number] = self

    def arm(self) -> None:
        """Wait for the next call of the model."""
        if self._model is not None:
            register = self._model.register_forward_pre_hook
            if not self._block and is_compiled_in_place(self._model):
                self.say_compiled()
            hook = partial(_before_call, self, self._number)
            self._attempt(lambda: setattr(self, "_hook", register(hook, with_kwargs=True)))

    def remove(self) -> None:
        """Take all hooks off; a second call does nothing. What is being observed is written as far as it came.

        A call that is observed in another thread is observed to its end: nobody else can leave what was entered there.
        """
        self._disarm()
        if self._observer is not None and self._observer.is_here():
            self._finish("It was removed before the end.")

    def __enter__(self) -> Self:
        if self._block and self.graph is None:
            self._attempt(self._begin_block)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._disarm()
        self._finish(*_where(error))

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be None in a copy of what holds this handle, e.g. of a model: nothing observes the copy."""
        return type(None), ()

    def __repr__(self) -> str:
        state = "nothing observed yet" if self.graph is None else f"{len(self.graph.nodes)} nodes"
        return f"Recording({self._name}, {state})"

    def run_example(self, call: Call, *, fake: bool | None, backward: bool) -> None:
        """Observe a call that is made for the graph alone; raises nothing.

        Args:
            call: to make.
            fake: True computes shapes only, False values, None values only if shapes do not do.
            backward: also observe the backward pass, which has no values either.
        """
        for fakes in (True, False) if fake is None else (fake,):
            observer = Observer(Recorder(), timing=self._timing and not fakes)
            try:
                call.observe(observer, fake=fakes, backward=backward and fakes)
            except Exception as error:  # noqa: BLE001  # of the model: its graph ends there
                if fakes and fake is None:
                    continue
                self._write(observer, *_where(error))
                self._report(f"the graph of {self._name} is not complete: {type(error).__name__}: {error!s:.200}")
            else:
                self._write(observer, *(["Of shapes only: nothing was computed."] if fakes else []))
            return

    # ------------------------------------------------------------------ one call

    def before_call(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Start to observe a call of the model."""
        if is_tracing() or is_exporting():
            self.say_compiled()
        elif self._block:
            self._attempt(lambda: self._take_inputs(Call(model, args, kwargs)))
        elif self._disarm():
            self._attempt(lambda: self._begin_call(Call(model, args, kwargs)))

    def _begin_call(self, call: Call) -> None:
        if self._fake:
            alone = Call(without_processes(call.model), call.args, call.kwargs)
            self.run_example(alone, fake=True, backward=False)
            return
        self._raised, self._frame = sys.exception(), _frame_of_call()
        self._observer = observer = Observer(Recorder(), timing=self._timing)
        observer.ended, observer.is_abandoned = self._after_call, self._is_abandoned
        observer.abandon = lambda: self._finish("The call was interrupted.")
        observer.learn(call.model)
        try:
            observer.__enter__()
            observer.begin(call.model)
            observer.take_inputs(call.named())
        except Exception:
            observer.__exit__(None, None, None)
            self._observer = self._frame = self._raised = None
            raise

    def _take_inputs(self, call: Call) -> None:
        if self._observer is not None:
            self._observer.take_inputs(call.named())

    def _after_call(self, result: Any) -> None:
        raised = sys.exception()
        if raised is not None and raised is not self._raised:
            self._finish(*_where(raised))
        else:
            if self._observer is not None:
                self._observer.take_outputs(result)
            self._finish()

    def _is_abandoned(self) -> bool:
        """Tell whether the observed call is over, of which no hook told: KeyboardInterrupt calls none."""
        if self._frame is None:
            return False
        frame: FrameType | None = sys._getframe()  # noqa: SLF001  # documented, and what inspect.currentframe calls
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        return frame is None

    # ------------------------------------------------------------------ a block

    def _begin_block(self) -> None:
        if self._model is None:
            return
        self.arm()
        self._observer = Observer(Recorder(), timing=self._timing)
        self._observer.ended = self._observer.take_outputs
        self._observer.learn(self._model)
        self._observer.__enter__()

    # ------------------------------------------------------------------ the end

    def _disarm(self) -> bool:
        """Take the hook off, and tell whether it was there: of several threads that call the model one is observed."""
        with self._claim:
            hook, self._hook = self._hook, None
        if hook is not None:
            hook.remove()
        return hook is not None

    def _finish(self, *notes: str) -> None:
        observer, self._observer, self._frame, self._raised = self._observer, None, None, None
        if observer is not None:
            observer.__exit__(None, None, None)
            self._write(observer, *notes)

    def _write(self, observer: Observer, *notes: str) -> None:
        for note in notes:
            observer.recorder.note(note)
        model, self._model = self._model, None  # the handle, which may be kept, does not keep the model
        if model is not None:
            self._attempt(lambda: self._put(observer, model))
        observer.let_go()

    def _put(self, observer: Observer, model: nn.Module) -> None:
        observer.take_unused(unwrapped(model))
        self.graph = observer.recorder.finish("torch", _step(model))
        if self._run is not None:
            self._run.graph(self.graph, tag=self._tag)

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the training
            self._report(f"no graph of {self._name} was written: {type(error).__name__}: {error!s:.200}")

    def say_compiled(self) -> None:
        """Say once that the call is not observed, because its code is made for other calls."""
        if not self._said:
            self._said = True
            self._report(_COMPILED)

    def _report(self, message: str) -> None:
        if self._run is not None:
            self._run.report(_CAUSE, message)
        else:
            warnings.warn(message, MultiboardWarning, stacklevel=2)


_NUMBERS: Final = itertools.count()
_RECORDINGS: Final[weakref.WeakValueDictionary[int, Recording]] = weakref.WeakValueDictionary()


def _before_call(
    recording: Recording | None, number: int, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    # Not a bound method: a copy of the model, whose recording is None, could not be made.
    if recording is None:
        return
    if torch.compiler.is_compiling():
        _say_compiled(number)
    else:
        recording.before_call(model, args, kwargs)


@runs_while_compiling
def _say_compiled(number: int) -> None:
    # A warning in the compiled code would break its graph, which raises if the user wants only one.
    recording = _RECORDINGS.get(number)
    if recording is not None:
        recording.say_compiled()


def _where(error: BaseException | None) -> tuple[str, ...]:
    return () if error is None else (f"It ends where {type(error).__name__} was raised.",)


def _frame_of_call() -> FrameType | None:
    """Return the frame of the call whose hook runs, None if it is not known."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # documented, and what inspect.currentframe calls
    while frame is not None and frame.f_code.co_name != _CALL:
        frame = frame.f_back
    return frame


def _step(model: nn.Module) -> int | None:
    """Return the step of the watch that trains a model, None if there is none."""
    parameters = {id(parameter) for parameter in model.parameters()}
    return next((watch.step for watch in watches() if watch.holds(parameters)), None)
