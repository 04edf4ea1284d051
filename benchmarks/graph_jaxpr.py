"""What a graph of a training step costs in JAX: a GPT-2-small with AdamW, of which only shapes exist.

python benchmarks/graph_jaxpr.py [--rounds 5]

'trace alone' is `jax.make_jaxpr` of the same step, which is what JAX itself takes to look at it once. 'graph' is all of
`mbj.graph`, the first time in a process and in later ones; 'views' what the writer's thread makes of it. Times are those of the
processor, in seconds, medians of the rounds; what the first round of each took is told apart. Nothing is compiled or computed.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax
from flax import linen

import multiboard.jax as mbj
from multiboard.graph import view

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, HEADS, DEPTH, VOCABULARY, CONTEXT = 768, 12, 12, 50257, 1024
PARAMETERS = 124_439_808


class Block(linen.Module):
    """One layer."""

    @linen.compact
    def __call__(self, x: Any, mask: Any) -> Any:
        """Return activations of the same shape."""
        hidden = linen.LayerNorm(name="ln_1")(x)
        x = x + linen.MultiHeadDotProductAttention(HEADS, name="attn")(hidden, mask=mask)
        hidden = linen.gelu(linen.Dense(4 * WIDTH, name="fc")(linen.LayerNorm(name="ln_2")(x)))
        return x + linen.Dense(WIDTH, name="proj")(hidden)


class Gpt(linen.Module):
    """GPT-2-small, whose output layer is its embedding."""

    @linen.compact
    def __call__(self, tokens: Any) -> Any:
        """Return logits `[B, T, VOCABULARY]` of tokens `[B, T]`."""
        embedding = linen.Embed(VOCABULARY, WIDTH, name="wte")
        x = embedding(tokens) + linen.Embed(CONTEXT, WIDTH, name="wpe")(jnp.arange(tokens.shape[1]))
        mask = linen.make_causal_mask(tokens)
        for i in range(DEPTH):
            x = Block(name=f"h_{i}")(x, mask)
        return embedding.attend(linen.LayerNorm(name="ln_f")(x))


def training(length: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a training step and the shapes of its arguments."""
    model, tx = Gpt(), optax.adamw(1e-3)
    tokens = jax.ShapeDtypeStruct((1, length), "int32")
    params = jax.eval_shape(model.init, jax.random.key(0), tokens)

    def step(params: Any, opt_state: Any, tokens: Any) -> Any:
        def loss_of(params: Any) -> Any:
            logits = model.apply(params, tokens)
            return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:]).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return step, (params, jax.eval_shape(tx.init, params), tokens)


def timed(function: Callable[[], Any], rounds: int) -> tuple[float, float, Any]:
    """Return the seconds of the first call, the median of the others, and what the last returned."""
    times, result = [], None
    for _ in range(rounds + 1):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return times[0], statistics.median(times[1:]), result


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the first one")
    parser.add_argument("--length", type=int, default=128, help="of the sequence")
    options = parser.parse_args()
    step, shapes = training(options.length)
    first, later, graph = timed(lambda: mbj.graph(step, *shapes), options.rounds)
    rows = [("graph", first, later)]
    first, later, _ = timed(lambda: jax.make_jaxpr(functools.partial(step))(*shapes), options.rounds)  # remembers no other
    rows.append(("trace alone", first, later))
    first, later, _ = timed(lambda: [view(graph, name) for name in ("layer", "api")], options.rounds)
    rows.append(("views", first, later))
    counted = sum(node.params for node in graph.nodes)
    print(f"{len(graph.nodes)} nodes, {len(view(graph, 'layer').nodes)} in the layer view, {counted} parameters", end=", ")
    print(f"{sum(node.flops for node in graph.nodes) / 1e9:.1f} GFLOP, notes: {list(graph.notes)}")
    if counted != PARAMETERS:
        raise SystemExit(f"expected {PARAMETERS} parameters")
    print(f"{'':12}{'first, s':>10}{'later, s':>10}")
    for name, first, later in rows:
        print(f"{name:12}{first:10.2f}{later:10.2f}")


if __name__ == "__main__":
    main()
