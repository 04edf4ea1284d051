"""A plain PyTorch training loop on handwritten digits, logged by multiboard: `python examples/pytorch_loop.py --epochs 5`."""

import argparse

import torch
import torch.nn.functional as F  # noqa: N812  # the spelling of every PyTorch program
from sklearn.datasets import load_digits
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.dense1 = nn.Linear(16 * 4 * 4, 64)
        self.dense2 = nn.Linear(64, 10)

    def forward(self, images):  # [N, 1, 8, 8] -> [N, 10]
        x = F.max_pool2d(F.relu(self.norm(self.conv1(images))), 2)
        return self.dense2(F.relu(self.dense1(x.flatten(1))))


def loss_and_accuracy(model, images, labels):
    logits = model(images)
    return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()


def main(log_dir, epochs, batch_size=64):
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16  # pixels are 0 to 16
    labels = torch.tensor(digits.target)
    train_set, val_set = torch.utils.data.random_split(torch.utils.data.TensorDataset(images, labels), [1437, 360])
    batches = torch.utils.data.DataLoader(train_set, batch_size, shuffle=True)
    val_images, val_labels = val_set[:]
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        watching = mbt.watch(model, optimizer, run, every=10)
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        for _ in range(epochs):
            for batch in batches:
                step = watching.step
                loss, accuracy = loss_and_accuracy(model, *batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log({"train/loss": loss, "train/accuracy": accuracy}, step)
            with torch.no_grad():
                loss, accuracy = loss_and_accuracy(model, val_images, val_labels)
            run.log({"val/loss": loss, "val/accuracy": accuracy}, step)
        run.image("val/examples", val_images[:16], step)
    print(f"validation accuracy {accuracy:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/pytorch")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)
