"""Models with attention that were written down in ignorance of the rules."""

PARTS = ("query", "key", "value")


def diffusion(case):
    made = case("DiT")
    made.add("raw", (1, 256, 64), ":pos_embed", nnx=":pos_embed")
    made.add("conv", (2, 4, 64), "x_embedder.proj", "PatchEmbed_0/Conv_0", "patch_embedding", nnx="patch_embed/proj")
    for at, (torch, nnx, sizes) in enumerate(((0, "in_layer", (256, 64)), (2, "out_layer", (64, 64)))):
        made.add("dense", sizes, f"t_embedder.mlp.{torch}", f"TimestepEmbedder_0/Dense_{at}", f"timestep_embedding/dense_{at}",
                 nnx=f"time_embed/{nnx}")  # fmt: skip
    made.add("embed", (11, 64), "y_embedder.embedding_table", "LabelEmbedder_0/Embed_0", "label_embedding", nnx="label_embed")
    for at in range(4):
        t, f, k, n = f"blocks.{at}", f"DiTBlock_{at}", f"dit_block_{at}", f"blocks/{at}"
        made.add("dense", (64, 384), f"{t}.adaLN_modulation.1", f"{f}/Dense_0", f"{k}/modulation", nnx=f"{n}/ada_ln/linear")
        for part in PARTS:
            a = f"{f}/MultiHeadDotProductAttention_0"
            made.add("query", (64, 64, 4), f"{t}.attn.qkv", f"{a}/{part}", f"{k}/attn/{part}", nnx=f"{n}/attn/{part}")
        made.add("out", (64, 64, 4), f"{t}.attn.proj", f"{a}/out", f"{k}/attn/attention_output", nnx=f"{n}/attn/out")
        made.add("dense", (64, 256), f"{t}.mlp.fc1", f"{f}/MlpBlock_0/Dense_0", f"{k}/mlp_dense_1", nnx=f"{n}/mlp/fc1")
        made.add("dense", (256, 64), f"{t}.mlp.fc2", f"{f}/MlpBlock_0/Dense_1", f"{k}/mlp_dense_2", nnx=f"{n}/mlp/fc2")
    made.add("dense", (64, 128), "final_layer.adaLN_modulation.1", "FinalLayer_0/Dense_0", "final/modulation",
             nnx="final/ada_ln/linear")  # fmt: skip
    made.add("dense", (64, 32), "final_layer.linear", "FinalLayer_0/Dense_1", "final/projection", nnx="final/linear")
    return made


def experts(case):
    made = case("Mixtral")
    made.add("embed", (1000, 64), "model.embed_tokens", "embedder:input_embedding", "token_embedding", nnx="embed")
    for at in range(3):
        t, f, k, n = f"model.layers.{at}", f"layer_{at}", f"transformer_layer_{at}", f"layers/{at}"
        made.add("rmsnorm", (64,), f"{t}.input_layernorm", f"{f}/pre_attention_norm", f"{k}/self_attention_layernorm",
                 nnx=f"{n}/norm1")  # fmt: skip
        made.add("query", (64, 64, 8), f"{t}.self_attn.q_proj", f"{f}/attn/q_einsum", f"{k}/self_attention/query",
                 bias=False, nnx=f"{n}/attn/wq")  # fmt: skip
        for short, part in (("k", "key"), ("v", "value")):
            made.add("query", (64, 16, 2), f"{t}.self_attn.{short}_proj", f"{f}/attn/kv_einsum#", f"{k}/self_attention/{part}",
                     bias=False, nnx=f"{n}/attn/w{short}")  # fmt: skip
        made.add("out", (64, 64, 8), f"{t}.self_attn.o_proj", f"{f}/attn/attn_vec_einsum", f"{k}/self_attention/attention_output",
                 bias=False, nnx=f"{n}/attn/wo")  # fmt: skip
        made.add("rmsnorm", (64,), f"{t}.post_attention_layernorm", f"{f}/pre_ffw_norm", f"{k}/feedforward_layernorm",
                 nnx=f"{n}/norm2")  # fmt: skip
        made.add("dense", (64, 4), f"{t}.block_sparse_moe.gate", f"{f}/moe/router", f"{k}/moe/router", bias=False,
                 nnx=f"{n}/moe/gate")  # fmt: skip
        for expert in range(4):
            for short, keras, sizes in (
                ("w1", "gate", (64, 112)),
                ("w3", "intermediate", (64, 112)),
                ("w2", "output", (112, 64)),
            ):
                made.add("dense", sizes, f"{t}.block_sparse_moe.experts.{expert}.{short}", f"{f}/moe/{short}#",
                         f"{k}/moe/expert_bank_{keras}#", bias=False, nnx=f"{n}/moe/experts/{expert}/{short}")  # fmt: skip
    made.add("rmsnorm", (64,), "model.norm", "final_norm", "sequence_output_layernorm", nnx="norm")
    made.add("dense", (64, 1000), "lm_head", "lm_head", "reverse_embedding", bias=False, nnx="lm_head")
    return made


