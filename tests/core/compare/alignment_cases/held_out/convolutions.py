"""Convolutional models that were held out until the aligner was counted on them once."""


def resnet50(case):
    made = case("ResNet-50")
    made.add("conv", (7, 3, 64), "conv1", "conv_init", "conv1_conv", bias=False)
    made.add("batchnorm", (64,), "bn1", "bn_init", "conv1_bn")
    inner, number = 64, 0
    for stage, (width, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        outer = 4 * width
        for block in range(count):
            t, f, k = f"layer{stage}.{block}", f"BottleneckResNetBlock_{number}", f"conv{stage + 1}_block{block + 1}"
            for at, (size, source, target) in enumerate([(1, inner, width), (3, width, width), (1, width, outer)]):
                made.add("conv", (size, source, target), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", f"{k}_{at + 1}_conv", bias=False)
                made.add("batchnorm", (target,), f"{t}.bn{at + 1}", f"{f}/BatchNorm_{at}", f"{k}_{at + 1}_bn")
            if not block:
                made.add("conv", (1, inner, outer), f"{t}.downsample.0", f"{f}/conv_proj", f"{k}_0_conv", bias=False, shift=-6.75)
                made.add("batchnorm", (outer,), f"{t}.downsample.1", f"{f}/norm_proj", f"{k}_0_bn", shift=-7.25)
            inner, number = outer, number + 1
    made.add("dense", (2048, 1000), "fc", "Dense_0", "predictions")
    return made


def dcgan(case):
    made = case("DCGAN", first=2)
    sizes = [(100, 256), (256, 128), (128, 64), (64, 3)]
    for at, (inner, outer) in enumerate(sizes):
        torch, linen = f"netG.main.{3 * at}", f"generator/ConvTranspose_{at}"
        made.add("up", (4, inner, outer), torch, linen, "generator/conv2d_transpose*", bias=False)
        if at < 3:
            made.add(
                "batchnorm", (outer,), f"netG.main.{3 * at + 1}", f"generator/BatchNorm_{at}", "generator/batch_normalization*"
            )
    for at, (inner, outer) in enumerate([(3, 64), (64, 128), (128, 256), (256, 1)]):
        index = 0 if not at else 3 * at - 1
        made.add("conv", (4, inner, outer), f"netD.main.{index}", f"discriminator/Conv_{at}", "discriminator/conv2d*", bias=False)
        if at in {1, 2}:
            name = f"netD.main.{index + 1}"
            made.add("batchnorm", (outer,), name, f"discriminator/BatchNorm_{at - 1}", "discriminator/batch_normalization*")
    return made


def convnext(case):
    made = case("ConvNeXt")
    made.add("conv", (4, 3, 48), "stem.0", "downsample_layers_0/conv", "stem/conv")
    made.add("layernorm", (48,), "stem.1", "downsample_layers_0/norm", "stem/layernorm")
    inner = 48
    for stage, (outer, count) in enumerate([(48, 2), (96, 2), (192, 3)]):
        if stage:
            t, f, k = f"stages.{stage}.downsample", f"downsample_layers_{stage}", f"downsampling_block_{stage - 1}"
            made.add("layernorm", (inner,), f"{t}.0", f"{f}/norm", f"{k}/layernorm")
            made.add("conv", (2, inner, outer), f"{t}.1", f"{f}/conv", f"{k}/conv")
        for block in range(count):
            t, f, k = f"stages.{stage}.blocks.{block}", f"stages_{stage}/blocks_{block}", f"stage_{stage}_block_{block}"
            made.add("depthwise", (7, 1, outer), f"{t}.conv_dw", f"{f}/dwconv", f"{k}_depthwise_conv")
            made.add("layernorm", (outer,), f"{t}.norm", f"{f}/norm", f"{k}_layernorm")
            made.add("dense", (outer, 4 * outer), f"{t}.mlp.fc1", f"{f}/pwconv1", f"{k}_pointwise_conv_1")
            made.add("dense", (4 * outer, outer), f"{t}.mlp.fc2", f"{f}/pwconv2", f"{k}_pointwise_conv_2")
        inner = outer
    made.add("layernorm", (192,), "head.norm", "norm", "head_layernorm")
    made.add("dense", (192, 1000), "head.fc", "head", "head_dense")
    return made


def mobilenet(case):
    made = case("MobileNet", first=1)
    made.add("conv", (3, 3, 32), "features.0.0", "ConvBN_0/Conv_0", "conv1", bias=False)
    made.add("batchnorm", (32,), "features.0.1", "ConvBN_0/BatchNorm_0", "conv1_bn")
    inner = 32
    for at, outer in enumerate([64, 128, 128, 256, 256, 512, 512, 512], 1):
        t, f = f"features.{at}", f"SeparableBlock_{at - 1}"
        made.add("depthwise", (3, 1, inner), f"{t}.0", f"{f}/depthwise", f"conv_dw_{at}", bias=False)
        made.add("batchnorm", (inner,), f"{t}.1", f"{f}/BatchNorm_0", f"conv_dw_{at}_bn")
        made.add("conv", (1, inner, outer), f"{t}.3", f"{f}/pointwise", f"conv_pw_{at}", bias=False)
        made.add("batchnorm", (outer,), f"{t}.4", f"{f}/BatchNorm_1", f"conv_pw_{at}_bn")
        inner = outer
    made.add("dense", (512, 1000), "classifier", "Dense_0", "conv_preds")
    return made


def densenet(case):
    made = case("DenseNet")
    made.add("conv", (7, 3, 32), "features.conv0", "Conv_0", "conv1_conv", bias=False)
    inner = 32
    for stage in range(1, 3):
        for layer in range(1, 4):
            t, f, k = (
                f"features.denseblock{stage}.denselayer{layer}",
                f"DenseBlock_{stage - 1}/DenseLayer_{layer - 1}",
                f"conv{stage + 1}_block{layer}",
            )
            for at, (size, source, target) in enumerate([(1, inner, 64), (3, 64, 16)]):
                made.add("batchnorm", (source,), f"{t}.norm{at + 1}", f"{f}/BatchNorm_{at}", f"{k}_{at}_bn")
                made.add("conv", (size, source, target), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", f"{k}_{at + 1}_conv", bias=False)
            inner += 16
        t, f, k = f"features.transition{stage}", f"Transition_{stage - 1}", f"pool{stage + 1}"
        made.add("batchnorm", (inner,), f"{t}.norm", f"{f}/BatchNorm_0", f"{k}_bn")
        made.add("conv", (1, inner, inner // 2), f"{t}.conv", f"{f}/Conv_0", f"{k}_conv", bias=False)
        inner //= 2
    made.add("dense", (inner, 1000), "classifier", "Dense_0", "predictions")
    return made
