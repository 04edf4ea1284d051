"""Well-known architectures as their public implementations call the layers, written down in ignorance of the rules."""

import collections
import itertools

PARTS = ("query", "key", "value")
ALL = ("torch", "linen", "nnx", "keras")


def alexnet(case):
    made = case("AlexNet", first=1)
    convs = ((0, 11, 3, 64), (3, 5, 64, 192), (6, 3, 192, 384), (8, 3, 384, 256), (10, 3, 256, 256))
    for at, (number, *sizes) in enumerate(convs):
        made.add("conv", tuple(sizes), f"features.{number}", "Conv*", "conv2d*", nnx=f"conv{at + 1}")
    for at, (number, sizes) in enumerate(((1, (9216, 4096)), (4, (4096, 4096)), (6, (4096, 1000)))):
        made.add("dense", sizes, f"classifier.{number}", "Dense*", "dense*", nnx=f"fc{at + 6}")
    return made


def resnet_v2(case):
    made = case("ResNet-50 V2")
    made.add("conv", (7, 3, 64), "stem.conv", "conv_init", "conv1_conv", bias=False, nnx="stem")
    inner, number = 64, 0
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        outer = 4 * width
        for block in range(count):
            t, f = f"stages.{stage}.blocks.{block}", f"PreActBottleneck_{number}"
            k, n = f"conv{stage + 2}_block{block + 1}", f"layer{stage + 1}/{block}"
            if not block:
                made.add("conv", (1, inner, outer), f"{t}.downsample.conv", f"{f}/conv_proj", f"{k}_0_conv", bias=False,
                         nnx=f"{n}/shortcut", shift=dict.fromkeys(ALL, 1.5))  # fmt: skip
            for at, (size, source, target) in enumerate(((1, inner, width), (3, width, width), (1, width, outer))):
                norm = f"{k}_{at}_bn" if at else f"{k}_preact_bn"
                made.add("batchnorm", (source,), f"{t}.norm{at + 1}", f"{f}/BatchNorm_{at}", norm, nnx=f"{n}/bn{at + 1}")
                made.add("conv", (size, source, target), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", f"{k}_{at + 1}_conv", bias=False,
                         nnx=f"{n}/conv{at + 1}")  # fmt: skip
            inner, number = outer, number + 1
    made.add("batchnorm", (2048,), "norm", "BatchNorm_0", "post_bn", nnx="bn")
    made.add("dense", (2048, 1000), "head.fc", "Dense_0", "predictions", nnx="fc")
    return made


def deeplab(case):
    made = case("DeepLabV3")
    made.add("conv", (7, 3, 32), "backbone.conv1", "backbone/conv_init", "conv1_conv", bias=False, nnx="backbone/conv1")
    made.add("batchnorm", (32,), "backbone.bn1", "backbone/bn_init", "conv1_bn", nnx="backbone/bn1")
    inner = 32
    for stage, width in enumerate((32, 64, 128, 256)):
        for block in range(2):
            t, f = f"backbone.layer{stage + 1}.{block}", f"backbone/BottleneckResNetBlock_{2 * stage + block}"
            k, n = f"conv{stage + 2}_block{block + 1}", f"backbone/layer{stage + 1}/{block}"
            for at, (size, source, target) in enumerate(((1, inner, width), (3, width, width), (1, width, 4 * width))):
                made.add("conv", (size, source, target), f"{t}.conv{at + 1}", f"{f}/Conv_{at}", f"{k}_{at + 1}_conv", bias=False,
                         nnx=f"{n}/conv{at + 1}")  # fmt: skip
                made.add("batchnorm", (target,), f"{t}.bn{at + 1}", f"{f}/BatchNorm_{at}", f"{k}_{at + 1}_bn",
                         nnx=f"{n}/bn{at + 1}")  # fmt: skip
            if not block:
                made.add("conv", (1, inner, 4 * width), f"{t}.downsample.0", f"{f}/conv_proj", f"{k}_0_conv", bias=False,
                         nnx=f"{n}/downsample/conv", shift=-6.75)  # fmt: skip
                made.add("batchnorm", (4 * width,), f"{t}.downsample.1", f"{f}/norm_proj", f"{k}_0_bn",
                         nnx=f"{n}/downsample/bn", shift=-7.25)  # fmt: skip
            inner = 4 * width
    branches = [(f"convs.{at}.0", f"convs.{at}.1", 3 if at else 1, 1024, 128, f"branches/{at}", at + 1) for at in range(4)]
    branches += [("convs.4.1", "convs.4.2", 1, 1024, 128, "pool", 0), ("project.0", "project.1", 1, 640, 128, "project", 5)]
    for at, (conv, norm, *sizes, nnx, number) in enumerate(branches):
        k, later = f"_{number}" if number else "", 0.0 if number else -8.75
        made.add("conv", tuple(sizes), f"classifier.0.{conv}", f"ASPP_0/Conv_{at}", f"conv2d{k}", bias=False,
                 nnx=f"aspp/{nnx}/conv", shift=later)  # fmt: skip
        made.add("batchnorm", (128,), f"classifier.0.{norm}", f"ASPP_0/BatchNorm_{at}", f"batch_normalization{k}",
                 nnx=f"aspp/{nnx}/bn", shift=later and later - 0.5)  # fmt: skip
    made.add("conv", (3, 128, 128), "classifier.1", "Conv_0", "conv2d_6", bias=False, nnx="head/conv")
    made.add("batchnorm", (128,), "classifier.2", "BatchNorm_0", "batch_normalization_6", nnx="head/bn")
    made.add("conv", (1, 128, 21), "classifier.4", "Conv_1", "conv2d_7", nnx="head/out")
    made.add("conv", (3, 512, 128), "aux_classifier.0", bias=False)
    made.add("batchnorm", (128,), "aux_classifier.1")
    made.add("conv", (1, 128, 21), "aux_classifier.4")
    return made


