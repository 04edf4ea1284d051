"""Models that were written down after the misses of `unseen` had been mended."""

PARTS = ("query", "key", "value")


def scanned(case):
    made = case("layers in a loop")
    made.add("embed", (800, 64), "model.embed_tokens", "token_embedder", "token_embedding", nnx="embed")
    for at in range(4):
        t, f, k, n = f"model.layers.{at}", "decoder/layers", f"decoder_block_{at}", "blocks"
        made.add(
            "rmsnorm", (64,), f"{t}.input_layernorm", f"{f}/pre_self_attention_norm#", f"{k}/attention_norm", nnx=f"{n}/norm1#"
        )
        for part in PARTS:
            made.add("query", (64, 64, 4), f"{t}.self_attn.{part[0]}_proj", f"{f}/self_attention/{part}#",
                     f"{k}/attention/{part}", bias=False, nnx=f"{n}/attn/{part}#")  # fmt: skip
        made.add("out", (64, 64, 4), f"{t}.self_attn.o_proj", f"{f}/self_attention/out#", f"{k}/attention/output", bias=False,
                 nnx=f"{n}/attn/out#")  # fmt: skip
        made.add("rmsnorm", (64,), f"{t}.post_attention_layernorm", f"{f}/post_self_attention_norm#", f"{k}/ffn_norm",
                 nnx=f"{n}/norm2#")  # fmt: skip
        for torch, flax, keras, sizes in (("gate_proj", "wi_0", "ffn_gate", (64, 160)), ("up_proj", "wi_1", "ffn_up", (64, 160)),
                                          ("down_proj", "wo", "ffn_down", (160, 64))):  # fmt: skip
            made.add(
                "dense", sizes, f"{t}.mlp.{torch}", f"{f}/mlp/{flax}#", f"{k}/{keras}", bias=False, nnx=f"{n}/mlp/{torch[:-5]}#"
            )
    made.add("rmsnorm", (64,), "model.norm", "decoder/decoder_norm", "final_norm", nnx="norm")
    made.add("dense", (64, 800), "lm_head", "decoder/logits_dense", "logits", bias=False, nnx="head")
    return made


def switch(case):
    made = case("Switch Transformer")
    made.add("embed", (900, 48), "shared", "token_embedder", "embedding*", nnx="embed")
    for at in range(4):
        t, f, k, n = f"encoder.block.{at}.layer", f"encoder/layers_{at}", f"encoder_layer_{at}", f"encoder/{at}"
        made.add("rmsnorm", (48,), f"{t}.0.layer_norm", f"{f}/pre_attention_layer_norm", f"{k}/norm_1", nnx=f"{n}/ln1")
        for part in PARTS:
            made.add("query", (48, 48, 4), f"{t}.0.SelfAttention.{part[0]}", f"{f}/attention/{part}", f"{k}/attention/{part}",
                     bias=False, nnx=f"{n}/attn/{part}")  # fmt: skip
        made.add("out", (48, 48, 4), f"{t}.0.SelfAttention.o", f"{f}/attention/out", f"{k}/attention/attention_output",
                 bias=False, nnx=f"{n}/attn/out")  # fmt: skip
        made.add("rmsnorm", (48,), f"{t}.1.layer_norm", f"{f}/pre_mlp_layer_norm", f"{k}/norm_2", nnx=f"{n}/ln2")
        if at % 2:
            made.add("dense", (48, 8), f"{t}.1.mlp.router.classifier", f"{f}/mlp/router/w", f"{k}/moe/router", bias=False,
                     nnx=f"{n}/moe/gate")  # fmt: skip
        for expert in range(8 if at % 2 else 1):
            for number, (part, sizes) in enumerate((("wi", (48, 96)), ("wo", (96, 48)))):
                torch, flax, keras, nnx = (
                    (f"mlp.experts.expert_{expert}.{part}", f"mlp/expert/{part}#", f"moe/expert_{expert}/dense_{number}",
                     f"moe/{part}#") if at % 2 else (f"mlp.{part}", f"mlp/{part}", f"ffn/dense_{number}", f"mlp/{part}")
                )  # fmt: skip
                made.add("dense", sizes, f"{t}.1.{torch}", f"{f}/{flax}", f"{k}/{keras}", bias=False, nnx=f"{n}/{nnx}")
    made.add("rmsnorm", (48,), "encoder.final_layer_norm", "encoder/encoder_norm", "encoder_norm", nnx="norm")
    return made


