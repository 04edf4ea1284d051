"""Models that were written down when the aligner was finished."""


def clip(case):
    made = case("CLIP")
    sides = [("visual.transformer", "vision_model", "vision_encoder", 64), ("transformer", "text_model", "text_encoder", 48)]
    made.add(
        "conv", (16, 3, 64), "visual.conv1", "vision_model/embeddings/patch_embedding", "vision_encoder/patch_conv", bias=False
    )
    made.add("layernorm", (64,), "visual.ln_pre", "vision_model/pre_layrnorm", "vision_encoder/pre_norm")
    made.add("embed", (900, 48), "token_embedding", "text_model/embeddings/token_embedding", "text_encoder/token_embedding")
    for torch, flax, keras, width in sides:
        for at in range(3):
            t, f, k = f"{torch}.resblocks.{at}", f"{flax}/encoder/layers/{at}", f"{keras}/encoder_block_{at}"
            made.add("layernorm", (width,), f"{t}.ln_1", f"{f}/layer_norm1", f"{k}/layer_norm_1")
            for part in "qkv":
                made.add("dense", (width, width), f"{t}.attn!", f"{f}/self_attn/{part}_proj", f"{k}/attn/{part}_proj")
            made.add("dense", (width, width), f"{t}.attn.out_proj", f"{f}/self_attn/out_proj", f"{k}/attn/out_proj")
            made.add("layernorm", (width,), f"{t}.ln_2", f"{f}/layer_norm2", f"{k}/layer_norm_2")
            made.add("dense", (width, 4 * width), f"{t}.mlp.c_fc", f"{f}/mlp/fc1", f"{k}/dense_1")
            made.add("dense", (4 * width, width), f"{t}.mlp.c_proj", f"{f}/mlp/fc2", f"{k}/dense_2")
    made.add("layernorm", (64,), "visual.ln_post", "vision_model/post_layernorm", "vision_encoder/post_norm")
    made.add("layernorm", (48,), "ln_final", "text_model/final_layer_norm", "text_encoder/final_norm")
    return made