def super_resolution(case):
    made = case("EDSR")
    made.add("conv", (1, 3, 3), "sub_mean")
    made.add("conv", (1, 3, 3), "add_mean", shift={"torch": 100.0})
    made.add("conv", (3, 3, 64), "head.0", "Conv_0", "conv2d*", nnx="head")
    for at in range(8):
        for number in range(2):
            made.add("conv", (3, 64, 64), f"body.{at}.body.{2 * number}", f"ResBlock_{at}/Conv_{number}", "conv2d*",
                     nnx=f"body/{at}/conv{number + 1}")  # fmt: skip
    made.add("conv", (3, 64, 64), "body.8", "Conv_1", "conv2d*", nnx="body_conv")
    for at in range(2):
        made.add("conv", (3, 64, 256), f"tail.0.{2 * at}", f"Upsampler_0/Conv_{at}", "conv2d*", nnx=f"upsampler/convs/{at}")
    made.add("conv", (3, 64, 3), "tail.1", "Conv_2", "conv2d*", nnx="tail")
    return made


def deberta(case):
    made = case("DeBERTa V3")
    made.add("embed", (1000, 64), "deberta.embeddings.word_embeddings", "deberta/embeddings/word_embeddings", "token_embedding",
             nnx="embed/tokens")  # fmt: skip
    made.add("layernorm", (64,), "deberta.embeddings.LayerNorm", "deberta/embeddings/LayerNorm", "embeddings_layer_norm",
             nnx="embed/norm")  # fmt: skip
    made.add("embed", (64, 64), "deberta.encoder.rel_embeddings", "deberta/encoder/rel_embeddings", "rel_embedding:rel_embedding",
             nnx="encoder/rel_embed")  # fmt: skip
    made.add("layernorm", (64,), "deberta.encoder.LayerNorm", "deberta/encoder/LayerNorm", "rel_embedding/layer_norm",
             nnx="encoder/rel_norm")  # fmt: skip
    for at in range(4):
        t, f = f"deberta.encoder.layer.{at}", f"deberta/encoder/layer/{at}"
        k, n = f"disentangled_attention_encoder_layer_{at}", f"encoder/layers/{at}"
        a = f"{k}/self_attention_layer"
        for part in PARTS:
            made.add("query", (64, 64, 4), f"{t}.attention.self.{part}_proj", f"{f}/attention/self/{part}_proj", f"{a}/{part}",
                     nnx=f"{n}/attn/{part}")  # fmt: skip
        made.add("dense", (64, 64), f"{t}.attention.output.dense", f"{f}/attention/output/dense", f"{a}/attention_output",
                 nnx=f"{n}/attn/out")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.attention.output.LayerNorm", f"{f}/attention/output/LayerNorm", f"{a}_norm",
                 nnx=f"{n}/attn_norm")  # fmt: skip
        made.add("dense", (64, 256), f"{t}.intermediate.dense", f"{f}/intermediate/dense", f"{k}/feedforward_intermediate_dense",
                 nnx=f"{n}/mlp/fc1")  # fmt: skip
        made.add("dense", (256, 64), f"{t}.output.dense", f"{f}/output/dense", f"{k}/feedforward_output_dense",
                 nnx=f"{n}/mlp/fc2")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.output.LayerNorm", f"{f}/output/LayerNorm", f"{k}/feedforward_layer_norm",
                 nnx=f"{n}/mlp_norm")  # fmt: skip
    made.add("dense", (64, 64), "pooler.dense", "pooler/dense", "pooled_dense", nnx="pooler")
    made.add("dense", (64, 3), "classifier", "classifier", "logits", nnx="classifier")
    return made


