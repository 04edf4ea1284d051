"""Models with attention that were written down before the rules were read again."""


def swin(case):
    made = case("Swin")
    made.add("conv", (4, 3, 48), "features.0.0", "patch_embed/proj", "patch_embedding/projection", nnx="patch_embed/conv")
    made.add("layernorm", (48,), "features.0.2", "patch_embed/norm", "patch_embedding/norm", nnx="patch_embed/norm")
    for stage, (wide, count) in enumerate([(48, 2), (96, 2), (192, 4)]):
        for at in range(count):
            t, f = f"features.{2 * stage + 1}.{at}", f"layers_{stage}/blocks_{at}"
            k, n = f"stage{stage + 1}/swin_block_{at}", f"stages/{stage}/blocks/{at}"
            made.add("layernorm", (wide,), f"{t}.norm1", f"{f}/norm1", f"{k}/layer_norm_1", nnx=f"{n}/norm1")
            for part in ("query", "key", "value"):
                made.add("dense", (wide, wide), f"{t}.attn.qkv", f"{f}/attn/qkv", f"{k}/attention/{part}", nnx=f"{n}/attn/qkv")
            made.add("dense", (wide, wide), f"{t}.attn.proj", f"{f}/attn/proj", f"{k}/attention/proj", nnx=f"{n}/attn/out")
            made.add("layernorm", (wide,), f"{t}.norm2", f"{f}/norm2", f"{k}/layer_norm_2", nnx=f"{n}/norm2")
            made.add("dense", (wide, 4 * wide), f"{t}.mlp.0", f"{f}/mlp/fc1", f"{k}/mlp/dense1", nnx=f"{n}/mlp/linear1")
            made.add("dense", (4 * wide, wide), f"{t}.mlp.3", f"{f}/mlp/fc2", f"{k}/mlp/dense2", nnx=f"{n}/mlp/linear2")
        if stage < 2:
            t, k = f"features.{2 * stage + 2}", f"stage{stage + 1}/downsample"
            f, n = f"layers_{stage}/downsample", f"stages/{stage}/merge"
            made.add("layernorm", (4 * wide,), f"{t}.norm", f"{f}/norm", f"{k}/norm", nnx=f"{n}/norm")
            made.add(
                "dense", (4 * wide, 2 * wide), f"{t}.reduction", f"{f}/reduction", f"{k}/reduction", bias=False, nnx=f"{n}/proj"
            )
    made.add("layernorm", (192,), "norm", "norm", "head_norm", nnx="norm")
    made.add("dense", (192, 100), "head", "head", "classifier", nnx="head")
    return made


def distilbert(case):
    made = case("DistilBERT")
    for name, keras, count in (("word_embeddings", "token_embedding", 3000), ("position_embeddings", "position_embedding", 128)):
        made.add("embed", (count, 96), f"distilbert.embeddings.{name}", f"distilbert/embeddings/{name}", f"embeddings/{keras}")
    made.add(
        "layernorm", (96,), "distilbert.embeddings.LayerNorm", "distilbert/embeddings/LayerNorm", "embeddings/layer_normalization"
    )
    for at in range(3):
        t, f = f"distilbert.transformer.layer.{at}", f"distilbert/transformer/layer/{at}"
        k = f"transformer_encoder{f'_{at}' if at else ''}"
        for native, part in (("q_lin", "query"), ("k_lin", "key"), ("v_lin", "value")):
            a = f"{f}/attention/{native}"
            made.add("query", (96, 96, 6), f"{t}.attention.{native}", a, f"{k}/self_attention_layer/{part}")
        a = f"{f}/attention/out_lin"
        made.add("out", (96, 96, 6), f"{t}.attention.out_lin", a, f"{k}/self_attention_layer/attention_output")
        made.add("layernorm", (96,), f"{t}.sa_layer_norm", f"{f}/sa_layer_norm", f"{k}/self_attention_layer_norm")
        made.add("dense", (96, 384), f"{t}.ffn.lin1", f"{f}/ffn/lin1", f"{k}/feedforward_intermediate_dense")
        made.add("dense", (384, 96), f"{t}.ffn.lin2", f"{f}/ffn/lin2", f"{k}/feedforward_output_dense")
        made.add("layernorm", (96,), f"{t}.output_layer_norm", f"{f}/output_layer_norm", f"{k}/feedforward_layer_norm")
    made.add("dense", (96, 96), "pre_classifier", "pre_classifier", "pooled_dense")
    made.add("dense", (96, 2), "classifier", "classifier", "logits")
    return made


