"""The observer: what it listens to while a model runs, and what it makes of it.

Nothing that it does changes what a model computes: it looks at tensors after each operator and keeps none. What goes wrong in it
becomes a note of the graph.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Self

from multiboard.graph.ir import OPTIMIZER
from multiboard_torch._compat import bare, initialises
from multiboard_torch.layers import class_name
from multiboard_torch.tracing.backward import Backward
from multiboard_torch.tracing.calls import ModuleCalls
from multiboard_torch.tracing.listening import Listening
from multiboard_torch.tracing.modules import unwrapped
from multiboard_torch.tracing.operations import Operations
from multiboard_torch.tracing.producers import Producers
from multiboard_torch.tracing.scopes import Scopes
from multiboard_torch.tracing.weights import layer_of, weight_in, weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from torch import Tensor, nn

    from multiboard.graph.ir import Scope
    from multiboard.graph.recorder import Recorder, Weight

_NAMED: Final = 5
"""Unused parameters that a note names."""
_LOOK_AROUND: Final = 256
"""Operators from one look whether the observed call still runs to the next."""


class Observer:
    """Records what runs inside a `with` block of this thread, and in the backward passes that it starts.

    Args:
        recorder: takes the nodes.
        modules: whether modules of PyTorch get frames; otherwise push frames to `scope` and name weights with `know`.
        timing: whether the time of operators on a CPU is taken. No device is waited for.

    Attributes:
        scope: the stack of frames, to `push` and `pop`.
        ended: called with the result when an outermost module has returned or raised, which returns None.
        is_abandoned: tells whether what is observed is over although nobody said so.
        abandon: called when that is seen.
    """

    def __init__(self, recorder: Recorder, *, modules: bool = True, timing: bool = False) -> None:
        self.recorder = recorder
        self.scope = Scopes(recorder)
        self.ended: Callable[[Any], None] | None = None
        self.is_abandoned: Callable[[], bool] | None = None
        self.abandon: Callable[[], None] | None = None
        self._operations = Operations(recorder, self._weight_of_layer)
        self._backward = Backward(recorder, self._scope_of_weight)
        self._calls = ModuleCalls(recorder, self.scope, self._backward)
        self._modules, self._timing = modules, timing
        self._thread = self._seen = 0
        self._over = False
        self._lazy: nn.Module | None = None
        self._weights: dict[Any, Weight] = {}
        self._learnt: set[int] = set()
        self._optimizing: list[int] = []
        self._listening = Listening()

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        heard = self._listening
        if self._modules:
            self._attempt("modules are not shown", lambda: heard.begin_modules(self))
            self._attempt("optimizers are not shown", lambda: heard.begin_optimizers(self._before_step, self._after_step))
        self._attempt("compiled functions are not shown", lambda: heard.begin_compiler(self._record_compiled))
        self._attempt("operators are not shown", lambda: heard.begin_operators(self._record, timing=self._timing))
        self._attempt("functions are not shown", lambda: heard.begin_functions(self.scope))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._attempt("something was left behind", self._listening.end)

    # ------------------------------------------------------------------ what a caller tells

    def know(self, tensor: Tensor, weight: Weight) -> None:
        """Draw a tensor as a parameter or buffer wherever it is used."""
        self._weights[weight.key] = weight
        self._operations.producers.know(bare(tensor), weight)

    def learn(self, model: nn.Module) -> None:
        """Take the names of the modules and weights of a model, before it runs."""
        self._attempt("names are not known", lambda: self._learn(unwrapped(model)))

    def take_inputs(self, tree: Any) -> None:
        """Record the tensors in nested containers as inputs, named by their place, e.g. `{'batch': {'image': tensor}}`."""
        if self._hears():
            self._attempt("inputs are not shown", lambda: self._operations.take_inputs(tree))

    def take_outputs(self, tree: Any) -> None:
        """Record the tensors in nested containers as outputs, named by their place; a single one is 'output'."""
        self._attempt("outputs are not shown", lambda: self._operations.take_outputs(tree))

    def take_unused(self, model: nn.Module) -> None:
        """Record the parameters of a model that nothing has used, so that its totals are complete."""
        self._attempt("unused parameters are not shown", lambda: self._take_unused(model))

    def let_go(self) -> None:
        """Keep nothing of the model, when all is recorded: what refers to itself stays until the garbage collector comes."""
        self._over, self._lazy = True, None
        self._operations.producers = Producers()
        self._calls = ModuleCalls(self.recorder, self.scope, self._backward)

    def begin(self, module: nn.Module) -> None:
        """Enter a module whose own hook is too late, because it runs already."""
        self._attempt("a module is not shown", lambda: self._begin(module))

    def _learn(self, model: nn.Module) -> None:
        if id(model) not in self._learnt:
            self._learnt.add(id(model))
            self._calls.learn(model)
            for tensor, weight in weights(model):
                self.know(tensor, weight)

    # ------------------------------------------------------------------ listening

    def _record(self, function: Any, args: Sequence[Any], kwargs: Any, out: Any, microseconds: float) -> None:
        try:
            self._seen += 1
            if self._over or (self._seen % _LOOK_AROUND == 0 and self._is_over()):
                return
            if self._lazy is not None and initialises(self._lazy):
                return
            self._operations.record(function, args, kwargs, out, self._scope(), microseconds)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the training
            self._note(f"{function} is not shown", error)

    def _record_compiled(self, name: str, args: Any, result: Any) -> None:
        self._attempt(f"{name} is not shown", lambda: self._operations.record_call(name, args, result, (), self._scope()))

    def _scope(self) -> Scope:
        depth = self.scope.depth
        base = self._backward.depth(depth)
        scope = self.scope.now if base is None or depth > base else self._backward.scope()
        self._backward.remember(scope)
        return scope

    def _is_over(self) -> bool:
        """Tell whether what is observed has ended without a word; a mode cannot be left while it listens."""
        if self.is_abandoned is not None and self.is_here():
            self._over = self._over or self.is_abandoned()
        return self._over

    def before_module(self, module: nn.Module) -> None:
        """Push the frames of a module that is called."""
        if not self._hears():
            return
        if self._is_over() and self.abandon is not None:
            self._attempt("the end is not known", self.abandon)
        else:
            self._attempt("a module is not shown", lambda: self._begin(module))

    def after_module(self, module: nn.Module, args: Any, result: Any) -> None:
        """Leave the frames of a module that returned, or raised, which is a result of None."""
        if self._hears():
            if not self._listening.to_operators and self._calls.is_leaf(module):
                own = list(module.parameters(recurse=False))
                self._attempt(
                    "a layer is not shown",
                    lambda: self._operations.record_call(class_name(module), args, result, own, self.scope.now),
                )
            self._attempt("the end of a module is not known", lambda: self._end(module, result))

    def is_here(self) -> bool:
        """Tell whether this is the thread that is observed."""
        return threading.get_ident() == self._thread

    def _hears(self) -> bool:
        """Tell whether a module runs in the thread that is observed, or in a backward pass that it started."""
        return self.is_here() or self._backward.has_begun()

    def _begin(self, module: nn.Module) -> None:
        self._lazy = module if initialises(module) else self._lazy
        new = self._calls.begin(module)
        if new is not None:
            self._learn(new)
        self._listening.suspend_functions(module)

    def _end(self, module: nn.Module, result: Any) -> None:
        self._listening.resume_functions(module)
        known = self._calls.end(module)
        if known and not self._calls.running and self.ended is not None:
            self.ended(result)

    def _before_step(self, *_: Any) -> None:
        if self.is_here():
            self._attempt("an optimizer is not shown", self._begin_step)

    def _begin_step(self) -> None:
        self._optimizing.append(self.scope.depth)
        self.scope.enter((self.recorder.frame("region", OPTIMIZER),))

    def _after_step(self, *_: Any) -> None:
        if self.is_here() and self._optimizing:
            self.scope.cut(self._optimizing.pop())

    # ------------------------------------------------------------------ weights

    def _weight_of_layer(self, tensor: Tensor) -> Weight | None:
        """Return the weight of the running layer that a tensor is: of a lazy or a sharded layer, which has it only now."""
        innermost = self._calls.innermost
        if innermost is None:
            return None
        model, module, layer = innermost
        for name, own in (*module._parameters.items(), *module._buffers.items()):  # noqa: SLF001  # without a copy per operator
            if own is tensor or (own is not None and bare(own) is tensor):
                native = f"{layer}.{name}" if layer else name
                weight = self._weights.get((id(model), native)) or weight_in(model, module, layer, name, tensor)
                if weight is not None:
                    self.know(tensor, weight)
                return weight
        return None

    def _scope_of_weight(self, tensor: Tensor) -> Scope | None:
        weight = self._operations.producers.weight(tensor)
        return None if weight is None else self._operations.scope_of(weight)

    def _take_unused(self, model: nn.Module) -> None:
        self._learn(model)
        own = [weight for key, weight in self._weights.items() if key == (id(model), weight.native)]
        missing = [weight for weight in own if weight.trainable and not self._operations.is_used(weight)]
        for weight in missing:
            self._operations.use(weight, self._calls.own_scope(model, layer_of(weight.native)))
        if missing:
            names = ", ".join(weight.native for weight in missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
            self.recorder.note(f"{len(missing)} parameters were not used: {names}.")

    # ------------------------------------------------------------------ failures

    def _attempt(self, what: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the training
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        self.recorder.note(f"{what[:1].upper()}{what[1:]}: {type(error).__name__}: {error!s:.200}")
