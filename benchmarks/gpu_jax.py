"""What the JAX adapter does on an accelerator: no synchronisation, plain steps untouched, the same losses, exact counts."""

from __future__ import annotations

import re
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_jax_loops import EVERYTHING, Setting, Training, losses_of, wrapping
from gpu_rows import Row, cases, difference, guarded, one_line

import multiboard as mb
import multiboard.jax as mbj

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

TO_HOST = re.compile(r'\b(?:infeed|outfeed|send|recv)(?:-done)?\(|custom_call_target="[^"]*callback[^"]*"')
"""In the text of a compiled program: what talks to the host while it runs."""
STEPS = 6
FLUSHED = 2.0**-63
DTYPES = ("float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")


def check_syncs(setting: Setting) -> Iterator[Row]:
    """Look for calls of the host in the compiled variants of a step, and for transfers of the training thread."""
    small = Setting(setting.device, small=True)
    yield from guarded("JAX, programs", partial(_compare_programs, small))
    yield from guarded("JAX, transfers", partial(_watch_transfers, small))


def _compare_programs(setting: Setting) -> Iterator[Row]:
    training, untouched = Training(setting), Training(setting, tapped=False)
    with wrapping(training, EVERYTHING) as wrapped:
        wrapped.measured(*training.start(), training.words)
        arguments = (*training.start(), training.words)
        plain, (measured,) = wrapped.step._variants.plain, wrapped.step._measured.values()  # noqa: SLF001  # what it runs, no copy of it
        same = _jaxpr(plain, arguments) == _jaxpr(untouched.step, arguments)
        yield Row("JAX, jaxpr of a step between captures", "that of the bare step" if same else "another one", same)
        for name, variant in (("plain", plain), ("measured, everything", measured)):
            found = _calls_of_host(variant, arguments)
            yield Row(f"JAX, calls of the host in the compiled step, {name}", "; ".join(found) or "none", not found)
    control = _calls_of_host(jax.jit(_with_callback), (jnp.ones(3),))
    yield Row("JAX, calls of the host in a step with jax.debug.callback, for comparison", "; ".join(control), bool(control))


def _jaxpr(step: Callable[..., Any], arguments: Any) -> str:
    return re.sub("0x[0-9a-f]+", "", str(jax.make_jaxpr(step)(*arguments)))


def _calls_of_host(step: Any, arguments: Any) -> list[str]:
    return sorted(set(TO_HOST.findall(step.lower(*arguments).compile().as_text())))


def _with_callback(x: jax.Array) -> jax.Array:
    jax.debug.callback(lambda _: None, x)
    return x


def _watch_transfers(setting: Setting) -> Iterator[Row]:
    """Train where a transfer to the host that nobody asked for is an error of the thread that makes it."""
    title = f"JAX, transfers to the host by the training thread in {STEPS} steps"
    if setting.on_host:
        yield Row(title, "left out: only an accelerator has them")
        return
    training = Training(setting)
    with wrapping(training, EVERYTHING, every=2) as wrapped, jax.transfer_guard_device_to_host("disallow"):
        state = training.start()
        for number in range(STEPS):
            *state, metrics = wrapped.step(*state, training.words)
            wrapped.run.log({"train/loss_again": metrics["loss"]}, number)
        yield Row(title, "; ".join(wrapped.errors[:3]) or "none", not wrapped.errors)
        try:
            float(metrics["loss"])
        except Exception as error:  # noqa: BLE001  # the guard works
            yield Row("JAX, a transfer to the host, for comparison", one_line(error), good=True)
        else:
            yield Row("JAX, a transfer to the host, for comparison", "not noticed", good=False)


def check_bits(setting: Setting) -> Iterator[Row]:
    """Compare the losses with and without, bit by bit."""
    small = Setting(setting.device, small=True)
    for dtype in (jnp.float32, jnp.bfloat16):
        title = f"JAX, losses of {STEPS} steps with every other measured, small GPT-2, {jnp.dtype(dtype).name}"
        yield from guarded(title, partial(_compare_losses, small, dtype, title))


def _compare_losses(setting: Setting, dtype: Any, title: str) -> Iterator[Row]:
    training = Training(setting, dtype=dtype)
    plain = losses_of(training, training.step, STEPS)
    if losses_of(training, training.step, STEPS) != plain:
        yield Row(title, "left out: the bare loop itself gives others each time")
        return
    with wrapping(training, EVERYTHING, every=2) as wrapped:
        logged = losses_of(training, wrapped.step, STEPS)
    yield Row(title, *same_losses(plain, logged))


def same_losses(plain: list[float], logged: list[float]) -> tuple[str, bool]:
    """Return how two lists of losses compare, and whether they are the same and worth comparing."""
    if len(set(plain)) < len(plain) // 2:
        return f"the loss does not change: {plain}", False
    if logged == plain:
        return "the same bits", True
    first = next(number for number, (a, b) in enumerate(zip(plain, logged, strict=True)) if a != b)
    return f"differ from step {first} on: {plain[first]!r}, {logged[first]!r}", False


def check_counts(setting: Setting) -> Iterator[Row]:
    """Compare the histograms of arrays on the device with what the core counts on the host."""
    for name in DTYPES:
        many = 20 if setting.small else 1000 if name == "float32" else 50
        with np.errstate(over="ignore", invalid="ignore"):
            arrays = [array.astype(jnp.dtype(name)) for array in cases(setting.small, many)]
        values = sum(array.size for array in arrays)
        title = f"JAX, counts equal to those of the host, {name}: {len(arrays)} tensors, {values:,} values"
        yield from guarded(title, partial(_compare_counts, arrays, title))


def _compare_counts(arrays: list[npt.NDArray[Any]], title: str) -> Iterator[Row]:
    tags = [f"params/case{number}" for number in range(len(arrays))]

    def step(tensors: list[jax.Array]) -> list[jax.Array]:
        return [mbj.tag(tag, tensor) for tag, tensor in zip(tags, tensors, strict=True)]

    with tempfile.TemporaryDirectory() as directory:
        with mb.Run(directory, facts=False) as run:
            mbj.wrap_train_step(step, run, every=1, metrics=False)([jnp.asarray(array) for array in arrays])
        written = mb.read(directory)["."]
    pairs = zip(tags, arrays, strict=True)
    wrong = [tag for tag, array in pairs if difference(written, tag, array.astype(np.float32), FLUSHED)]
    yield Row(title, f"{len(wrong)} differ {wrong[:3]}" if wrong else "all", not wrong)