def detector(case):
    made = case("DETR")
    made.add("conv", (1, 256, 64), "input_proj", "input_proj", "conv2d*")
    made.add("embed", (50, 64), "query_embed", "query_embed", "embedding*")
    for side, flax, keras, count in (("encoder", "encoder", "encoder_layer", 2), ("decoder", "decoder", "decoder_layer", 2)):
        for at in range(count):
            t, f, k = f"transformer.{side}.layers.{at}", f"{flax}_{at}", f"{keras}_{at}"
            attentions = [("self_attn", "self_attention", "self_attention")]
            if side == "decoder":
                attentions.append(("multihead_attn", "cross_attention", "cross_attention"))
            for number, (torch, linen, name) in enumerate(attentions, 1):
                for part in ("query", "key", "value"):
                    made.add("query", (64, 64, 4), f"{t}.{torch}!", f"{f}/{linen}/{part}", f"{k}/{name}/{part}")
                made.add("out", (64, 64, 4), f"{t}.{torch}.out_proj", f"{f}/{linen}/out", f"{k}/{name}/attention_output")
                made.add("layernorm", (64,), f"{t}.norm{number}", f"{f}/norm{number}", f"{k}/norm_{number}")
            made.add("dense", (64, 256), f"{t}.linear1", f"{f}/mlp/Dense_0", f"{k}/ffn/dense")
            made.add("dense", (256, 64), f"{t}.linear2", f"{f}/mlp/Dense_1", f"{k}/ffn/dense_1")
            last = number + 1
            made.add("layernorm", (64,), f"{t}.norm{last}", f"{f}/norm{last}", f"{k}/norm_{last}")
    made.add("layernorm", (64,), "transformer.decoder.norm", "decoder_norm", "decoder_norm")
    made.add("dense", (64, 92), "class_embed", "class_embed", "class_head")
    for at, outer in enumerate((64, 64, 4)):
        made.add("dense", (64, outer), f"bbox_embed.layers.{at}", f"bbox_embed/Dense_{at}", f"box_head/dense_{at}")
    return made


def conformer(case):
    made = case("Conformer")
    made.add("dense", (80, 72), "input_projection", "encoder_proj", "input_dense", nnx="proj")
    for at in range(3):
        t, f, k, n = f"conformer_layers.{at}", f"ConformerBlock_{at}", f"conformer_block_{at}", f"blocks/{at}"
        for name, flax, keras, place in (
            ("ffn1", "FeedForwardModule_0", "ff_module_1", "ff1"),
            ("", "", "", ""),
            ("ffn2", "FeedForwardModule_1", "ff_module_2", "ff2"),
        ):
            if name:
                s, g, layer, m = f"{t}.{name}.sequential", f"{f}/{flax}", f"{k}/{keras}", f"{n}/{place}"
                made.add("layernorm", (72,), f"{s}.0", f"{g}/LayerNorm_0", f"{layer}/ln", nnx=f"{m}/norm")
                made.add("dense", (72, 288), f"{s}.1", f"{g}/Dense_0", f"{layer}/dense_1", nnx=f"{m}/up")
                made.add("dense", (288, 72), f"{s}.4", f"{g}/Dense_1", f"{layer}/dense_2", nnx=f"{m}/down")
                continue
            made.add("layernorm", (72,), f"{t}.self_attn_layer_norm", f"{f}/LayerNorm_0", f"{k}/mhsa/ln", nnx=f"{n}/attn_norm")
            for part in ("query", "key", "value"):
                a = f"{f}/MultiHeadDotProductAttention_0/{part}"
                made.add("query", (72, 72, 4), f"{t}.self_attn!", a, f"{k}/mhsa/mha/{part}", nnx=f"{n}/attn/{part}")
            a = f"{f}/MultiHeadDotProductAttention_0/out"
            made.add("out", (72, 72, 4), f"{t}.self_attn.out_proj", a, f"{k}/mhsa/mha/attention_output", nnx=f"{n}/attn/out")
            c, g, layer, m = f"{t}.conv_module", f"{f}/ConvModule_0", f"{k}/conv", f"{n}/conv"
            made.add("layernorm", (72,), f"{c}.layer_norm", f"{g}/LayerNorm_0", f"{layer}/ln", nnx=f"{m}/norm")
            made.add("conv", (1, 72, 144), f"{c}.sequential.0", f"{g}/Conv_0", f"{layer}/pointwise_1", nnx=f"{m}/pointwise1")
            made.add("depthwise", (9, 1, 72), f"{c}.sequential.2", f"{g}/Conv_1", f"{layer}/depthwise", nnx=f"{m}/depthwise")
            made.add("batchnorm", (72,), f"{c}.sequential.3", f"{g}/BatchNorm_0", f"{layer}/bn", nnx=f"{m}/bn")
            made.add("conv", (1, 72, 72), f"{c}.sequential.5", f"{g}/Conv_2", f"{layer}/pointwise_2", nnx=f"{m}/pointwise2")
        made.add("layernorm", (72,), f"{t}.final_layer_norm", f"{f}/LayerNorm_1", f"{k}/ln_out", nnx=f"{n}/norm")
    made.add("dense", (72, 30), "classifier", "Dense_0", "ctc", nnx="head")
    return made


