"""Transformers that were held out until the aligner was counted on them once."""


def t5(case):
    made = case("T5")
    made.add("embed", (4000, 64), "shared", "shared", "token_embedding")
    for side in ("encoder", "decoder"):
        for at in range(2):
            t, f, k = f"{side}.block.{at}.layer", f"{side}/block/{at}/layer", f"transformer_{side}_layer_{at}"
            kinds = [("SelfAttention", "self_attention"), ("EncDecAttention", "cross_attention")]
            for number, (torch, keras) in enumerate(kinds if side == "decoder" else kinds[:1]):
                made.add(
                    "layernorm",
                    (64,),
                    f"{t}.{number}.layer_norm",
                    f"{f}/{number}/layer_norm",
                    f"{k}/{keras}_layer_norm",
                    bias=False,
                )
                for native, part in (("q", "query"), ("k", "key"), ("v", "value")):
                    made.add(
                        "dense",
                        (64, 64),
                        f"{t}.{number}.{torch}.{native}",
                        f"{f}/{number}/{torch}/{native}",
                        f"{k}/{keras}/{part}_projector",
                        bias=False,
                    )
                made.add(
                    "dense",
                    (64, 64),
                    f"{t}.{number}.{torch}.o",
                    f"{f}/{number}/{torch}/o",
                    f"{k}/{keras}/output_projector",
                    bias=False,
                )
            last = number + 1
            made.add("layernorm", (64,), f"{t}.{last}.layer_norm", f"{f}/{last}/layer_norm", f"{k}/layer_norm", bias=False)
            made.add(
                "dense",
                (64, 256),
                f"{t}.{last}.DenseReluDense.wi",
                f"{f}/{last}/DenseReluDense/wi",
                f"{k}/input_projector",
                bias=False,
            )
            made.add(
                "dense",
                (256, 64),
                f"{t}.{last}.DenseReluDense.wo",
                f"{f}/{last}/DenseReluDense/wo",
                f"{k}/output_projector",
                bias=False,
            )
        made.add(
            "layernorm", (64,), f"{side}.final_layer_norm", f"{side}/final_layer_norm", f"{side}_output_layer_norm", bias=False
        )
    return made


def gpt2_of_hub(case):
    made = case("GPT-2 of the hub")
    made.add("embed", (3000, 48), "transformer.wte", "wte", "embedding*", nnx="token_embed")
    made.add("embed", (64, 48), "transformer.wpe", "wpe", "embedding*", nnx="pos_embed")
    for at in range(3):
        t, f, k, n = f"transformer.h.{at}", f"Block_{at}", f"decoder_block{f'_{at}' if at else ''}", f"blocks/{at}"
        made.add("layernorm", (48,), f"{t}.ln_1", f"{f}/LayerNorm_0", f"{k}/layer_normalization*", nnx=f"{n}/norm1")
        for part in ("query", "key", "value"):
            fused = f"{f}/CausalSelfAttention_0/Dense_0"
            made.add("dense", (48, 48, 3), f"{t}.attn.c_attn", fused, f"{k}/attention/{part}", nnx=f"{n}/attn/{part}")
        made.add(
            "dense",
            (48, 48, 3),
            f"{t}.attn.c_proj",
            f"{f}/CausalSelfAttention_0/Dense_1",
            f"{k}/attention/attention_output",
            nnx=f"{n}/attn/out",
        )
        made.add("layernorm", (48,), f"{t}.ln_2", f"{f}/LayerNorm_1", f"{k}/layer_normalization*", nnx=f"{n}/norm2")
        made.add("dense", (48, 192), f"{t}.mlp.c_fc", f"{f}/MLP_0/Dense_0", f"{k}/dense*", nnx=f"{n}/mlp/up")
        made.add("dense", (192, 48), f"{t}.mlp.c_proj", f"{f}/MLP_0/Dense_1", f"{k}/dense*", nnx=f"{n}/mlp/down")
    made.add("layernorm", (48,), "transformer.ln_f", "LayerNorm_0", "layer_normalization*", nnx="norm_f")
    made.add("dense", (48, 3000), "lm_head", "Dense_0", "dense*", nnx="head", bias=False)
    return made


