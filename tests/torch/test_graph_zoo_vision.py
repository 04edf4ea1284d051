"""Networks of convolutions are recorded whole, and change nothing by it."""

import pytest
import torch
from torch import nn
from torch.nn import functional


class Basic(nn.Module):
    """Two convolutions around a shortcut."""

    expansion = 1

    def __init__(self, before, inside, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, inside, 3, stride, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv2, self.bn2 = nn.Conv2d(inside, inside, 3, 1, 1, bias=False), nn.BatchNorm2d(inside)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(before, inside, stride)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut."""

    expansion = 4

    def __init__(self, before, inside, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, inside, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv2, self.bn2 = nn.Conv2d(inside, inside, 3, stride, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv3, self.bn3 = nn.Conv2d(inside, 4 * inside, 1, bias=False), nn.BatchNorm2d(4 * inside)
        self.downsample = shortcut(before, 4 * inside, stride)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(y)))))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def shortcut(before, after, stride):
    if before == after and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class ResNet(nn.Module):
    def __init__(self, block, depths, classes=1000):
        super().__init__()
        self.conv1, self.bn1, before = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), 64
        self.maxpool, self.avgpool = nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)
        for number, depth in enumerate(depths):
            inside, blocks = 64 * 2**number, []
            for index in range(depth):
                blocks.append(block(before, inside, 2 if number and not index else 1))
                before = inside * block.expansion
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class UNet(nn.Module):
    """Skips that are concatenated, and transposed, grouped and dilated convolutions."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1, groups=4)])
        self.middle = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 2, dilation=2), nn.GroupNorm(4, 16), nn.SiLU(), nn.Dropout2d(0.2))
        self.up = nn.ModuleDict({"first": nn.ConvTranspose2d(16, 8, 2, 2), "last": nn.ConvTranspose2d(16, 3, 2, 2)})

    def forward(self, x):
        first = functional.leaky_relu(self.down[0](x))
        second = self.middle(functional.leaky_relu(self.down[1](first)))
        up = self.up["first"](second)
        return self.up["last"](torch.cat([up, first], 1)).sigmoid()


class Detector(nn.Module):
    """Takes a list of pictures of several sizes and returns a list of dicts, as detectors do."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.boxes, self.scores = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 1, 1)

    def forward(self, pictures, targets=None):
        largest = [max(picture.shape[axis] for picture in pictures) for axis in (1, 2)]
        batch = pictures[0].new_zeros(len(pictures), 3, *largest)
        for place, picture in zip(batch, pictures, strict=True):
            place[:, : picture.shape[1], : picture.shape[2]].copy_(picture)
        features = self.backbone(batch)
        found = []
        for boxes, scores in zip(self.boxes(features), self.scores(features), strict=True):
            kept = scores.flatten() > 0
            found.append({"boxes": boxes.flatten(1).T[kept], "scores": scores.flatten()[kept]})
        return found if targets is None else {"loss": sum(one["boxes"].sum() for one in found)}


class Pixels(nn.Module):
    """Layers whose weights are computed of others, and one-dimensional and three-dimensional convolutions."""

    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 6, 3))
        self.dense = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6))
        self.volume = nn.Conv3d(1, 2, 2)

    def forward(self, x):
        features = self.dense(self.conv(x).mT)
        return self.volume(features.unflatten(1, (7, 1)).unsqueeze(1).expand(-1, -1, -1, 2, -1))


torch.manual_seed(0)
PICTURES = torch.randn(2, 3, 32, 32)
MODELS = {
    "MLP": (lambda: nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)), (torch.randn(3, 12),)),
    "ResNet-18": (lambda: ResNet(Basic, (2, 2, 2, 2)), (PICTURES,)),
    "ResNet-50": (lambda: ResNet(Bottleneck, (3, 4, 6, 3)), (PICTURES,)),
    "U-Net": (UNet, (PICTURES,)),
    "detector": (Detector, ([PICTURES[0], PICTURES[1, :, :20, :24]],)),
    "detector in training": (Detector, ([PICTURES[0]], [{"boxes": torch.zeros(1, 4)}])),
    "weights computed of others": (Pixels, (torch.randn(2, 3, 9),)),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_convolutions_is_recorded_whole(name, training, observe):
    make, args = MODELS[name]
    observe(lambda: make().train(training), *args)