def gemma(case):
    made = case("Gemma")
    made.add("embed", (2000, 64), "model.embed_tokens", "embedder", "token_embedding", nnx="embedder/input_embedding")
    for at in range(4):
        t, f, k, n = f"model.layers.{at}", f"layer_{at}", f"decoder_block_{at}", f"layers/{at}"
        norm = "pre_attention_norm"
        made.add("layernorm", (64,), f"{t}.input_layernorm", f"{f}/{norm}", f"{k}/{norm}", bias=False, nnx=f"{n}/{norm}")
        for short, part, heads in (("q", "query", 4), ("k", "key", 4), ("v", "value", 4)):
            native = f"{short}_proj"
            made.add("query", (64, 64, heads), f"{t}.self_attn.{native}", f"{f}/attn/{native}", f"{k}/attention/{part}",
                     bias=False, nnx=f"{n}/attn/{native}")  # fmt: skip
        made.add("out", (64, 64, 4), f"{t}.self_attn.o_proj", f"{f}/attn/o_proj", f"{k}/attention/attention_output", bias=False,
                 nnx=f"{n}/attn/o_proj")  # fmt: skip
        post, norm = "post_attention_norm", "pre_ffw_norm"
        made.add("layernorm", (64,), f"{t}.post_attention_layernorm", f"{f}/{post}", f"{k}/{post}", bias=False, nnx=f"{n}/{post}")
        made.add("layernorm", (64,), f"{t}.pre_feedforward_layernorm", f"{f}/{norm}", f"{k}/{norm}", bias=False,
                 nnx=f"{n}/{norm}")  # fmt: skip
        wide = (64, 192)
        for native, keras, sizes in (
            ("gate_proj", "ffw_gating", wide),
            ("up_proj", "ffw_gating_2", wide),
            ("down_proj", "ffw_linear", wide[::-1]),
        ):
            made.add(
                "dense", sizes, f"{t}.mlp.{native}", f"{f}/mlp/{native}", f"{k}/{keras}", bias=False, nnx=f"{n}/mlp/{native}"
            )
        norm = "post_ffw_norm"
        made.add("layernorm", (64,), f"{t}.post_feedforward_layernorm", f"{f}/{norm}", f"{k}/{norm}", bias=False,
                 nnx=f"{n}/{norm}")  # fmt: skip
    made.add("layernorm", (64,), "model.norm", "final_norm", "final_normalization", bias=False, nnx="final_norm")
    return made


def state_space(case):
    made = case("Mamba")
    made.add("embed", (900, 48), "backbone.embedding", "Embed_0", "embedding*", nnx="embed")
    for at in range(4):
        t, f, k, n = f"backbone.layers.{at}", f"MambaBlock_{at}", f"mamba_block_{at}", f"layers/{at}"
        made.add("layernorm", (48,), f"{t}.norm", f"{f}/RMSNorm_0", f"{k}/norm", bias=False, nnx=f"{n}/norm")
        made.add("dense", (48, 192), f"{t}.mixer.in_proj", f"{f}/Dense_0", f"{k}/in_proj", bias=False, nnx=f"{n}/mixer/in_proj")
        made.add("depthwise", (4, 1, 96), f"{t}.mixer.conv1d", f"{f}/Conv_0", f"{k}/depthwise", nnx=f"{n}/mixer/conv")
        made.add("dense", (96, 35), f"{t}.mixer.x_proj", f"{f}/Dense_1", f"{k}/x_proj", bias=False, nnx=f"{n}/mixer/x_proj")
        made.add("dense", (3, 96), f"{t}.mixer.dt_proj", f"{f}/Dense_2", f"{k}/dt_proj", nnx=f"{n}/mixer/dt_proj")
        made.add("dense", (96, 48), f"{t}.mixer.out_proj", f"{f}/Dense_3", f"{k}/out_proj", bias=False, nnx=f"{n}/mixer/out_proj")
    made.add("layernorm", (48,), "backbone.norm_f", "RMSNorm_0", "final_norm", bias=False, nnx="norm_f")
    made.add("dense", (48, 900), "lm_head", "Dense_0", "lm_head", bias=False, nnx="lm_head")
    return made
