"""Convolutional models that were written down in ignorance of the rules."""


def quantized_autoencoder(case):
    made = case("VQ-VAE")

    def residuals(side, torch, nnx):
        for at in range(2):
            t, f, n = f"{torch}._residual_stack._layers.{at}._block", f"{side}/ResidualStack_0/ResBlock_{at}", f"{nnx}/res/{at}"
            keras = f"{side.split('_')[0].lower()}/conv2d*"
            made.add("conv", (3, 128, 32), f"{t}.1", f"{f}/Conv_0", keras, nnx=f"{n}/conv_a", bias=False)
            made.add("conv", (1, 32, 128), f"{t}.3", f"{f}/Conv_1", keras, nnx=f"{n}/conv_b", bias=False)

    for at, sizes in enumerate(((4, 3, 64), (4, 64, 128), (3, 128, 128))):
        made.add(
            "conv", sizes, f"_encoder._conv_{at + 1}", f"Encoder_0/Conv_{at}", "encoder/conv2d*", nnx=f"encoder/conv{at + 1}"
        )
    residuals("Encoder_0", "_encoder", "encoder")
    made.add("conv", (1, 128, 64), "_pre_vq_conv", "pre_vq", "encoder/conv2d*", nnx="to_codes")
    made.add("embed", (512, 64), "_vq_vae._embedding", "VectorQuantizer_0:codebook", "vector_quantizer:embeddings_vqvae",
             nnx="quantizer/codebook")  # fmt: skip
    made.add("conv", (3, 64, 128), "_decoder._conv_1", "Decoder_0/Conv_0", "decoder/conv2d*", nnx="decoder/conv_in")
    residuals("Decoder_0", "_decoder", "decoder")
    for at, sizes in enumerate(((4, 128, 64), (4, 64, 3))):
        made.add("up", sizes, f"_decoder._conv_trans_{at + 1}", f"Decoder_0/ConvTranspose_{at}", "decoder/conv2d_transpose*",
                 nnx=f"decoder/up{at + 1}")  # fmt: skip
    return made


def cycle_gan(case):
    made = case("CycleGAN")
    for t, f, k, n in (
        ("netG_A", "generator_ab", "generator_G", "gen_a2b"),
        ("netG_B", "generator_ba", "generator_F", "gen_b2a"),
    ):

        def norm(width, k=k):
            made.add("groupnorm", (width,), keras=f"{k}/group_normalization*")

        for at, sizes in enumerate(((7, 3, 32), (3, 32, 64), (3, 64, 128))):
            made.add("conv", sizes, f"{t}.model.{3 * at + 1}", f"{f}/Conv_{at}", f"{k}/conv2d*", nnx=f"{n}/down/{at}")
            norm(sizes[2])
        for at in range(3):
            for number, torch in enumerate((1, 5)):
                made.add("conv", (3, 128, 128), f"{t}.model.{10 + at}.conv_block.{torch}",
                         f"{f}/ResnetBlock_{at}/Conv_{number}", f"{k}/conv2d*",
                         nnx=f"{n}/blocks/{at}/conv{number + 1}")  # fmt: skip
                norm(128)
        for at, sizes in enumerate(((3, 128, 64), (3, 64, 32))):
            made.add("up", sizes, f"{t}.model.{13 + 3 * at}", f"{f}/ConvTranspose_{at}", f"{k}/conv2d_transpose*",
                     nnx=f"{n}/up/{at}")  # fmt: skip
            norm(sizes[2])
        made.add("conv", (7, 32, 3), f"{t}.model.20", f"{f}/Conv_3", f"{k}/conv2d*", nnx=f"{n}/out")
    for t, f, k, n in (("netD_A", "discriminator_a", "discriminator_X", "disc_a"),
                       ("netD_B", "discriminator_b", "discriminator_Y", "disc_b")):  # fmt: skip
        for at, (torch, sizes) in enumerate(((0, (4, 3, 32)), (2, (4, 32, 64)), (5, (4, 64, 128)), (8, (4, 128, 1)))):
            made.add("conv", sizes, f"{t}.model.{torch}", f"{f}/Conv_{at}", f"{k}/conv2d*", nnx=f"{n}/convs/{at}")
    return made


def regnet(case):
    made = case("RegNetY")
    made.add("conv", (3, 3, 32), "stem.conv", "ConvBN_0/Conv_0", "regnety_stem_conv", nnx="stem/conv", bias=False)
    made.add("batchnorm", (32,), "stem.bn", "ConvBN_0/BatchNorm_0", "regnety_stem_bn", nnx="stem/norm")
    inner = 32
    for stage, (outer, count) in enumerate(((24, 1), (56, 2), (152, 3))):
        for block in range(count):
            t, f = f"s{stage + 1}.b{block + 1}", f"RegNetStage_{stage}/YBlock_{block}"
            k, n = f"regnety_Stage_{stage}_YBlock_{block}", f"stages/{stage}/{block}"

            def unit(size, source, target, torch, flax, keras, nnx, t=t, f=f, k=k, n=n, shift=(0.0, 0.0)):
                earlier = {"keras": shift[0], "linen": shift[0]}, {"keras": shift[1], "linen": shift[1]}
                made.add("conv", (size, source, target), f"{t}.{torch}.conv", f"{f}/{flax}/Conv_0", f"{k}_{keras}", bias=False,
                         nnx=f"{n}/{nnx}/conv", shift=earlier[0])  # fmt: skip
                made.add("batchnorm", (target,), f"{t}.{torch}.bn", f"{f}/{flax}/BatchNorm_0", f"{k}_{keras}_bn",
                         nnx=f"{n}/{nnx}/norm", shift=earlier[1])  # fmt: skip

            first = 0 if block else 1
            unit(1, inner, outer, "conv1", f"ConvBN_{first}", "conv_1x1_1", "reduce")
            unit(3, 8, outer, "conv2", f"ConvBN_{first + 1}", "conv_3x3", "grouped")
            small = inner // 4
            made.add("conv", (1, outer, small), f"{t}.se.fc1", f"{f}/SE_0/Conv_0", f"{k}_squeeze_excite_squeeze",
                     nnx=f"{n}/se/down")  # fmt: skip
            made.add("conv", (1, small, outer), f"{t}.se.fc2", f"{f}/SE_0/Conv_1", f"{k}_squeeze_excite_excite", nnx=f"{n}/se/up")
            unit(1, outer, outer, "conv3", f"ConvBN_{first + 2}", "conv_1x1_2", "expand")
            if first:
                unit(1, inner, outer, "downsample", "ConvBN_0", "conv_skip", "shortcut", shift=(-8.75, -9.25))
            inner = outer
    made.add("dense", (152, 100), "head.fc", "Dense_0", "predictions", nnx="classifier")
    return made