def albert(case):
    made = case("ALBERT")
    for name, keras, nnx, count in (("word", "token", "tokens", 1000), ("position", "position", "positions", 64),
                                    ("token_type", "segment", "segments", 2)):  # fmt: skip
        e = f"{name}_embeddings"
        made.add(
            "embed", (count, 32), f"albert.embeddings.{e}", f"albert/embeddings/{e}", f"{keras}_embedding", nnx=f"embed/{nnx}"
        )
    made.add("layernorm", (32,), "albert.embeddings.LayerNorm", "albert/embeddings/LayerNorm", "embeddings_layer_norm",
             nnx="embed/norm")  # fmt: skip
    made.add("dense", (32, 96), "albert.encoder.embedding_hidden_mapping_in", "albert/encoder/embedding_hidden_mapping_in",
             "embedding_projection", nnx="encoder/project")  # fmt: skip
    t = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    f = "albert/encoder/albert_layer_groups/layers/0/albert_layers/layers/0"
    k, n = "group_0_inner_layer_0", "encoder/shared"
    for part in PARTS:
        made.add("query", (96, 96, 4), f"{t}.attention.{part}", f"{f}/attention/{part}", f"{k}/self_attention_layer/{part}",
                 nnx=f"{n}/attn/{part}")  # fmt: skip
    made.add("out", (96, 96, 4), f"{t}.attention.dense", f"{f}/attention/dense", f"{k}/self_attention_layer/attention_output",
             nnx=f"{n}/attn/out")  # fmt: skip
    made.add("layernorm", (96,), f"{t}.attention.LayerNorm", f"{f}/attention/LayerNorm", f"{k}/self_attention_layer_norm",
             nnx=f"{n}/norm1")  # fmt: skip
    made.add("dense", (96, 384), f"{t}.ffn", f"{f}/ffn", f"{k}/feedforward_intermediate_dense", nnx=f"{n}/mlp/up")
    made.add("dense", (384, 96), f"{t}.ffn_output", f"{f}/ffn_output", f"{k}/feedforward_output_dense", nnx=f"{n}/mlp/down")
    made.add("layernorm", (96,), f"{t}.full_layer_layer_norm", f"{f}/full_layer_layer_norm", f"{k}/feedforward_layer_norm",
             nnx=f"{n}/norm2")  # fmt: skip
    made.add("dense", (96, 96), "albert.pooler", "albert/pooler", "pooled_dense", nnx="pool")
    made.add("dense", (96, 32), "predictions.dense", "predictions/dense", "mlm_dense", nnx="mlm/fc")
    made.add("layernorm", (32,), "predictions.LayerNorm", "predictions/LayerNorm", "mlm_layer_norm", nnx="mlm/norm")
    return made