def transformer_xl(case):
    made = case("Transformer-XL")
    made.add("embed", (1000, 64), "word_emb.emb_layers.0", "Embed_0", "word_embedding", nnx="embed")
    for at in range(4):
        t, f, k, n = f"layers.{at}", f"DecoderLayer_{at}", f"transformer_xl/layer_{at}", f"layers/{at}"
        a = f"{f}/RelMultiHeadAttention_0"
        for part in PARTS:
            made.add("query", (64, 64, 4), f"{t}.dec_attn.qkv_net", f"{a}/{part}", f"{k}/rel_attn/{part}", bias=False,
                     nnx=f"{n}/attn/{part[0]}_proj")  # fmt: skip
        made.add("out", (64, 64, 4), f"{t}.dec_attn.o_net", f"{a}/out", f"{k}/rel_attn/attention_output", bias=False,
                 nnx=f"{n}/attn/o_proj")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.dec_attn.layer_norm", f"{f}/LayerNorm_0", f"{k}/self_attention_layer_norm",
                 nnx=f"{n}/norm1")  # fmt: skip
        made.add("query", (64, 64, 4), f"{t}.dec_attn.r_net", f"{a}/position", f"{k}/rel_attn/encoding", bias=False,
                 nnx=f"{n}/attn/r_proj", shift=dict.fromkeys(ALL, -2.5))  # fmt: skip
        made.add("dense", (64, 256), f"{t}.pos_ff.CoreNet.0", f"{f}/FeedForward_0/Dense_0", f"{k}/inner", nnx=f"{n}/ff/fc1")
        made.add("dense", (256, 64), f"{t}.pos_ff.CoreNet.3", f"{f}/FeedForward_0/Dense_1", f"{k}/output", nnx=f"{n}/ff/fc2")
        made.add("layernorm", (64,), f"{t}.pos_ff.layer_norm", f"{f}/LayerNorm_1", f"{k}/output_layer_norm", nnx=f"{n}/norm2")
    made.add("raw", (4, 16), ":r_w_bias", ":r_w_bias", "transformer_xl:content_attention_bias", nnx=":content_bias",
             shift=dict.fromkeys(ALL, -33.3))  # fmt: skip
    made.add("raw", (4, 16), ":r_r_bias", ":r_r_bias", "transformer_xl:positional_attention_bias", nnx=":position_bias",
             shift=dict.fromkeys(ALL, -34.2))  # fmt: skip
    made.add("dense", (64, 1000), "crit.out_layers.0", "Dense_0", "lm_logits", nnx="head")
    return made


