"""A small GPT learns to write Python from the source of the standard library: `python examples/pytorch_transformer.py`.

Logged by multiboard: losses, samples of text, distributions of parameters, gradients, updates and activations, step times.
Stop it at any moment, even by `kill -9`, and go on with `--resume`: weights and curves are those of one uninterrupted run, on a
CPU to the last bit.
"""

import argparse
import math
import sys
import sysconfig
from pathlib import Path
from textwrap import indent

import torch
import torch.nn.functional as F  # noqa: N812  # the spelling of every PyTorch program
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Attention(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):  # [N, T, C] -> [N, T, C]
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [N, heads, T, C / heads]
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.norm2, self.mlp = nn.LayerNorm(width), MLP(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self, layers, width, heads, context, dropout):
        super().__init__()
        self.context = context
        self.tokens, self.positions = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)

    def forward(self, tokens):  # int64 [N, T] -> logits [N, T, 256]
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def load_text():
    """Return two uint8 [bytes]: the modules of the standard library for training, and every tenth of them for validation."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    val = files[9::10]
    train = [file for file in files if file not in val]
    return [torch.frombuffer(bytearray(b"".join(f.read_bytes() for f in part)), dtype=torch.uint8) for part in (train, val)]


def cut(text, starts, context):  # uint8 [bytes], int64 [N] -> int64 [N, context + 1]
    return text[starts[:, None] + torch.arange(context + 1)].long()


def batches(text, start, stop, size, context):
    """Yield int64 [size, context + 1]; that of a step depends on the step alone, so that a resumed run sees the same ones."""
    for step in range(start, stop):
        generator = torch.Generator().manual_seed(step)
        yield cut(text, torch.randint(len(text) - context, (size,), generator=generator), context)


def loss_of(model, batch):  # int64 [N, T + 1] -> nats per byte
    logits = model(batch[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def sample(model, text, length, seed):
    """Return a text (int64 [T]) and `length` bytes that the model writes after it."""
    generator = torch.Generator(text.device).manual_seed(seed)
    for _ in range(length):
        logits = model.forward(text[None, -model.context :])[0, -1]  # forward, because a compiled model would be compiled again
        text = torch.cat([text, torch.multinomial((logits.float() / 0.7).softmax(0), 1, generator=generator)])
    return bytes(text.tolist()).decode(errors="replace")


def rate_factor(step, warmup, decay):
    """Return the share of the highest learning rate: a linear warm-up, then half a cosine down to a tenth."""
    progress = min(1.0, max(0, step - warmup) / max(1, decay - warmup))
    return min((step + 1) / warmup, 0.55 + 0.45 * math.cos(math.pi * progress))


def save(path, step, **parts):
    """Write a checkpoint at once or not at all."""
    state = {name: part.state_dict() for name, part in parts.items()}
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    torch.save(state | {"rng": torch.get_rng_state(), "rng_cuda": cuda, "step": step}, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load(path, **parts):
    """Restore a checkpoint and return the step to go on at."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["rng"])
    if state["rng_cuda"]:
        torch.cuda.set_rng_state_all(state["rng_cuda"])
    return state["step"]


def main(args):
    checkpoint = Path(args.log_dir, "checkpoint.pt")
    if checkpoint.exists() and not args.resume:
        sys.exit(f"{checkpoint} exists: pass --resume to go on from it, or another --log-dir")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = torch.device(args.device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.amp)
    train_text, val_text = load_text()
    val_batch = cut(val_text, torch.arange(64) * (len(val_text) // 65), args.context).to(device)

    model = GPT(args.layers, args.width, args.heads, args.context, args.dropout).to(device)
    matrices, vectors = [[p for p in model.parameters() if (p.ndim > 1) == wide] for wide in (True, False)]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, args.learning_rate, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(step, args.warmup, args.decay_steps or args.steps)
    )
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    start = load(checkpoint, **parts) if checkpoint.exists() else 0
    if args.compile:
        model.compile(backend=args.compile)

    with mb.Run(args.log_dir, config=vars(args), resume=args.resume) as run:
        if args.resume:
            print(f"resumed at step {start}, {run.start_step - start} steps behind the end of the log")
        watching = mbt.watch(
            model,
            optimizer,
            run,
            every=args.watch_every,
            log=("params", "grads", "updates"),
            activations=["blocks.*.attention", "blocks.*.mlp"],
            start_step=start,
        )
        data = batches(train_text, start, args.steps, args.batch_size * args.accumulate, args.context)
        loop = mbt.loop(data, run, watching=watching)
        for batch in loop:
            step = watching.step
            loss = torch.zeros((), device=device)
            for part in batch.to(device, non_blocking=True).chunk(args.accumulate):
                with autocast:
                    part_loss = loss_of(model, part) / args.accumulate
                part_loss.backward()
                loss += part_loss.detach()
            mbt.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            run.log({"train/loss": loss, "train/perplexity": loss.exp()}, step)  # the tensors as they are: no .item()

            done = step + 1
            if done % args.val_every == 0 or done == args.steps:
                with loop.paused(), torch.no_grad(), autocast:
                    model.eval()
                    val_loss = loss_of(model, val_batch)
                    text = sample(model, val_batch[0, :-1], args.sample_length, seed=step)
                    model.train()
                run.log({"val/loss": val_loss, "val/perplexity": val_loss.exp()}, step)
                run.text("val/sample", indent(text, "    ", lambda _: True), step)  # indented is code in Markdown
                print(f"step {step}: loss {loss:.3f}, validation {val_loss:.3f}")
            if done % args.checkpoint_every == 0 or done == args.steps:
                with loop.paused():
                    run.flush()  # a checkpoint must not be ahead of the log, or a kill after it leaves a gap
                    save(checkpoint, done, **parts)
    print(f"tensorboard --logdir {args.log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/pytorch_transformer")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the log directory, if there is one")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=8, help="sequences in a forward pass")
    parser.add_argument("--accumulate", type=int, default=1, help="forward passes in an update")
    parser.add_argument("--context", type=int, default=64, help="bytes that the model sees")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--warmup", type=int, default=50, help="steps")
    parser.add_argument("--decay-steps", type=int, help="where the cosine ends, if not at --steps")
    parser.add_argument("--watch-every", type=int, default=50)
    parser.add_argument("--val-every", type=int, default=100)
    parser.add_argument("--sample-length", type=int, default=300, help="bytes")
    parser.add_argument("--checkpoint-every", type=int, default=200)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU; a small model gains little from more")
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--compile", nargs="?", const="inductor", metavar="BACKEND")
    main(parser.parse_args())