def bart(case):
    made = case("BART")
    made.add("embed", (1000, 64), "model.shared", "shared_embedding", "token_embedding", nnx="tokens")
    for side, flax, attentions in (
        ("encoder", "encoderblock", (("self_attn", "self_attention_layer", "attn"),)),
        (
            "decoder",
            "encoderdecoderblock",
            (("self_attn", "self_attention", "attn"), ("encoder_attn", "cross_attention", "cross")),
        ),
    ):
        made.add("embed", (130, 64), f"model.{side}.embed_positions", f"{side}/posembed", f"{side}_position_embedding",
                 nnx=f"{side}/positions")  # fmt: skip
        made.add("layernorm", (64,), f"model.{side}.layernorm_embedding", f"{side}/LayerNorm_0", f"{side}_embeddings_layer_norm",
                 nnx=f"{side}/embed_norm")  # fmt: skip
        for at in range(3):
            t, f = f"model.{side}.layers.{at}", f"{side}/{flax}_{at}"
            k, n = f"transformer_{side}_layer_{at}", f"{side}/blocks/{at}"
            for number, (torch, keras, nnx) in enumerate(attentions):
                a = f"{f}/MultiHeadDotProductAttention_{number}"
                for short, part in (("q", "query"), ("k", "key"), ("v", "value")):
                    made.add("query", (64, 64, 4), f"{t}.{torch}.{short}_proj", f"{a}/{part}", f"{k}/{keras}/{part}",
                             nnx=f"{n}/{nnx}/{part}")  # fmt: skip
                made.add("out", (64, 64, 4), f"{t}.{torch}.out_proj", f"{a}/out", f"{k}/{keras}/attention_output",
                         nnx=f"{n}/{nnx}/out")  # fmt: skip
                made.add("layernorm", (64,), f"{t}.{torch}_layer_norm", f"{f}/LayerNorm_{number}", f"{k}/{keras}_norm",
                         nnx=f"{n}/{nnx}_norm")  # fmt: skip
            made.add("dense", (64, 256), f"{t}.fc1", f"{f}/MlpBlock_0/Dense_0", f"{k}/feedforward_intermediate_dense",
                     nnx=f"{n}/mlp/wi")  # fmt: skip
            made.add("dense", (256, 64), f"{t}.fc2", f"{f}/MlpBlock_0/Dense_1", f"{k}/feedforward_output_dense",
                     nnx=f"{n}/mlp/wo")  # fmt: skip
            made.add("layernorm", (64,), f"{t}.final_layer_norm", f"{f}/LayerNorm_{len(attentions)}",
                     f"{k}/feedforward_layer_norm", nnx=f"{n}/mlp_norm")  # fmt: skip
    return made


def perceiver(case):
    made = case("Perceiver")

    def block(t, f, k, n, source=None):
        made.add("layernorm", (64,), f"{t}.attention.self.layernorm1", f"{f}/LayerNorm_0", f"{k}/layer_normalization*",
                 nnx=f"{n}/norm_q")  # fmt: skip
        if source:
            made.add("layernorm", (source,), f"{t}.attention.self.layernorm2", f"{f}/LayerNorm_1", f"{k}/layer_normalization*",
                     nnx=f"{n}/norm_kv")  # fmt: skip
        a = f"{f}/Attention_0"
        for at, part in enumerate(PARTS):
            inner = 64 if part == "query" else source or 64
            made.add("dense", (inner, 64), f"{t}.attention.self.{part}", f"{a}/Dense_{at}", f"{k}/attention/{part}_dense",
                     nnx=f"{n}/attn/to_{part[0]}")  # fmt: skip
        made.add("dense", (64, 64), f"{t}.attention.output.dense", f"{a}/Dense_3", f"{k}/attention/output_dense",
                 nnx=f"{n}/attn/to_out")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.layernorm", f"{f}/LayerNorm_{2 if source else 1}", f"{k}/layer_normalization*",
                 nnx=f"{n}/norm_mlp")  # fmt: skip
        for at in range(2):
            made.add("dense", (64, 64), f"{t}.mlp.dense{at + 1}", f"{f}/MLP_0/Dense_{at}", f"{k}/dense*",
                     nnx=f"{n}/mlp/{('fc_in', 'fc_out')[at]}")  # fmt: skip

    made.add("raw", (32, 64), "perceiver.embeddings:latents", "PerceiverEncoder_0:latents", "latent_array:latents",
             nnx=":latents")  # fmt: skip
    e = "perceiver.encoder"
    block(f"{e}.cross_attention", "PerceiverEncoder_0/CrossAttention_0", "encoder_cross_attention", "encode", 40)
    for at in range(4):
        block(f"{e}.self_attends.{at}", f"PerceiverEncoder_0/SelfAttention_{at}", f"latent_block_{at}", f"process/{at}")
    made.add("raw", (1, 64), "perceiver.decoder.output_position_encodings:position_embeddings", "PerceiverDecoder_0:queries",
             "output_query:queries", nnx=":queries")  # fmt: skip
    block(
        "perceiver.decoder.decoding_cross_attention",
        "PerceiverDecoder_0/CrossAttention_0",
        "decoder_cross_attention",
        "decode",
        64,
    )
    made.add("dense", (64, 10), "perceiver.decoder.final_layer", "PerceiverDecoder_0/Dense_0", "logits", nnx="head")
    return made