def bloom(case):
    made = case("BLOOM")
    made.add("embed", (1000, 64), "transformer.word_embeddings", "transformer/word_embeddings", "token_embedding", nnx="embed")
    made.add("layernorm", (64,), "transformer.word_embeddings_layernorm", "transformer/word_embeddings_layernorm",
             "token_embedding_layernorm", nnx="embed_norm")  # fmt: skip
    for at in range(4):
        t, f, k, n = f"transformer.h.{at}", f"transformer/h/{at}", f"transformer_layer_{at}", f"blocks/{at}"
        made.add("layernorm", (64,), f"{t}.input_layernorm", f"{f}/input_layernorm", f"{k}/pre_attention_layernorm",
                 nnx=f"{n}/ln1")  # fmt: skip
        for part in PARTS:
            made.add("query", (64, 64, 4), f"{t}.self_attention.query_key_value", f"{f}/self_attention/query_key_value",
                     f"{k}/self_attention/{part}_dense", nnx=f"{n}/attn/{part}")  # fmt: skip
        made.add("dense", (64, 64), f"{t}.self_attention.dense", f"{f}/self_attention/dense", f"{k}/self_attention/output_dense",
                 nnx=f"{n}/attn/out")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.post_attention_layernorm", f"{f}/post_attention_layernorm",
                 f"{k}/post_attention_layernorm", nnx=f"{n}/ln2")  # fmt: skip
        made.add("dense", (64, 256), f"{t}.mlp.dense_h_to_4h", f"{f}/mlp/dense_h_to_4h", f"{k}/mlp_intermediate_dense",
                 nnx=f"{n}/mlp/up")  # fmt: skip
        made.add("dense", (256, 64), f"{t}.mlp.dense_4h_to_h", f"{f}/mlp/dense_4h_to_h", f"{k}/mlp_output_dense",
                 nnx=f"{n}/mlp/down")  # fmt: skip
    made.add("layernorm", (64,), "transformer.ln_f", "transformer/ln_f", "final_layernorm", nnx="ln_f")
    return made


def masked_autoencoder(case):
    made = case("masked autoencoder")
    count = itertools.count()

    def block(t, f, k, n, width):
        number = next(count)
        a, g = f"{k}/multi_head_attention{f'_{number}' if number else ''}", f"{f}/MultiHeadDotProductAttention_0"
        made.add("layernorm", (width,), f"{t}.norm1", f"{f}/LayerNorm_0", f"{k}/layer_normalization*", nnx=f"{n}/norm1")
        for part in PARTS:
            made.add("query", (width, width, 4), f"{t}.attn.qkv", f"{g}/{part}", f"{a}/{part}", nnx=f"{n}/attn/{part}")
        made.add("out", (width, width, 4), f"{t}.attn.proj", f"{g}/out", f"{a}/attention_output", nnx=f"{n}/attn/out")
        made.add("layernorm", (width,), f"{t}.norm2", f"{f}/LayerNorm_1", f"{k}/layer_normalization*", nnx=f"{n}/norm2")
        for at, sizes in enumerate(((width, 4 * width), (4 * width, width))):
            made.add("dense", sizes, f"{t}.mlp.fc{at + 1}", f"{f}/MlpBlock_0/Dense_{at}", f"{k}/dense*",
                     nnx=f"{n}/mlp/linear{at + 1}")  # fmt: skip

    made.add("conv", (16, 3, 96), "patch_embed.proj", "encoder/embedding", "patch_encoder/projection", nnx="encoder/patch")
    made.add("raw", (1, 197, 96), ":pos_embed", "encoder:pos_embedding", "patch_encoder:position_embedding", nnx="encoder:pos")
    made.add("raw", (1, 1, 96), ":cls_token", "encoder:cls", nnx="encoder:cls")
    for at in range(4):
        block(f"blocks.{at}", f"encoder/encoderblock_{at}", "mae_encoder", f"encoder/blocks/{at}", 96)
    made.add("layernorm", (96,), "norm", "encoder/encoder_norm", "mae_encoder/layer_normalization*", nnx="encoder/norm")
    made.add("dense", (96, 64), "decoder_embed", "decoder/bottleneck", "mae_decoder/dense*", nnx="decoder/embed")
    made.add("raw", (1, 1, 64), ":mask_token", "decoder:mask_token", "patch_encoder:mask_token", nnx="decoder:mask")
    made.add("raw", (1, 197, 64), ":decoder_pos_embed", "decoder:pos_embedding", "mae_decoder:position_embedding",
             nnx="decoder:pos")  # fmt: skip
    for at in range(2):
        block(f"decoder_blocks.{at}", f"decoder/encoderblock_{at}", "mae_decoder", f"decoder/blocks/{at}", 64)
    made.add("layernorm", (64,), "decoder_norm", "decoder/encoder_norm", "mae_decoder/layer_normalization*", nnx="decoder/norm")
    made.add("dense", (64, 768), "decoder_pred", "decoder/output", "mae_decoder/dense*", nnx="decoder/pred")
    return made


