"""The graph of a PyTorch model in TensorBoard, three ways: `python examples/torch_graph.py`."""

import argparse

import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Tagger(nn.Module):
    """Labels each word; takes a mask and returns a dict, which tracers refuse."""

    def __init__(self, words=1000, width=64, labels=9):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.encoder = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.head = nn.Linear(width, labels)

    def forward(self, tokens, padding=None):
        hidden = self.encoder(self.embed(tokens), src_key_padding_mask=padding)
        return {"logits": self.head(hidden), "hidden": hidden, "cache": None}


def main(log_dir):
    torch.manual_seed(0)
    model = Tagger()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens, padding = torch.randint(0, 1000, (8, 32)), torch.arange(32).expand(8, 32) > 20
    labels = torch.randint(0, 9, (8, 32))

    with mb.Run(log_dir) as run:
        mbt.graph(model, run)  # of the next call, as it trains: "Default", "layer", "api", "op", "flops"
        for step in range(3):
            logits = model(tokens, padding=padding)["logits"]
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss}, step)

        with mbt.graph(model, run, backward=True, tag="step"):  # with gradients and optimizer: "step/layer", …
            model(tokens)["logits"].square().mean().backward()
            optimizer.step()

        mbt.graph(model.eval(), run, example={"tokens": tokens}, tag="evaluation")  # without a call: shapes only
    print(f"tensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/graph")
    main(parser.parse_args().log_dir)
