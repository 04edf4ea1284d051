"""Convolutions, recurrent cells and stacks of dense layers that were written down before the rules were read again."""

import itertools


def inception(case):
    made = case("Inception", first=2)

    def conv(torch, flax, size, inner, outer):
        made.add("conv", (size, inner, outer), f"{torch}.conv", f"{flax}/Conv_0", "conv2d*", bias=False)
        made.add("batchnorm", (outer,), f"{torch}.bn", f"{flax}/BatchNorm_0", "batch_normalization*")

    conv("Conv2d_1a_3x3", "BasicConv_0", 3, 3, 32)
    conv("Conv2d_2a_3x3", "BasicConv_1", 3, 32, 32)
    conv("Conv2d_2b_3x3", "BasicConv_2", 3, 32, 64)
    inner = 64
    for at, name in enumerate(("Mixed_5b", "Mixed_5c", "Mixed_5d")):
        f = f"InceptionBlock_{at}"
        conv(f"{name}.branch1x1", f"{f}/branch1x1", 1, inner, 64)
        conv(f"{name}.branch5x5_1", f"{f}/branch5x5_1", 1, inner, 48)
        conv(f"{name}.branch5x5_2", f"{f}/branch5x5_2", 5, 48, 64)
        conv(f"{name}.branch3x3dbl_1", f"{f}/branch3x3dbl_1", 1, inner, 64)
        conv(f"{name}.branch3x3dbl_2", f"{f}/branch3x3dbl_2", 3, 64, 96)
        conv(f"{name}.branch3x3dbl_3", f"{f}/branch3x3dbl_3", 3, 96, 96)
        conv(f"{name}.branch_pool", f"{f}/branch_pool", 1, inner, 32)
        inner = 256
    made.add("dense", (256, 1000), "fc", "head", "predictions")
    return made


def wavenet(case):
    made = case("WaveNet")
    made.add("conv", (1, 256, 32), "causal", "Conv_0", "causal_conv", nnx="causal")
    for at in range(10):
        f = f"ResidualBlock_{at}"
        for torch, flax, keras, sizes in (
            ("filter_convs", "Conv_0", "filter", (2, 32, 32)),
            ("gate_convs", "Conv_1", "gate", (2, 32, 32)),
            ("residual_convs", "Conv_2", "residual", (1, 32, 32)),
            ("skip_convs", "Conv_3", "skip", (1, 32, 64)),
        ):
            made.add("conv", sizes, f"{torch}.{at}", f"{f}/{flax}", f"block_{at}/{keras}_conv", nnx=f"blocks/{at}/{keras}")
    made.add("conv", (1, 64, 64), "end_conv_1", "Conv_1", "postprocess_1", nnx="end1")
    made.add("conv", (1, 64, 256), "end_conv_2", "Conv_2", "postprocess_2", nnx="end2")
    return made


def pyramid(case):
    made = case("feature pyramid")
    wide = (64, 128, 256, 512)
    for at, inner in enumerate(wide):
        made.add("conv", (1, inner, 96), f"fpn.inner_blocks.{at}.0", f"fpn/lateral_{at}", f"lateral_conv_{at + 2}",
                 nnx=f"lateral/{at}")  # fmt: skip
    for at in range(4):
        made.add("conv", (3, 96, 96), f"fpn.layer_blocks.{at}.0", f"fpn/output_{at}", f"output_conv_{at + 2}", nnx=f"smooth/{at}")
    for head, outer in (("classification", 90), ("regression", 36)):
        short = {"classification": "cls", "regression": "box"}[head]
        for at in range(4):
            t = f"head.{head}_head.conv.{at}.0"
            made.add("conv", (3, 96, 96), t, f"{head}_head/Conv_{at}", f"{short}_head/conv_{at}", nnx=f"{short}/convs/{at}")
        last = "cls_logits" if short == "cls" else "bbox_reg"
        made.add("conv", (3, 96, outer), f"head.{head}_head.{last}", f"{head}_head/Conv_4", f"{short}_head/predictions",
                 nnx=f"{short}/out")  # fmt: skip
    return made


