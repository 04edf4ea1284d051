"""A few steps of a training in the Profile tab, three ways: `python examples/profile_a_loop.py`."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import multiboard as mb
import multiboard.torch as mbt


def network():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 8 * 8, 10))


def update(model, optimizer, x, y):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def with_a_watch(loader, log_dir):
    """The optimizer tells the steps, the loop where the training waits for data."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with mb.Run(f"{log_dir}/watched") as run:
        watching = mbt.watch(model, optimizer, run, every=100, profiler=mb.Profiler(run, start=20, steps=5))
        for x, y in mbt.loop(loader, run, watching=watching):
            run.log({"train/loss": update(model, optimizer, x, y)}, watching.step - 1)


def by_hand(loader, log_dir):
    """In a loop of one's own, in any framework; here also with the shapes of all operators."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with mb.Run(f"{log_dir}/by_hand") as run:
        profiler = mb.Profiler(run, start=20, steps=5, level="deep")
        for n, (x, y) in enumerate(profiler.input(loader)):
            with profiler.step(n):
                run.log({"train/loss": update(model, optimizer, x, y)}, n)


def with_a_profiler_of_ones_own(loader, log_dir):
    """Where there is a `torch.profiler.profile` already, only its handler changes."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.profiler.schedule(wait=18, warmup=2, active=5, repeat=1)
    handler = mbt.trace_handler(f"{log_dir}/own_profiler")
    with torch.profiler.profile(schedule=schedule, on_trace_ready=handler) as profiler:
        for x, y in loader:
            update(model, optimizer, x, y)
            profiler.step()


def main(log_dir):
    torch.manual_seed(0)
    data = TensorDataset(torch.rand(960, 1, 12, 12), torch.randint(10, (960,)))
    for way in (with_a_watch, by_hand, with_a_profiler_of_ones_own):
        way(DataLoader(data, batch_size=32), log_dir)

    numbers = mb.read(f"{log_dir}/watched")["."]
    print(f"a step takes {numbers.scalars['profile/step_ms'].value[0]:.1f} ms")
    print(numbers.texts["profile/top_ops"].value[0])
    print(f"multiboard serve {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/profile")
    main(parser.parse_args().log_dir)
