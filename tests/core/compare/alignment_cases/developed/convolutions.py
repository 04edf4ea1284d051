"""Convolutional models."""


def lenet(case):
    made = case("LeNet", first=3)
    made.add("conv", (5, 1, 6), "conv1", "Conv_0", "conv2d*", nnx="conv1")
    made.add("conv", (5, 6, 16), "conv2", "Conv_1", "conv2d*", nnx="conv2")
    made.add("dense", (400, 120), "fc1", "Dense_0", "dense*", nnx="linear1")
    made.add("dense", (120, 84), "fc2", "Dense_1", "dense*", nnx="linear2")
    made.add("dense", (84, 10), "fc3", "Dense_2", "dense*", nnx="linear3")
    return made


def vgg(case):
    made = case("VGG-16")
    at, inner = 0, 3
    for stage, (outer, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for number in range(1, count + 1):
            keras = f"block{stage}_conv{number}"
            made.add("conv", (3, inner, outer), f"features.{at}", "Conv*", keras)
            at, inner = at + 2, outer
        at += 1
    for number, (pair, torch) in enumerate([((25088, 4096), 0), ((4096, 4096), 3), ((4096, 1000), 6)], 1):
        made.add("dense", pair, f"classifier.{torch}", "Dense*", f"fc{number}" if number < 3 else "predictions")
    return made


def resnet18(case):
    made = case("ResNet-18")
    made.add("conv", (7, 3, 64), "conv1", "conv_init", "conv2d*", bias=False)
    made.add("batchnorm", (64,), "bn1", "bn_init", "batch_normalization*")
    inner, number = 64, 0
    for stage, outer in enumerate([64, 128, 256, 512], 1):
        for block in range(2):
            t, f = f"layer{stage}.{block}", f"ResNetBlock_{number}"
            for at, source in enumerate([inner, outer]):
                made.add("conv", (3, source, outer), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", "conv2d*", bias=False)
                made.add("batchnorm", (outer,), f"{t}.bn{at + 1}", f"{f}/BatchNorm_{at}", "batch_normalization*")
            if inner != outer:
                made.add("conv", (1, inner, outer), f"{t}.downsample.0", f"{f}/conv_proj", "conv2d*", bias=False, shift=-4.75)
                made.add("batchnorm", (outer,), f"{t}.downsample.1", f"{f}/norm_proj", "batch_normalization*", shift=-5.25)
            inner, number = outer, number + 1
    made.add("dense", (512, 1000), "fc", "Dense_0", "dense*")
    return made


def unet(case):
    made = case("U-Net")
    widths = [1, 16, 32, 64]
    for level in range(3):
        for at, source in enumerate([widths[level], widths[level + 1]]):
            torch, linen = f"down{level + 1}.conv{at + 1}", f"Encoder_{level}/Conv_{at}"
            made.add("conv", (3, source, widths[level + 1]), torch, linen, "conv2d*")
    for at, source in enumerate([64, 128]):
        made.add("conv", (3, source, 128), f"bottleneck.conv{at + 1}", f"Middle_0/Conv_{at}", "conv2d*")
    for level, (inner, outer) in enumerate([(128, 64), (64, 32), (32, 16)]):
        made.add("up", (2, inner, outer), f"up{3 - level}.up", f"Decoder_{level}/ConvTranspose_0", "conv2d_transpose*")
        for at, source in enumerate([inner, outer]):
            made.add("conv", (3, source, outer), f"up{3 - level}.conv{at + 1}", f"Decoder_{level}/Conv_{at}", "conv2d*")
    made.add("conv", (1, 16, 2), "outc", "Conv_0", "conv2d*")
    return made