def darknet(case):
    made = case("YOLO", first=1)
    inner = 3
    for stage, (outer, count) in enumerate([(16, 0), (32, 1), (64, 2), (128, 2)]):
        t, f = f"backbone.stage{stage}", f"backbone/stage_{stage}"
        n = f"stages/{stage}"
        made.add("conv", (3, inner, outer), f"{t}.down.conv", f"{f}/ConvBN_0/Conv_0", "conv2d*", bias=False, nnx=f"{n}/down/conv")
        made.add("batchnorm", (outer,), f"{t}.down.bn", f"{f}/ConvBN_0/BatchNorm_0", "batch_normalization*", nnx=f"{n}/down/norm")
        for at in range(count):
            r, m = f"{f}/Residual_{at}", f"{n}/blocks/{at}"
            for part, (size, a, b) in enumerate(((1, outer, outer // 2), (3, outer // 2, outer)), 1):
                c = f"{r}/ConvBN_{part - 1}"
                made.add("conv", (size, a, b), f"{t}.blocks.{at}.cv{part}.conv", f"{c}/Conv_0", "conv2d*", bias=False,
                         nnx=f"{m}/conv{part}/conv")  # fmt: skip
                made.add("batchnorm", (b,), f"{t}.blocks.{at}.cv{part}.bn", f"{c}/BatchNorm_0", "batch_normalization*",
                         nnx=f"{m}/conv{part}/norm")  # fmt: skip
        inner = outer
    for at, wide in enumerate((64, 128)):
        made.add("conv", (1, wide, 75), f"detect.m.{at}", f"detect/Conv_{at}", "conv2d*", nnx=f"heads/{at}")
    return made


def point_net(case):
    made = case("PointNet")
    for part, torch, flax, keras in (("stn", "feat.stn", "TNet_0", "input_tnet"), ("feat", "feat", "Encoder_0", "encoder")):
        inner = 3
        for at, outer in enumerate((64, 128, 1024), 1):
            made.add("conv", (1, inner, outer), f"{torch}.conv{at}", f"{flax}/Conv_{at - 1}", f"{keras}/conv1d_{at}")
            made.add("batchnorm", (outer,), f"{torch}.bn{at}", f"{flax}/BatchNorm_{at - 1}", f"{keras}/bn_{at}")
            inner = outer
        if part == "stn":
            for at, (a, b) in enumerate(((1024, 512), (512, 256)), 1):
                made.add("dense", (a, b), f"{torch}.fc{at}", f"{flax}/Dense_{at - 1}", f"{keras}/dense_{at}")
                made.add("batchnorm", (b,), f"{torch}.bn{at + 3}", f"{flax}/BatchNorm_{at + 2}", f"{keras}/bn_{at + 3}")
            made.add("dense", (256, 9), f"{torch}.fc3", f"{flax}/Dense_2", f"{keras}/transform")
    for at, (a, b) in enumerate(((1024, 512), (512, 256)), 1):
        made.add("dense", (a, b), f"fc{at}", f"Dense_{at - 1}", f"dense_{at}")
        made.add("batchnorm", (b,), f"bn{at}", f"BatchNorm_{at - 1}", f"bn_{at}")
    made.add("dense", (256, 40), "fc3", "Dense_2", "logits")
    return made


def dlrm(case):
    made = case("DLRM")
    for at, count in enumerate((1000, 500, 500, 200)):
        made.add("embed", (count, 16), f"emb_l.{at}", f"embedding_{at}", f"embedding_{at}", nnx=f"tables/{at}")
    for torch, flax, keras, nnx, sizes in (
        ("bot_l", "bottom_mlp", "bottom_mlp", "bottom", (13, 64, 64, 16)),
        ("top_l", "top_mlp", "top_mlp", "top", (26, 64, 64, 1)),
    ):
        for at, (a, b) in enumerate(itertools.pairwise(sizes)):
            made.add("dense", (a, b), f"{torch}.{2 * at}", f"{flax}/Dense_{at}", f"{keras}/dense_{at}", nnx=f"{nnx}/layers/{at}")
    return made


def self_supervised(case):
    made = case("BYOL")
    for side in ("online", "target"):
        t, f, k = f"{side}_encoder", f"{side}/encoder", f"{side}_encoder"
        inner = 3
        for at, outer in enumerate((32, 64, 64)):
            made.add("conv", (3, inner, outer), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", f"{k}/conv2d_{at}", bias=False)
            made.add("batchnorm", (outer,), f"{t}.bn{at + 1}", f"{f}/BatchNorm_{at}", f"{k}/batch_norm_{at}")
            inner = outer
        t, f, k = f"{side}_projector.net", f"{side}/projector", f"{side}_projection"
        made.add("dense", (64, 256), f"{t}.0", f"{f}/Dense_0", f"{k}/dense1")
        made.add("batchnorm", (256,), f"{t}.1", f"{f}/BatchNorm_0", f"{k}/bn")
        made.add("dense", (256, 64), f"{t}.3", f"{f}/Dense_1", f"{k}/dense2")
    made.add("dense", (64, 256), "predictor.net.0", "predictor/Dense_0", "predictor/dense1")
    made.add("batchnorm", (256,), "predictor.net.1", "predictor/BatchNorm_0", "predictor/bn")
    made.add("dense", (256, 64), "predictor.net.3", "predictor/Dense_1", "predictor/dense2")
    return made


def style_generator(case):
    made = case("style generator")
    for at in range(8):
        made.add("dense", (64, 64), f"mapping.fc{at}", f"MappingNetwork_0/Dense_{at}", "dense*", nnx=f"mapping/layers/{at}")
    inner = 64
    for at, outer in enumerate((64, 32, 16)):
        t, f, n = f"synthesis.b{2 ** (at + 3)}", f"SynthesisBlock_{at}", f"synthesis/{at}"
        for part, (a, b) in enumerate(((inner, outer), (outer, outer))):
            layer = f"{f}/SynthesisLayer_{part}"
            made.add("dense", (64, a), f"{t}.conv{part}.affine", f"{layer}/Dense_0", "dense*", nnx=f"{n}/conv{part}/affine")
            made.add("conv", (3, a, b), f"{t}.conv{part}", f"{layer}/Conv_0", "conv2d*", nnx=f"{n}/conv{part}/conv")
        made.add("dense", (64, outer), f"{t}.torgb.affine", f"{f}/ToRGB_0/Dense_0", "dense*", nnx=f"{n}/to_rgb/affine")
        made.add("conv", (1, outer, 3), f"{t}.torgb", f"{f}/ToRGB_0/Conv_0", "conv2d*", nnx=f"{n}/to_rgb/conv")
        inner = outer
    return made


def attentive_translation(case):
    made = case("GRU with attention")
    made.add("embed", (800, 64), "encoder.embedding", "encoder/Embed_0", "encoder_embedding")
    made.add("gru", (64, 96, 0), "encoder.gru", "encoder/gru/cell", "encoder_gru/gru_cell")
    made.add("embed", (900, 64), "decoder.embedding", "decoder/Embed_0", "decoder_embedding")
    made.add("dense", (96, 96), "decoder.attention.Wa", "decoder/attention/Dense_0", "bahdanau_attention/W1")
    made.add("dense", (96, 96), "decoder.attention.Ua", "decoder/attention/Dense_1", "bahdanau_attention/W2")
    made.add("dense", (96, 1), "decoder.attention.Va", "decoder/attention/Dense_2", "bahdanau_attention/V")
    made.add("gru", (160, 96, 0), "decoder.gru", "decoder/gru/cell", "decoder_gru/gru_cell")
    made.add("dense", (96, 900), "decoder.out", "decoder/Dense_0", "decoder_dense")
    return made


def dueling(case):
    made = case("dueling Q-network", first=5)
    inner = 4
    for at, (size, outer) in enumerate(((8, 32), (4, 64), (3, 64))):
        made.add("conv", (size, inner, outer), f"features.{2 * at}", f"Conv_{at}", "conv2d*", nnx=f"torso/{at}")
        inner = outer
    for head, outer in (("value", 1), ("advantage", 6)):
        short = "adv" if head == "advantage" else head
        made.add("dense", (3136, 512), f"{head}_stream.0", f"{short}_hidden", f"{head}_dense", nnx=f"{short}/hidden")
        made.add("dense", (512, outer), f"{head}_stream.2", f"{short}_out", f"{head}", nnx=f"{short}/out")
    return made