def segformer(case):
    made = case("SegFormer")
    widths = (32, 64, 160)
    for stage, (inner, outer) in enumerate(zip((3, *widths), widths, strict=False)):
        t, f = f"segformer.encoder.patch_embeddings.{stage}", f"stage_{stage}/OverlapPatchEmbed_0"
        k, n = f"overlapping_patching_and_embedding_{stage}", f"encoder/{stage}/patch"
        made.add("conv", (7 if not stage else 3, inner, outer), f"{t}.proj", f"{f}/Conv_0", f"{k}/proj", nnx=f"{n}/conv")
        made.add("layernorm", (outer,), f"{t}.layer_norm", f"{f}/LayerNorm_0", f"{k}/norm", nnx=f"{n}/norm")
        for at in range(2):
            t, f = f"segformer.encoder.block.{stage}.{at}", f"stage_{stage}/block_{at}"
            k, n = f"hierarchical_transformer_encoder_{stage}_{at}", f"encoder/{stage}/blocks/{at}"
            made.add("layernorm", (outer,), f"{t}.layer_norm_1", f"{f}/LayerNorm_0", f"{k}/norm1", nnx=f"{n}/norm1")
            a, g = f"{t}.attention.self", f"{f}/EfficientAttention_0"
            made.add("dense", (outer, outer), f"{a}.query", f"{g}/Dense_0", f"{k}/attn/q", nnx=f"{n}/attn/q")
            if stage < 2:
                made.add("conv", (8 >> stage, outer, outer), f"{a}.sr", f"{g}/Conv_0", f"{k}/attn/sr", nnx=f"{n}/attn/reduce")
                made.add("layernorm", (outer,), f"{a}.layer_norm", f"{g}/LayerNorm_0", f"{k}/attn/norm", nnx=f"{n}/attn/norm")
            for part, number in (("key", 1), ("value", 2)):
                made.add("dense", (outer, outer), f"{a}.{part}", f"{g}/Dense_{number}", f"{k}/attn/{part[0]}",
                         nnx=f"{n}/attn/{part[0]}")  # fmt: skip
            made.add(
                "dense", (outer, outer), f"{t}.attention.output.dense", f"{g}/Dense_3", f"{k}/attn/proj", nnx=f"{n}/attn/proj"
            )
            made.add("layernorm", (outer,), f"{t}.layer_norm_2", f"{f}/LayerNorm_1", f"{k}/norm2", nnx=f"{n}/norm2")
            m, g = f"{t}.mlp", f"{f}/MixFFN_0"
            made.add("dense", (outer, 4 * outer), f"{m}.dense1", f"{g}/Dense_0", f"{k}/mlp/fc1", nnx=f"{n}/mlp/fc1")
            made.add("depthwise", (3, 1, 4 * outer), f"{m}.dwconv.dwconv", f"{g}/Conv_0", f"{k}/mlp/dwconv", nnx=f"{n}/mlp/dw")
            made.add("dense", (4 * outer, outer), f"{m}.dense2", f"{g}/Dense_1", f"{k}/mlp/fc2", nnx=f"{n}/mlp/fc2")
        made.add("layernorm", (outer,), f"segformer.encoder.layer_norm.{stage}", f"stage_{stage}/LayerNorm_0", f"norm_{stage}",
                 nnx=f"encoder/{stage}/norm")  # fmt: skip
    for stage, width in enumerate(widths):
        made.add("dense", (width, 96), f"decode_head.linear_c.{stage}.proj", f"head/Dense_{stage}", f"linear_{stage}",
                 nnx=f"head/project/{stage}")  # fmt: skip
    made.add("conv", (1, 288, 96), "decode_head.linear_fuse", "head/Conv_0", "fuse_conv", nnx="head/fuse/conv", bias=False)
    made.add("batchnorm", (96,), "decode_head.batch_norm", "head/BatchNorm_0", "fuse_bn", nnx="head/fuse/norm")
    made.add("conv", (1, 96, 19), "decode_head.classifier", "head/Conv_1", "segmentation", nnx="head/logits")
    return made


