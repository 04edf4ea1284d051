"""A small GPT, split over all devices, learns to write Python from the source of the standard library.

On accelerators: `python examples/jax_sharded_transformer.py`. On a CPU, as if it were four devices:
`XLA_FLAGS=--xla_force_host_platform_device_count=4 python examples/jax_sharded_transformer.py`.

Every device holds a part of each parameter and of the optimizer's state, and sees a part of the batch (FSDP). Logged by
multiboard: losses, samples of text, distributions of parameters, gradients, updates and activations, step times. Stop it at any
moment, even by `kill -9`, and go on with `--resume`: weights and curves are those of one uninterrupted run.
"""

import argparse
import sys
import sysconfig
from functools import partial
from pathlib import Path
from textwrap import indent

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import multiboard as mb
import multiboard.jax as mbj

# With several steps under way, the collectives of XLA on a CPU can wait for each other for ever.
jax.config.update("jax_cpu_enable_async_dispatch", False)  # of CPUs only
MESH = Mesh(np.array(jax.devices()), ("data",))
BY_EXAMPLE = NamedSharding(MESH, P("data"))
Blocks = getattr(nnx, "List", list)  # before Flax 0.12 a plain list


class Attention(nnx.Module):
    def __init__(self, width, heads, rngs):
        self.heads = heads
        self.qkv, self.out = nnx.Linear(width, 3 * width, rngs=rngs), nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x):  # [N, T, C] -> [N, T, C]
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(*x.shape[:2], 3, self.heads, -1), 2, 0)  # each [N, T, heads, C / heads]
        return self.out(jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape))


class MLP(nnx.Module):
    def __init__(self, width, rngs):
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x):
        return self.down(nnx.gelu(self.up(x)))