def decision_transformer(case):
    made = case("decision transformer")
    for at, sizes in enumerate(((8, 4, 32), (4, 32, 64), (3, 64, 64))):
        made.add("conv", sizes, f"state_encoder.{2 * at}", f"StateEncoder_0/Conv_{at}", f"state_encoder/conv2d_{at}",
                 nnx=f"state_encoder/conv{at + 1}")  # fmt: skip
    made.add("dense", (3136, 64), "state_encoder.7", "StateEncoder_0/Dense_0", "state_encoder/dense", nnx="state_encoder/fc")
    made.add("dense", (1, 64), "ret_emb.0", "Dense_0", "return_embedding", nnx="embed_return")
    made.add("embed", (18, 64), "action_embeddings.0", "Embed_0", "action_embedding", nnx="embed_action")
    made.add("raw", (1, 2000, 64), ":global_pos_emb", ":global_pos_embedding", "timestep_embedding:embeddings",
             nnx=":timestep_embedding")  # fmt: skip
    made.add("raw", (1, 91, 64), ":pos_emb", ":pos_embedding", "position_embedding:embeddings", nnx=":position_embedding")
    for at in range(4):
        t, f, k, n = f"blocks.{at}", f"Block_{at}", f"transformer_layer_{at}", f"blocks/{at}"
        a = f"{f}/MultiHeadDotProductAttention_0"
        made.add("layernorm", (64,), f"{t}.ln1", f"{f}/LayerNorm_0", f"{k}/self_attention_layer_norm", nnx=f"{n}/ln1")
        for part in ("key", "query", "value"):
            made.add("query", (64, 64, 4), f"{t}.attn.{part}", f"{a}/{part}", f"{k}/self_attention/{part}",
                     nnx=f"{n}/attn/{part}", shift=dict.fromkeys(ALL[1:], -1.5 if part == "query" else 0.0))  # fmt: skip
        made.add("out", (64, 64, 4), f"{t}.attn.proj", f"{a}/out", f"{k}/self_attention/attention_output", nnx=f"{n}/attn/out")
        made.add("layernorm", (64,), f"{t}.ln2", f"{f}/LayerNorm_1", f"{k}/feedforward_layer_norm", nnx=f"{n}/ln2")
        made.add("dense", (64, 256), f"{t}.mlp.0", f"{f}/Dense_0", f"{k}/feedforward_intermediate_dense", nnx=f"{n}/mlp/fc1")
        made.add("dense", (256, 64), f"{t}.mlp.2", f"{f}/Dense_1", f"{k}/feedforward_output_dense", nnx=f"{n}/mlp/fc2")
    made.add("layernorm", (64,), "ln_f", "LayerNorm_0", "layer_norm", nnx="ln_f")
    made.add("dense", (64, 18), "head", "Dense_1", "action_logits", bias=False, nnx="head")
    return made