def speech(case):
    made = case("DeepSpeech")
    inner = 1
    for at, outer in enumerate((32, 32)):
        made.add(
            "conv",
            (11, inner, outer),
            f"conv.seq_module.{3 * at}",
            f"Conv_{at}",
            f"conv_{at + 1}",
            nnx=f"convs/{at}/conv",
            bias=False,
        )
        made.add(
            "batchnorm", (outer,), f"conv.seq_module.{3 * at + 1}", f"BatchNorm_{at}", f"conv_{at + 1}_bn", nnx=f"convs/{at}/norm"
        )
        inner = outer
    for at in range(4):
        for suffix, side in (("", "forward"), ("_reverse", "backward")):
            size = 640 if not at else 256
            made.add("gru", (size, 128, f"0{suffix}"), f"rnns.{at}.rnn", f"BiGRU_{at}/{side}/cell",
                     f"bidirectional_{at + 1}/{side}_gru/gru_cell", nnx=f"rnns/{at}/{side}/cell")  # fmt: skip
        if at < 3:
            made.add(
                "batchnorm", (256,), f"rnns.{at + 1}.batch_norm.module", f"BatchNorm_{at + 2}", f"bn_{at + 1}", nnx=f"norms/{at}"
            )
    made.add("dense", (256, 256), "fc.0", "Dense_0", "dense_1", nnx="fc")
    made.add("dense", (256, 29), "fc.3", "Dense_1", "dense*", nnx="ctc")
    return made


def mobilenet_v3(case):
    made = case("MobileNetV3", first=1)
    made.add("conv", (3, 3, 16), "features.0.0", "stem/Conv_0", "conv", bias=False, nnx="stem/conv")
    made.add("batchnorm", (16,), "features.0.1", "stem/BatchNorm_0", "conv_bn", nnx="stem/norm")
    inner = 16
    blocks = [(3, 16, 16), (3, 72, 24), (3, 88, 24), (5, 96, 40), (5, 240, 40), (5, 240, 40), (5, 120, 48)]
    for at, (size, wide, outer) in enumerate(blocks):
        t, f, n = f"features.{at + 1}.block", f"InvertedResidual_{at}", f"blocks/{at}"
        k = f"expanded_conv_{at}" if at else "expanded_conv"
        number = int(wide != inner)

        def unit(kind, number, sizes, flax, keras, nnx, t=t, f=f, k=k, n=n):
            made.add(kind, sizes, f"{t}.{number}.0", f"{f}/{flax}/Conv_0", f"{k}_{keras}", bias=False, nnx=f"{n}/{nnx}/conv")
            made.add(
                "batchnorm", sizes[2:], f"{t}.{number}.1", f"{f}/{flax}/BatchNorm_0", f"{k}_{keras}_bn", nnx=f"{n}/{nnx}/norm"
            )

        if wide != inner:
            unit("conv", 0, (1, inner, wide), "expand", "expand", "expand")
        unit("depthwise", number, (size, 1, wide), "depthwise", "depthwise", "dw")
        number += 1
        if outer != 24:
            small = wide // 4
            made.add("conv", (1, wide, small), f"{t}.{number}.fc1", f"{f}/SqueezeExcite_0/Conv_0", f"{k}_squeeze_excite_conv",
                     nnx=f"{n}/se/reduce")  # fmt: skip
            made.add("conv", (1, small, wide), f"{t}.{number}.fc2", f"{f}/SqueezeExcite_0/Conv_1", f"{k}_squeeze_excite_conv_1",
                     nnx=f"{n}/se/expand")  # fmt: skip
            number += 1
        unit("conv", number, (1, wide, outer), "project", "project", "project")
        inner = outer
    made.add("conv", (1, 48, 288), "features.8.0", "head/Conv_0", "conv_1", bias=False, nnx="head/conv")
    made.add("batchnorm", (288,), "features.8.1", "head/BatchNorm_0", "conv_1_bn", nnx="head/norm")
    made.add("dense", (288, 512), "classifier.0", "Dense_0", "dense*", nnx="fc1")
    made.add("dense", (512, 1000), "classifier.3", "Dense_1", "dense*", nnx="fc2")
    return made