class Block(nnx.Module):
    def __init__(self, width, heads, rngs):
        self.norm1, self.attention = nnx.LayerNorm(width, rngs=rngs), Attention(width, heads, rngs)
        self.norm2, self.mlp = nnx.LayerNorm(width, rngs=rngs), MLP(width, rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nnx.Module):
    def __init__(self, layers, width, heads, context, rngs):
        self.tokens, self.positions = nnx.Embed(256, width, rngs=rngs), nnx.Embed(context, width, rngs=rngs)
        self.blocks = Blocks(Block(width, heads, rngs) for _ in range(layers))
        self.norm, self.head = nnx.LayerNorm(width, rngs=rngs), nnx.Linear(width, 256, use_bias=False, rngs=rngs)

    def __call__(self, tokens):  # int32 [N, T] -> logits [N, T, 256]
        x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def load_text():
    """Return two uint8 [bytes]: the modules of the standard library for training, and every tenth of them for validation."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    val = files[9::10]
    train = [file for file in files if file not in val]
    return [np.frombuffer(b"".join(file.read_bytes() for file in part), np.uint8) for part in (train, val)]


def cut(text, starts, context):  # uint8 [bytes], int64 [N] -> int32 [N, context + 1], split over the devices
    return jax.device_put(text[starts[:, None] + np.arange(context + 1)].astype(np.int32), BY_EXAMPLE)


def batches(text, start, stop, size, context):
    """Yield int32 [size, context + 1]; that of a step depends on the step alone, so that a resumed run sees the same ones."""
    for step in range(start, stop):
        yield cut(text, np.random.default_rng(step).integers(len(text) - context, size=size), context)


def part_of(array):
    """Return how an array of the training state is split: along its longest axis, or not at all if that is too short."""
    axis = int(np.argmax(array.shape)) if array.ndim else 0
    splits = array.ndim and array.shape[axis] % MESH.size == 0
    return NamedSharding(MESH, P(*[None] * axis, "data") if splits else P())


def loss_of(graph, params, batch):  # int32 [N, T + 1] -> nats per byte
    logits = nnx.merge(graph, params)(batch[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]).mean()


@partial(jax.jit, static_argnums=(0, 3))
def sample(graph, params, text, length, key):
    """Return `length` bytes, int32, that the model writes after a text (int32 [T])."""

    def write(window, key):
        byte = jax.random.categorical(key, nnx.merge(graph, params)(window[None])[0, -1] / 0.7)
        return jnp.append(window[1:], byte), byte

    return jax.lax.scan(write, text, jax.random.split(key, length))[1]


def save(path, step, state):
    """Write a checkpoint at once or not at all."""
    arrays = {jax.tree_util.keystr(key): np.asarray(array) for key, array in jax.tree_util.tree_leaves_with_path(state)}
    with path.with_suffix(".new").open("wb") as file:
        np.savez(file, step=step, **arrays)
    path.with_suffix(".new").replace(path)


def load(path, state):
    """Return the step to go on at, and the state of a checkpoint, split like the given one."""
    with np.load(path) as arrays:
        return int(arrays["step"]), jax.tree_util.tree_map_with_path(
            lambda key, array: jax.device_put(arrays[jax.tree_util.keystr(key)], array.sharding), state
        )


def main(args):
    checkpoint = Path(args.log_dir, "checkpoint.npz")
    if checkpoint.exists() and not args.resume:
        sys.exit(f"{checkpoint} exists: pass --resume to go on from it, or another --log-dir")
    train_text, val_text = load_text()
    val_batch = cut(val_text, np.arange(64) * (len(val_text) // 65), args.context)

    rate, end = args.learning_rate, max(args.decay_steps or args.steps, args.warmup + 1)
    schedule = optax.warmup_cosine_decay_schedule(rate / args.warmup, rate, args.warmup, end, rate / 10)
    adam = optax.adamw(schedule, 0.9, 0.99, weight_decay=0.1, mask=partial(jax.tree.map, lambda array: array.ndim > 1))
    tx = mbj.tap(optax.chain(optax.clip_by_global_norm(1.0), adam))  # sees the gradients before they are clipped

    def make_model():
        return GPT(args.layers, args.width, args.heads, args.context, nnx.Rngs(0))

    def make_state():
        params = nnx.state(make_model())
        return {"params": params, "opt_state": tx.init(params)}

    graph = nnx.graphdef(nnx.eval_shape(make_model))
    shardings = jax.tree.map(part_of, jax.eval_shape(make_state))
    state = jax.jit(make_state, out_shardings=shardings)()
    start, state = load(checkpoint, state) if checkpoint.exists() else (0, state)

    def train_step(state, batch):
        loss, grads = jax.value_and_grad(partial(loss_of, graph))(state["params"], batch)
        updates, opt_state = tx.update(grads, state["opt_state"], state["params"])
        state = {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}
        return jax.lax.with_sharding_constraint(state, shardings), {"loss": loss, "perplexity": jnp.exp(loss)}

    validate = jax.jit(partial(loss_of, graph))

    with mb.Run(args.log_dir, config=vars(args) | {"devices": MESH.size}, resume=args.resume) as run:
        if args.resume:
            print(f"resumed at step {start}, {run.start_step - start} steps behind the end of the log")
        step_fn = mbj.wrap_train_step(
            train_step,
            run,
            every=args.watch_every,
            log=("params", "grads", "updates"),
            activations=["blocks.*.attention", "blocks.*.mlp"],
            learning_rate=schedule,
            start_step=start,
            donate_argnums=0,
        )
        loop = mbj.loop(batches(train_text, start, args.steps, args.batch_size, args.context), run, watching=step_fn)
        for batch in loop:
            step = step_fn.step
            state, metrics = step_fn(state, batch)  # logs the metrics as train/loss and train/perplexity

            done = step + 1
            validates = done % args.val_every == 0 or done == args.steps
            saves = done % args.checkpoint_every == 0 or done == args.steps
            if validates or saves:
                jax.block_until_ready(metrics)  # both wait anyway, and the times of updates that end in a pause are lost
            if validates:
                with loop.paused():
                    val_loss = validate(state["params"], val_batch)
                    params, prompt = jax.device_put((state["params"], val_batch[0, :-1]), jax.devices()[0])
                    text = np.concatenate([prompt, sample(graph, params, prompt, args.sample_length, jax.random.key(step))])
                run.log({"val/loss": val_loss, "val/perplexity": jnp.exp(val_loss)}, step)
                text = bytes(text.tolist()).decode(errors="replace")
                run.text("val/sample", indent(text, "    ", lambda _: True), step)  # indented is code in Markdown
                print(f"step {step}: loss {metrics['loss']:.3f}, validation {val_loss:.3f}")
            if saves:
                with loop.paused():
                    run.flush()  # a checkpoint must not be ahead of the log, or a kill after it leaves a gap
                    save(checkpoint, done, state)
    print(f"tensorboard --logdir {args.log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log-dir", default="runs/jax_sharded_transformer")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the log directory, if there is one")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=8, help="sequences; a multiple of the number of devices")
    parser.add_argument("--context", type=int, default=64, help="bytes that the model sees")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--warmup", type=int, default=50, help="steps")
    parser.add_argument("--decay-steps", type=int, help="where the cosine ends, if not at --steps")
    parser.add_argument("--watch-every", type=int, default=50)
    parser.add_argument("--val-every", type=int, default=100)
    parser.add_argument("--sample-length", type=int, default=300, help="bytes")
    parser.add_argument("--checkpoint-every", type=int, default=200)
    main(parser.parse_args())