def stable_diffusion(case):
    made = case("U-Net of stable diffusion")
    counts = collections.defaultdict(itertools.count)

    def fresh(word):
        number = next(counts[word])
        return f"{word}_{number}" if number else word

    def conv(sizes, t, f, n, k=""):
        made.add("conv", sizes, t, f, f"{k}{fresh('padded_conv2d')}/conv2d*", nnx=n)

    def residual(block, at, inner, outer):
        t, f = f"{block}.resnets.{at}", f"{block.replace('s.', 's_')}/resnets_{at}"
        n, k = f"{block.replace('_blocks', '').replace('_block', '')}/res/{at}", fresh("res_block")
        made.add("groupnorm", (inner,), f"{t}.norm1", f"{f}/norm1", f"{k}/group_normalization*", nnx=f"{n}/norm1")
        conv((3, inner, outer), f"{t}.conv1", f"{f}/conv1", f"{n}/conv1", f"{k}/")
        made.add("dense", (128, outer), f"{t}.time_emb_proj", f"{f}/time_emb_proj", f"{k}/dense*", nnx=f"{n}/time_proj")
        made.add("groupnorm", (outer,), f"{t}.norm2", f"{f}/norm2", f"{k}/group_normalization*", nnx=f"{n}/norm2")
        conv((3, outer, outer), f"{t}.conv2", f"{f}/conv2", f"{n}/conv2", f"{k}/")
        if inner != outer:
            conv((1, inner, outer), f"{t}.conv_shortcut", f"{f}/conv_shortcut", f"{n}/skip", f"{k}/")

    def transformer(block, at, width):
        t, f = f"{block}.attentions.{at}", f"{block.replace('s.', 's_')}/attentions_{at}"
        n, k = f"{block.replace('_blocks', '').replace('_block', '')}/attn/{at}", fresh("spatial_transformer")
        made.add("groupnorm", (width,), f"{t}.norm", f"{f}/norm", f"{k}/group_normalization*", nnx=f"{n}/norm")
        conv((1, width, width), f"{t}.proj_in", f"{f}/proj_in", f"{n}/proj_in", f"{k}/")
        b, g, m = f"{t}.transformer_blocks.0", f"{f}/transformer_blocks_0", f"{n}/block"
        s, k = k, f"{k}/{fresh('basic_transformer_block')}"
        for number, (source, attention) in enumerate(((width, "self_attn"), (48, "cross_attn")), 1):
            a = f"{k}/{fresh('cross_attention')}"
            made.add("layernorm", (width,), f"{b}.norm{number}", f"{g}/norm{number}", f"{k}/layer_normalization*",
                     nnx=f"{m}/norm{number}")  # fmt: skip
            for short in "qkv":
                made.add("dense", (width if short == "q" else source, width), f"{b}.attn{number}.to_{short}",
                         f"{g}/attn{number}/to_{short}", f"{a}/dense*", bias=False,
                         nnx=f"{m}/{attention}/{short}")  # fmt: skip
            made.add("dense", (width, width), f"{b}.attn{number}.to_out.0", f"{g}/attn{number}/to_out_0",
                     f"{a}/dense*", nnx=f"{m}/{attention}/out")  # fmt: skip
        made.add("layernorm", (width,), f"{b}.norm3", f"{g}/norm3", f"{k}/layer_normalization*", nnx=f"{m}/norm3")
        made.add("dense", (width, 8 * width), f"{b}.ff.net.0.proj", f"{g}/ff/net_0/proj", f"{k}/{fresh('geglu')}/dense*",
                 nnx=f"{m}/ff/geglu")  # fmt: skip
        made.add("dense", (4 * width, width), f"{b}.ff.net.2", f"{g}/ff/net_2", f"{k}/dense*", nnx=f"{m}/ff/out")
        conv((1, width, width), f"{t}.proj_out", f"{f}/proj_out", f"{n}/proj_out", f"{s}/")

    for at, sizes in enumerate(((32, 128), (128, 128)), 1):
        made.add("dense", sizes, f"time_embedding.linear_{at}", f"time_embedding/linear_{at}", "dense*", nnx=f"time_mlp/fc{at}")
    conv((3, 4, 32), "conv_in", "conv_in", "conv_in")
    residual("down_blocks.0", 0, 32, 32)
    transformer("down_blocks.0", 0, 32)
    conv((3, 32, 32), "down_blocks.0.downsamplers.0.conv", "down_blocks_0/downsamplers_0/conv", "down/0/downsample")
    residual("down_blocks.1", 0, 32, 64)
    residual("mid_block", 0, 64, 64)
    transformer("mid_block", 0, 64)
    residual("mid_block", 1, 64, 64)
    residual("up_blocks.0", 0, 128, 64)
    residual("up_blocks.0", 1, 96, 64)
    conv((3, 64, 64), "up_blocks.0.upsamplers.0.conv", "up_blocks_0/upsamplers_0/conv", "up/0/upsample", f"{fresh('upsample')}/")
    for at, inner in enumerate((96, 64)):
        residual("up_blocks.1", at, inner, 32)
        transformer("up_blocks.1", at, 32)
    made.add("groupnorm", (32,), "conv_norm_out", "conv_norm_out", "group_normalization*", nnx="norm_out")
    conv((3, 32, 4), "conv_out", "conv_out", "conv_out")
    return made