def volumes(case):
    made = case("U-Net of volumes")

    def block(inner, outer, torch, flax, nnx):
        for at, source in enumerate((inner, outer)):
            t, f, n = f"{torch}.convs.{at}", f"{flax}/ConvNormAct_{at}", f"{nnx}/{at}"
            made.add("conv3d", (3, source, outer), f"{t}.conv", f"{f}/Conv_0", "conv3d*", nnx=f"{n}/conv")
            made.add("groupnorm", (outer,), f"{t}.norm", f"{f}/GroupNorm_0", "group_normalization*", nnx=f"{n}/norm")

    widths = (16, 32, 64, 128)
    for stage, (inner, outer) in enumerate(zip((1, *widths), widths, strict=False)):
        block(inner, outer, f"encoder.stages.{stage}.0", f"down_{stage}", f"encoder/{stage}")
    for at, (inner, outer) in enumerate(((128, 64), (64, 32), (32, 16))):
        made.add("up3d", (2, inner, outer), f"decoder.transpconvs.{at}", f"up_{at}/ConvTranspose_0", "conv3d_transpose*",
                 nnx=f"decoder/{at}/up")  # fmt: skip
        block(2 * outer, outer, f"decoder.stages.{at}", f"up_{at}", f"decoder/{at}/convs")
        made.add("conv3d", (1, outer, 4), f"decoder.seg_layers.{at}", f"up_{at}/Conv_0", f"segmentation_{at}",
                 nnx=f"decoder/{at}/logits")  # fmt: skip
    return made


def vocoder(case):
    made = case("HiFi-GAN")
    made.add("conv1d", (7, 80, 128), "conv_pre", "Conv_0", "conv1d*", nnx="pre")
    for at, (inner, outer) in enumerate(((128, 64), (64, 32))):
        made.add("up1d", (16, inner, outer), f"ups.{at}", f"ConvTranspose_{at}", "conv1d_transpose*", nnx=f"ups/{at}")
        for block, size in enumerate((3, 7, 11)):
            t, f, n = f"resblocks.{3 * at + block}", f"MRF_{at}/ResBlock_{block}", f"mrfs/{at}/blocks/{block}"
            for number in range(3):
                for part, nnx in enumerate(("dilated", "plain")):
                    made.add("conv1d", (size, outer, outer), f"{t}.convs{part + 1}.{number}", f"{f}/Conv_{2 * number + part}",
                             "conv1d*", nnx=f"{n}/{nnx}/{number}")  # fmt: skip
    made.add("conv1d", (7, 32, 1), "conv_post", "Conv_1", "conv1d*", nnx="post")
    return made


def capsules(case):
    made = case("capsules")
    made.add("conv", (9, 1, 256), "conv_layer.conv", "Conv_0", "conv1", nnx="conv")
    for at in range(8):
        made.add("conv", (9, 256, 32), f"primary_capsules.capsules.{at}", "PrimaryCaps_0/Conv_0", "primarycap_conv2d",
                 nnx="primary/conv")  # fmt: skip
    made.add("raw", (10, 1152, 8, 16), "digit_capsules:W", "DigitCaps_0:W", "digitcaps:W", nnx="digits:weight")
    for at, sizes in enumerate(((160, 512), (512, 1024), (1024, 784))):
        made.add("dense", sizes, f"decoder.reconstruction_layers.{2 * at}", f"Decoder_0/Dense_{at}", "decoder/dense*",
                 nnx=f"decoder/{at}")  # fmt: skip
    return made


def impala(case):
    made = case("IMPALA with memory", first=2)
    inner = 4
    for stage, outer in enumerate((16, 32, 32)):
        t, f, n = f"network.{stage}", f"Network_0/ConvSequence_{stage}", f"torso/stages/{stage}"
        made.add("conv", (3, inner, outer), f"{t}.conv", f"{f}/Conv_0", "conv2d*", nnx=f"{n}/conv")
        for block in range(2):
            for part in range(2):
                made.add("conv", (3, outer, outer), f"{t}.res_block{block}.conv{part}", f"{f}/ResidualBlock_{block}/Conv_{part}",
                         "conv2d*", nnx=f"{n}/res/{block}/conv{part + 1}")  # fmt: skip
        inner = outer
    made.add("dense", (3872, 256), "network.5", "Network_0/Dense_0", "dense*", nnx="torso/fc")
    made.add("lstm", (256, 128, 0), "lstm", "ScannedRNN_0/OptimizedLSTMCell_0", "lstm_2/lstm_cell", nnx="memory/cell")
    made.add("dense", (128, 15), "actor", "Actor_0/Dense_0", "policy_logits", nnx="pi")
    made.add("dense", (128, 1), "critic", "Critic_0/Dense_0", "value", nnx="v")
    return made