def set_transformer(case):
    made = case("Set Transformer")

    def block(t, f, k, n, source):
        for at, part in enumerate(PARTS):
            made.add("dense", (source if part != "query" else 64, 64), f"{t}.fc_{part[0]}", f"{f}/Dense_{at}", f"{k}/{part}",
                     nnx=f"{n}/w{part[0]}")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.ln0", f"{f}/LayerNorm_0", f"{k}/norm_1", nnx=f"{n}/norm1")
        made.add("dense", (64, 64), f"{t}.fc_o", f"{f}/Dense_3", f"{k}/feed_forward", nnx=f"{n}/ff")
        made.add("layernorm", (64,), f"{t}.ln1", f"{f}/LayerNorm_1", f"{k}/norm_2", nnx=f"{n}/norm2")

    inner = 3
    for at in range(2):
        t, f, k, n = f"enc.{at}", f"ISAB_{at}", f"isab_{at}", f"encoder/{at}"
        made.add("raw", (1, 32, 64), f"{t}:I", f"{f}:inducing_points", f"{k}:inducing", nnx=f"{n}:points")
        block(f"{t}.mab0", f"{f}/MAB_0", f"{k}/mab_0", f"{n}/first", inner)
        block(f"{t}.mab1", f"{f}/MAB_1", f"{k}/mab_1", f"{n}/second", 64)
        inner = 64
    made.add("raw", (1, 4, 64), "dec.0:S", "PMA_0:seeds", "pma:seed_vectors", nnx="pool:seeds")
    block("dec.0.mab", "PMA_0/MAB_0", "pma/mab", "pool/block", 64)
    made.add("dense", (64, 10), "dec.1", "Dense_0", "dense*", nnx="head")
    return made


def glow(case):
    made = case("Glow")
    for level, width in enumerate((12, 24)):
        for at in range(3):
            t, f = f"flow.levels.{level}.{at}", f"Level_{level}/FlowStep_{at}"
            k, n = f"level_{level}_step_{at}", f"levels/{level}/steps/{at}"
            for torch, flax in (("loc", "bias"), ("scale", "log_scale")):
                made.add(
                    "raw",
                    (width,),
                    f"{t}.actnorm:{torch}",
                    f"{f}/ActNorm_0:{flax}",
                    f"{k}/actnorm:{flax}",
                    nnx=f"{n}/norm:{flax}",
                )
            made.add("raw", (width, width), f"{t}.invconv:weight", f"{f}/InvConv_0:kernel_w", f"{k}/inv_conv:w", nnx=f"{n}/mix:w")
            for number, sizes in enumerate(((3, width // 2, 64), (1, 64, 64), (3, 64, width))):
                made.add("conv", sizes, f"{t}.coupling.net.{2 * number}", f"{f}/Coupling_0/Conv_{number}",
                         f"{k}/coupling/conv_{number}", nnx=f"{n}/coupling/conv{number + 1}")  # fmt: skip
    return made


def detection_heads(case):
    made = case("Faster R-CNN")
    made.add("conv", (3, 96, 96), "rpn.head.conv.0.0", "rpn/Conv_0", "rpn_head/conv", nnx="rpn/conv")
    made.add("conv", (1, 96, 3), "rpn.head.cls_logits", "rpn/objectness", "rpn_head/scores", nnx="rpn/scores")
    made.add("conv", (1, 96, 12), "rpn.head.bbox_pred", "rpn/deltas", "rpn_head/boxes", nnx="rpn/boxes")
    made.add("dense", (4704, 256), "roi_heads.box_head.fc6", "box_head/Dense_0", "box_head/dense*", nnx="box_head/fc1")
    made.add("dense", (256, 256), "roi_heads.box_head.fc7", "box_head/Dense_1", "box_head/dense*", nnx="box_head/fc2")
    made.add("dense", (256, 21), "roi_heads.box_predictor.cls_score", "box_head/classes", "class_scores", nnx="box_head/classes")
    made.add("dense", (256, 84), "roi_heads.box_predictor.bbox_pred", "box_head/boxes", "box_deltas", nnx="box_head/boxes")
    inner = 96
    for at in range(4):
        made.add("conv", (3, inner, 96), f"roi_heads.mask_head.{at}.0", f"mask_head/Conv_{at}", f"mask_head/conv_{at}",
                 nnx=f"mask/convs/{at}")  # fmt: skip
    made.add(
        "up", (2, 96, 96), "roi_heads.mask_predictor.conv5_mask", "mask_head/ConvTranspose_0", "mask_head/deconv", nnx="mask/up"
    )
    made.add(
        "conv", (1, 96, 21), "roi_heads.mask_predictor.mask_fcn_logits", "mask_head/logits", "mask_head/masks", nnx="mask/out"
    )
    return made