def collaborative_filter(case):
    made = case("NeuMF")
    for side, keras, width in (("GMF", "mf", 16), ("MLP", "mlp", 64)):
        for thing, count in (("user", 600), ("item", 400)):
            made.add("embed", (count, width), f"embed_{thing}_{side}", "Embed*", f"{keras}_embedding_{thing}",
                     nnx=f"{side.lower()}_{thing}_embed")  # fmt: skip
    for at, sizes in enumerate(((128, 64), (64, 32), (32, 16))):
        made.add("dense", sizes, f"MLP_layers.{3 * at + 1}", "Dense*", f"layer{at + 1}", nnx=f"mlp/layers/{at}")
    made.add("dense", (32, 1), "predict_layer", "Dense*", "prediction", nnx="out")
    return made


def fastspeech(case):
    made = case("FastSpeech 2")

    def stack(side):
        for at in range(3):
            t, f = f"{side}.layer_stack.{at}", f"{side}/FFTBlock_{at}"
            k, n = f"{side}/layer_{at}", f"{side}/blocks/{at}"
            a = f"{f}/SelfAttention_0"
            for part in PARTS:
                made.add("dense", (64, 64), f"{t}.slf_attn.w_{part[0]}s", f"{a}/{part}", f"{k}/attention/self/{part}",
                         nnx=f"{n}/attn/{part}")  # fmt: skip
            made.add("dense", (64, 64), f"{t}.slf_attn.fc", f"{a}/out", f"{k}/attention/output/dense", nnx=f"{n}/attn/out")
            made.add("layernorm", (64,), f"{t}.slf_attn.layer_norm", f"{f}/LayerNorm_0", f"{k}/attention/output/LayerNorm",
                     nnx=f"{n}/norm1")  # fmt: skip
            for number, sizes in enumerate(((9, 64, 256), (1, 256, 64))):
                made.add("conv1d", sizes, f"{t}.pos_ffn.w_{number + 1}", f"{f}/Conv_{number}",
                         f"{k}/intermediate/conv1d_{number + 1}", nnx=f"{n}/ffn/conv{number + 1}")  # fmt: skip
            made.add("layernorm", (64,), f"{t}.pos_ffn.layer_norm", f"{f}/LayerNorm_1", f"{k}/output/LayerNorm",
                     nnx=f"{n}/norm2")  # fmt: skip

    made.add("embed", (360, 64), "encoder.src_word_emb", "encoder/Embed_0", "embeddings/charactor_embeddings",
             nnx="encoder/embed")  # fmt: skip
    stack("encoder")
    for name, keras in (("duration", "duration"), ("pitch", "f0"), ("energy", "energy")):
        t, f = f"variance_adaptor.{name}_predictor", f"variance_adaptor/{name}_predictor"
        k, n = f"{keras}_predictor", f"adaptor/{name}"
        for at in range(2):
            made.add("conv1d", (3, 64, 64), f"{t}.conv_layer.conv1d_{at + 1}.conv", f"{f}/Conv_{at}", f"{k}/conv_{at}",
                     nnx=f"{n}/conv{at + 1}")  # fmt: skip
            made.add("layernorm", (64,), f"{t}.conv_layer.layer_norm_{at + 1}", f"{f}/LayerNorm_{at}", f"{k}/LayerNorm_{at}",
                     nnx=f"{n}/norm{at + 1}")  # fmt: skip
        made.add("dense", (64, 1), f"{t}.linear_layer", f"{f}/Dense_0", f"{k}/output_layer", nnx=f"{n}/linear")
    for name, keras, earlier in (("pitch", "f0", -5.5), ("energy", "energy", 0.0)):
        made.add("embed", (256, 64), f"variance_adaptor.{name}_embedding", f"variance_adaptor/{name}_embedding",
                 f"{keras}_embeddings", nnx=f"adaptor/{name}_embed", shift={"torch": earlier, "linen": earlier})  # fmt: skip
    stack("decoder")
    made.add("dense", (64, 80), "mel_linear", "Dense_0", "mel_before", nnx="mel")
    for at, (inner, outer) in enumerate(itertools.pairwise((80, 128, 128, 128, 128, 80))):
        made.add("conv1d", (5, inner, outer), f"postnet.convolutions.{at}.0.conv", f"postnet/Conv_{at}", f"postnet/conv_{at}",
                 nnx=f"postnet/{at}/conv")  # fmt: skip
        made.add("batchnorm", (outer,), f"postnet.convolutions.{at}.1", f"postnet/BatchNorm_{at}", f"postnet/batch_norm_{at}",
                 nnx=f"postnet/{at}/norm")  # fmt: skip
    return made