def efficientnet(case):
    made = case("EfficientNet")
    made.add("conv", (3, 3, 32), "conv_stem", "stem_conv", "stem_conv", bias=False)
    made.add("batchnorm", (32,), "bn1", "stem_bn", "stem_bn")
    inner, number = 32, 0
    for stage, (outer, count) in enumerate([(24, 2), (40, 2), (80, 3)], 1):
        for block in range(count):
            t, f, k = f"blocks.{stage}.{block}", f"MBConv_{number}", f"block{stage + 1}{'abc'[block]}"
            wide = 6 * inner
            made.add("conv", (1, inner, wide), f"{t}.conv_pw", f"{f}/Conv_0", f"{k}_expand_conv", bias=False)
            made.add("batchnorm", (wide,), f"{t}.bn1", f"{f}/BatchNorm_0", f"{k}_expand_bn")
            made.add("depthwise", (3, 1, wide), f"{t}.conv_dw", f"{f}/Conv_1", f"{k}_dwconv", bias=False)
            made.add("batchnorm", (wide,), f"{t}.bn2", f"{f}/BatchNorm_1", f"{k}_bn")
            made.add("conv", (1, wide, inner // 4), f"{t}.se.conv_reduce", f"{f}/SqueezeExcite_0/Conv_0", f"{k}_se_reduce")
            made.add("conv", (1, inner // 4, wide), f"{t}.se.conv_expand", f"{f}/SqueezeExcite_0/Conv_1", f"{k}_se_expand")
            made.add("conv", (1, wide, outer), f"{t}.conv_pwl", f"{f}/Conv_2", f"{k}_project_conv", bias=False)
            made.add("batchnorm", (outer,), f"{t}.bn3", f"{f}/BatchNorm_2", f"{k}_project_bn")
            inner, number = outer, number + 1
    made.add("dense", (80, 1000), "classifier", "head", "predictions")
    return made


def radiance_field(case):
    made = case("NeRF", first=3)
    for at in range(8):
        inner = {0: 63, 5: 319}.get(at, 256)
        made.add("dense", (inner, 256), f"pts_linears.{at}", "Dense*", "dense*")
    made.add("dense", (256, 1), "alpha_linear", "Dense*", "dense*")
    made.add("dense", (256, 256), "feature_linear", "Dense*", "dense*")
    made.add("dense", (283, 128), "views_linears.0", "Dense*", "dense*")
    made.add("dense", (128, 3), "rgb_linear", "Dense*", "dense*")
    return made


def squeezenet(case):
    made = case("SqueezeNet")
    made.add("conv", (7, 3, 96), "features.0", "conv1", "conv1")
    shapes = [(96, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128), (256, 48, 192), (384, 48, 192), (384, 64, 256)]
    for at, (inner, small, outer) in enumerate(shapes, 2):
        t, f, k = f"features.{at + 1 + (at > 4)}", f"Fire_{at - 2}", f"fire{at}"
        made.add("conv", (1, inner, small), f"{t}.squeeze", f"{f}/Conv_0", f"{k}/squeeze1x1")
        made.add("conv", (1, small, outer), f"{t}.expand1x1", f"{f}/Conv_1", f"{k}/expand1x1")
        made.add("conv", (3, small, outer), f"{t}.expand3x3", f"{f}/Conv_2", f"{k}/expand3x3")
    made.add("conv", (1, 512, 1000), "classifier.1", "conv10", "conv10")
    return made


def game_player(case):
    made = case("policy and value heads")
    made.add("conv", (3, 17, 64), "conv", "Conv_0", "conv2d*", bias=False, nnx="stem/conv")
    made.add("batchnorm", (64,), "bn", "BatchNorm_0", "batch_normalization*", nnx="stem/norm")
    for at in range(5):
        for number in (1, 2):
            f = f"ResidualBlock_{at}"
            made.add("conv", (3, 64, 64), f"res_layers.{at}.conv{number}", f"{f}/Conv_{number - 1}", "conv2d*", bias=False,
                     nnx=f"tower/{at}/conv{number}")  # fmt: skip
            made.add("batchnorm", (64,), f"res_layers.{at}.bn{number}", f"{f}/BatchNorm_{number - 1}", "batch_normalization*",
                     nnx=f"tower/{at}/norm{number}")  # fmt: skip
    for head, wide, last in (("policy", 2, 362), ("value", 1, 256)):
        f = f"{head}_head"
        made.add("conv", (1, 64, wide), f"{head}_conv", f"{f}/Conv_0", f"{head}_conv", bias=False, nnx=f"{head}/conv")
        made.add("batchnorm", (wide,), f"{head}_bn", f"{f}/BatchNorm_0", f"{head}_bn", nnx=f"{head}/norm")
        made.add("dense", (361 * wide, last), f"{head}_fc1", f"{f}/Dense_0", f"{head}_dense", nnx=f"{head}/fc1")
    made.add("dense", (256, 1), "value_fc2", "value_head/Dense_1", "value_out", nnx="value/fc2")
    return made


def denoiser(case):
    made = case("denoising U-Net")
    made.add("dense", (32, 128), "temb.dense.0", "Dense_0", "time_mlp/dense*")
    made.add("dense", (128, 128), "temb.dense.1", "Dense_1", "time_mlp/dense*")
    made.add("conv", (3, 3, 32), "conv_in", "conv_in", "conv2d*")
    blocks = [("down.0", "down_0", 32, 32), ("down.1", "down_1", 32, 64), ("mid", "mid", 64, 64), ("up.1", "up_1", 128, 64),
              ("up.0", "up_0", 96, 32)]  # fmt: skip
    for torch, flax, inner, outer in blocks:
        for at in range(2):
            source = inner if not at else outer
            t, f = f"{torch}.block.{at}", f"{flax}_block_{at}"
            made.add("layernorm", (source,), f"{t}.norm1", f"{f}/norm1", "group_normalization*")
            made.add("conv", (3, source, outer), f"{t}.conv1", f"{f}/conv1", "conv2d*")
            made.add("dense", (128, outer), f"{t}.temb_proj", f"{f}/temb_proj", "dense*")
            made.add("layernorm", (outer,), f"{t}.norm2", f"{f}/norm2", "group_normalization*")
            made.add("conv", (3, outer, outer), f"{t}.conv2", f"{f}/conv2", "conv2d*")
    made.add("layernorm", (32,), "norm_out", "norm_out", "group_normalization*")
    made.add("conv", (3, 32, 3), "conv_out", "conv_out", "conv2d*")
    return made


def speech(case):
    made = case("speech encoder")
    for at in range(4):
        t, f = f"feature_extractor.conv_layers.{at}.conv", f"feature_extractor/conv_layers_{at}"
        made.add("conv", (3, 64 if at else 1, 64), t, f, f"conv_block_{at}/conv1d", bias=False)
    made.add("dense", (64, 96), "feature_projection.projection", "feature_projection", "projection")
    for at in range(3):
        t, f, k = f"encoder.layers.{at}", f"encoder/TransformerBlock_{at}", f"transformer_{at}"
        for part in "qkv":
            attn = f"{f}/SelfAttention_0"
            made.add("dense", (96, 96), f"{t}.attention.{part}_proj", f"{attn}/{part}", f"{k}/mha/{part}_dense")
        made.add("dense", (96, 96), f"{t}.attention.out_proj", f"{attn}/proj", f"{k}/mha/out_dense")
        made.add("layernorm", (96,), f"{t}.layer_norm", f"{f}/LayerNorm_0", f"{k}/attn_norm")
        made.add("dense", (96, 384), f"{t}.feed_forward.intermediate_dense", f"{f}/Dense_0", f"{k}/ffn_in")
        made.add("dense", (384, 96), f"{t}.feed_forward.output_dense", f"{f}/Dense_1", f"{k}/ffn_out")
        made.add("layernorm", (96,), f"{t}.final_layer_norm", f"{f}/LayerNorm_1", f"{k}/ffn_norm")
    made.add("dense", (96, 32), "lm_head", "Dense_0", "ctc_logits")
    return made


def language_lstm(case):
    made = case("LSTM language model")
    made.add("embed", (3000, 128), "encoder", "embed", "embedding*")
    for at in range(3):
        made.add("lstm", (128, 128, at), "rnn", f"rnn_{at}/lstm", f"lstm{f'_{at}' if at else ''}/lstm_cell")
    made.add("dense", (128, 3000), "decoder", "head", "dense*")
    return made