def llama(case):
    made = case("Llama")
    made.add("embed", (3000, 64), "model.embed_tokens", "embedder", "token_embedding", nnx="embedder")
    for at in range(3):
        t, f, k, n = f"model.layers.{at}", f"layer_{at}", f"transformer_layer_{at}", f"layers/{at}"
        made.add(
            "layernorm",
            (64,),
            f"{t}.input_layernorm",
            f"{f}/pre_attention_norm",
            f"{k}/self_attention_layernorm",
            nnx=f"{n}/attn_norm",
            bias=False,
        )
        for native, part, wide in (("q", "query", 64), ("k", "key", 32), ("v", "value", 32)):
            made.add(
                "dense",
                (64, wide),
                f"{t}.self_attn.{native}_proj",
                f"{f}/attn/{native}_einsum",
                f"{k}/self_attention/{part}",
                nnx=f"{n}/attn/w{native}",
                bias=False,
            )
        made.add(
            "dense",
            (64, 64),
            f"{t}.self_attn.o_proj",
            f"{f}/attn/attn_vec_einsum",
            f"{k}/self_attention/attention_output",
            nnx=f"{n}/attn/wo",
            bias=False,
        )
        made.add(
            "layernorm",
            (64,),
            f"{t}.post_attention_layernorm",
            f"{f}/pre_ffw_norm",
            f"{k}/feedforward_layernorm",
            nnx=f"{n}/ffn_norm",
            bias=False,
        )
        made.add(
            "dense",
            (64, 160),
            f"{t}.mlp.gate_proj",
            f"{f}/mlp/gate",
            f"{k}/feedforward_gate_dense",
            nnx=f"{n}/mlp/w1",
            bias=False,
        )
        made.add(
            "dense",
            (64, 160),
            f"{t}.mlp.up_proj",
            f"{f}/mlp/up",
            f"{k}/feedforward_intermediate_dense",
            nnx=f"{n}/mlp/w3",
            bias=False,
        )
        made.add(
            "dense",
            (160, 64),
            f"{t}.mlp.down_proj",
            f"{f}/mlp/down",
            f"{k}/feedforward_output_dense",
            nnx=f"{n}/mlp/w2",
            bias=False,
        )
    made.add("layernorm", (64,), "model.norm", "final_norm", "sequence_output_layernorm", nnx="norm", bias=False)
    made.add("dense", (64, 3000), "lm_head", "lm_head", "reverse_embedding", nnx="output", bias=False)
    return made


def whisper(case):
    made = case("Whisper")
    made.add("conv", (3, 80, 64), "model.encoder.conv1", "encoder/Conv_0", "audio_encoder/conv1d*")
    made.add("conv", (3, 64, 64), "model.encoder.conv2", "encoder/Conv_1", "audio_encoder/conv1d*")
    for at in range(3):
        t, f, k = f"model.encoder.layers.{at}", f"encoder/EncoderBlock_{at}", f"audio_encoder/block_{at}"
        made.add("layernorm", (64,), f"{t}.self_attn_layer_norm", f"{f}/LayerNorm_0", f"{k}/attn_ln")
        for native, part in (("q", "query"), ("k", "key"), ("v", "value")):
            made.add("query", (64, 64, 4), f"{t}.self_attn.{native}_proj", f"{f}/MultiHeadAttention_0/{part}", f"{k}/attn/{part}")
        made.add("out", (64, 64, 4), f"{t}.self_attn.out_proj", f"{f}/MultiHeadAttention_0/out", f"{k}/attn/attention_output")
        made.add("layernorm", (64,), f"{t}.final_layer_norm", f"{f}/LayerNorm_1", f"{k}/mlp_ln")
        made.add("dense", (64, 256), f"{t}.fc1", f"{f}/MlpBlock_0/Dense_0", f"{k}/mlp/dense*")
        made.add("dense", (256, 64), f"{t}.fc2", f"{f}/MlpBlock_0/Dense_1", f"{k}/mlp/dense*")
    made.add("layernorm", (64,), "model.encoder.layer_norm", "encoder/LayerNorm_0", "audio_encoder/ln_post")
    return made


def mixture_of_experts(case):
    made = case("mixture of experts")
    made.add("embed", (3000, 64), "embed", "Embed_0", "embedding*")
    for at in range(2):
        t, f, k = f"blocks.{at}", f"Block_{at}", f"moe_block_{at}"
        made.add("dense", (64, 4), f"{t}.moe.router", f"{f}/MoE_0/gate", f"{k}/gate", bias=False)
        for expert in range(4):
            made.add(
                "dense",
                (64, 128),
                f"{t}.moe.experts.{expert}.w1",
                f"{f}/MoE_0/Expert_{expert}/Dense_0",
                f"{k}/expert_{expert}/dense*",
            )
            made.add(
                "dense",
                (128, 64),
                f"{t}.moe.experts.{expert}.w2",
                f"{f}/MoE_0/Expert_{expert}/Dense_1",
                f"{k}/expert_{expert}/dense*",
            )
    made.add("dense", (64, 3000), "head", "Dense_0", "dense*")
    return made