def rwkv(case):
    made = case("RWKV")
    made.add("embed", (900, 64), "emb", "Embed_0", "embedding*", nnx="embed")
    made.add("layernorm", (64,), "blocks.0.ln0", "LayerNorm_0", "ln_in", nnx="norm_in")
    for at in range(3):
        t, f, k, n = f"blocks.{at}", f"Block_{at}", f"rwkv_block_{at}", f"blocks/{at}"
        made.add("layernorm", (64,), f"{t}.ln1", f"{f}/LayerNorm_0", f"{k}/ln1", nnx=f"{n}/norm1")
        a, g, h, m = f"{t}.att", f"{f}/TimeMix_0", f"{k}/time_mix", f"{n}/time_mixing"
        for role, nnx, shape in (("time_decay", "decay", (64,)), ("time_first", "bonus", (64,)),
                                 *((f"time_mix_{part}", f"mix_{part}", (1, 1, 64)) for part in "kvr")):  # fmt: skip
            made.add("raw", shape, f"{a}:{role}", f"{g}:{role}", f"{h}:{role}", nnx=f"{m}:{nnx}")
        for number, (part, short) in enumerate((("key", "k"), ("value", "v"), ("receptance", "r"), ("output", "o"))):
            made.add("dense", (64, 64), f"{a}.{part}", f"{g}/Dense_{number}", f"{h}/{part}", bias=False, nnx=f"{m}/w_{short}")
        made.add("layernorm", (64,), f"{t}.ln2", f"{f}/LayerNorm_1", f"{k}/ln2", nnx=f"{n}/norm2")
        a, g, h, m = f"{t}.ffn", f"{f}/ChannelMix_0", f"{k}/channel_mix", f"{n}/channel_mixing"
        for part in "kr":
            made.add(
                "raw", (1, 1, 64), f"{a}:time_mix_{part}", f"{g}:time_mix_{part}", f"{h}:time_mix_{part}", nnx=f"{m}:mix_{part}"
            )
        for number, (part, sizes) in enumerate((("key", (64, 256)), ("receptance", (64, 64)), ("value", (256, 64)))):
            made.add("dense", sizes, f"{a}.{part}", f"{g}/Dense_{number}", f"{h}/{part}", bias=False, nnx=f"{m}/w_{part[0]}")
    made.add("layernorm", (64,), "ln_out", "LayerNorm_1", "ln_out", nnx="norm_out")
    made.add("dense", (64, 900), "head", "Dense_0", "dense*", bias=False, nnx="head")
    return made
