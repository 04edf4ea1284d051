"""Under GradScaler the true gradients are written, and a skipped step is no update."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt


@pytest.fixture
def scaled_steps(network, loss_at):
    """A function that trains with a loss scale; at the steps in `overflow` a gradient is infinite."""

    def train(steps, overflow=(), attach=lambda _model, _optimizer: None, *, clip=False, accumulate=1, **arguments):
        model = network()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, **arguments)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        watching = attach(model, optimizer)
        seen = []
        for step in range(steps):
            for part in range(accumulate):
                with torch.autocast("cpu", torch.bfloat16):
                    loss = loss_at(model, step * accumulate + part)
                scaler.scale(loss).backward()
            true = model.dense.weight.grad.norm().item() / scaler.get_scale()
            if step in overflow:
                model.dense.weight.grad[0, 0] = float("inf")
            if clip:
                scaler.unscale_(optimizer)
                mbt.clip_grad_norm_(model.parameters(), 0.01)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            seen.append((true, None if watching is None else watching.step))
        return model, seen

    return train


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("fused", [True, False])
def test_the_true_gradients_are_written(fused, accumulate, scaled_steps, log_dir, written):
    with mb.Run(log_dir) as run:
        attach = lambda model, optimizer: mbt.watch(model, optimizer, run, every=1)  # noqa: E731
        model, seen = scaled_steps(3, attach=attach, fused=fused, accumulate=accumulate)
    plain, _ = scaled_steps(3, fused=fused, accumulate=accumulate)
    assert all(map(torch.equal, model.parameters(), plain.parameters()))
    column = written().scalars["norm/grads/dense/kernel"]
    assert column.step.tolist() == [0, 1, 2]
    assert column.value == pytest.approx([true for true, _ in seen], rel=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_a_skipped_step_is_no_update(fused, scaled_steps, log_dir, written):
    with mb.Run(log_dir) as run:
        attach = lambda model, optimizer: mbt.watch(model, optimizer, run, every=1)  # noqa: E731
        _, seen = scaled_steps(4, overflow={0, 2}, attach=attach, fused=fused)
    assert [step for _, step in seen] == [0, 1, 1, 2]
    data = written()
    column = data.scalars["norm/grads/dense/kernel"]
    assert column.step.tolist() == [0, 1]
    assert column.value == pytest.approx([seen[1][0], seen[3][0]], rel=1e-5)
    assert data.scalars["nonfinite/grads"].value.tolist() == [0, 0]
    assert (data.scalars["norm/updates/dense/kernel"].value > 0).all()


@pytest.mark.parametrize("fused", [True, False])
def test_unscaled_and_clipped_gradients_are_not_divided_again(fused, scaled_steps, log_dir, written):
    with mb.Run(log_dir) as run:
        attach = lambda model, optimizer: mbt.watch(model, optimizer, run, every=1)  # noqa: E731
        scaled_steps(2, attach=attach, fused=fused, clip=True)
    scalars = written().scalars
    assert scalars["norm/grads"].value == pytest.approx([0.01, 0.01], rel=1e-3)
    assert scalars["train/grad_norm_after_clip"].value == pytest.approx([0.01, 0.01], rel=1e-3)
    assert (scalars["train/grad_norm_before_clip"].value > 0.05).all()
