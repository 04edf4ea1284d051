"""Transformers."""


def vit(case):
    made = case("ViT")
    made.add("conv", (16, 3, 192), "conv_proj", "embedding", "patch_embed/conv2d")
    for at in range(4):
        t, f, k = (
            f"encoder.layers.encoder_layer_{at}",
            f"Transformer/encoderblock_{at}",
            f"transformer_block{f'_{at}' if at else ''}",
        )
        made.add("layernorm", (192,), f"{t}.ln_1", f"{f}/LayerNorm_0", f"{k}/layer_normalization*")
        for part in ("query", "key", "value"):
            attn = f"{f}/MultiHeadDotProductAttention_0"
            made.add("query", (192, 192, 3), f"{t}.self_attention!", f"{attn}/{part}", f"{k}/multi_head_attention/{part}")
        made.add(
            "out", (192, 192, 3), f"{t}.self_attention.out_proj", f"{attn}/out", f"{k}/multi_head_attention/attention_output"
        )
        made.add("layernorm", (192,), f"{t}.ln_2", f"{f}/LayerNorm_1", f"{k}/layer_normalization*")
        made.add("dense", (192, 768), f"{t}.mlp.0", f"{f}/MlpBlock_0/Dense_0", f"{k}/dense*")
        made.add("dense", (768, 192), f"{t}.mlp.3", f"{f}/MlpBlock_0/Dense_1", f"{k}/dense*")
    made.add("layernorm", (192,), "encoder.ln", "Transformer/encoder_norm", "layer_normalization*")
    made.add("dense", (192, 1000), "heads.head", "head", "dense*")
    return made


def bert(case):
    made = case("BERT")
    for table, size, linen in (("word", 3000, "word"), ("position", 512, "position"), ("token_type", 2, "token_type")):
        made.add("embed", (size, 96), f"bert.embeddings.{table}_embeddings", f"bert/embeddings/{linen}_embeddings",
                 f"{table}_embedding")  # fmt: skip
    made.add("layernorm", (96,), "bert.embeddings.LayerNorm", "bert/embeddings/LayerNorm", "embeddings_layer_norm")
    for at in range(3):
        t, f, k = f"bert.encoder.layer.{at}", f"bert/encoder/layer/{at}", f"transformer_layer_{at}"
        for part in ("query", "key", "value"):
            made.add(
                "query",
                (96, 96, 4),
                f"{t}.attention.self.{part}",
                f"{f}/attention/self/{part}",
                f"{k}/self_attention_layer/{part}",
            )
        made.add("out", (96, 96, 4), f"{t}.attention.output.dense", f"{f}/attention/output/dense",
                 f"{k}/self_attention_layer/attention_output")  # fmt: skip
        made.add("layernorm", (96,), f"{t}.attention.output.LayerNorm", f"{f}/attention/output/LayerNorm",
                 f"{k}/self_attention_layer_norm")  # fmt: skip
        made.add("dense", (96, 384), f"{t}.intermediate.dense", f"{f}/intermediate/dense", f"{k}/feedforward_intermediate_dense")
        made.add("dense", (384, 96), f"{t}.output.dense", f"{f}/output/dense", f"{k}/feedforward_output_dense")
        made.add("layernorm", (96,), f"{t}.output.LayerNorm", f"{f}/output/LayerNorm", f"{k}/feedforward_layer_norm")
    made.add("dense", (96, 96), "bert.pooler.dense", "bert/pooler/dense", "pooled_dense")
    made.add("dense", (96, 2), "classifier", "classifier", "logits")
    return made


def gpt2(case):
    made = case("GPT-2: nanoGPT, Flax, Keras")
    made.add("embed", (5000, 64), "transformer.wte", "transformer/wte", "token_and_position_embedding/token_embedding")
    made.add("embed", (128, 64), "transformer.wpe", "transformer/wpe", "token_and_position_embedding/position_embedding")
    for at in range(4):
        t, f, k = f"transformer.h.{at}", f"h_{at}", f"transformer_layer_{at}"
        made.add("layernorm", (64,), f"{t}.ln_1", f"{f}/LayerNorm_0", f"{k}/self_attention_layer_norm")
        for part in ("query", "key", "value"):
            made.add("query", (64, 64, 4), f"{t}.attn.c_attn", f"{f}/attn/{part}", f"{k}/self_attention/{part}")
        made.add("out", (64, 64, 4), f"{t}.attn.c_proj", f"{f}/attn/out", f"{k}/self_attention/attention_output")
        made.add("layernorm", (64,), f"{t}.ln_2", f"{f}/LayerNorm_1", f"{k}/feedforward_layer_norm")
        made.add("dense", (64, 256), f"{t}.mlp.c_fc", f"{f}/mlp/Dense_0", f"{k}/feedforward_intermediate_dense")
        made.add("dense", (256, 64), f"{t}.mlp.c_proj", f"{f}/mlp/Dense_1", f"{k}/feedforward_output_dense")
    made.add("layernorm", (64,), "transformer.ln_f", "ln_f", "layer_norm")
    return made


def translation(case):
    made = case("encoder-decoder")
    made.add("embed", (4000, 64), "src_embed", "encoder/Embed_0", "encoder_embedding")
    made.add("embed", (4000, 64), "tgt_embed", "decoder/Embed_0", "decoder_embedding")
    for side in ("encoder", "decoder"):
        for at in range(2):
            t, f, k = f"{side}.layers.{at}", f"{side}/{side}block_{at}", f"{side}_block_{at}"
            kinds = [
                ("self_attn", "SelfAttention_0", "self_attention"),
                ("multihead_attn", "MultiHeadDotProductAttention_0", "cross_attention"),
            ]
            for number, (torch, linen, keras) in enumerate(kinds if side == "decoder" else kinds[:1]):
                for part in ("query", "key", "value"):
                    made.add("query", (64, 64, 4), f"{t}.{torch}!", f"{f}/{linen}/{part}", f"{k}/{keras}/{part}")
                made.add("out", (64, 64, 4), f"{t}.{torch}.out_proj", f"{f}/{linen}/out", f"{k}/{keras}/attention_output")
                made.add("layernorm", (64,), f"{t}.norm{number + 1}", f"{f}/LayerNorm_{number}", f"{k}/norm{number + 1}")
            made.add("dense", (64, 256), f"{t}.linear1", f"{f}/MlpBlock_0/Dense_0", f"{k}/ffn/dense*")
            made.add("dense", (256, 64), f"{t}.linear2", f"{f}/MlpBlock_0/Dense_1", f"{k}/ffn/dense*")
            made.add("layernorm", (64,), f"{t}.norm3" if side == "decoder" else f"{t}.norm2", f"{f}/LayerNorm_{number + 1}",
                     f"{k}/norm{number + 2}")  # fmt: skip
    made.add("dense", (64, 4000), "generator", "logitdense", "logits")
    return made
