"""Models of which a port lacks layers, has more of them, or calls them in another order."""


def adapted(case):
    made = case("adapters of low rank")
    made.add("embed", (700, 64), "base.embed", "Embed_0", "token_embedding", nnx="embed")
    for at in range(3):
        t, f, k, n = f"base.layers.{at}", f"Block_{at}", f"block_{at}", f"blocks/{at}"
        made.add("layernorm", (64,), f"{t}.norm1", f"{f}/LayerNorm_0", f"{k}/ln1", nnx=f"{n}/ln1")
        for short, part in (("q", "query"), ("k", "key"), ("v", "value")):
            a = f"{t}.attn.{short}_proj"
            if short != "k":
                made.add("dense", (64, 8), f"{a}.lora_A.default", bias=False)
                made.add("dense", (8, 64), f"{a}.lora_B.default", bias=False)
            attention = f"{f}/MultiHeadDotProductAttention_0"
            made.add("query", (64, 64, 4), f"{a}.base_layer", f"{attention}/{part}", f"{k}/attn/{part}", nnx=f"{n}/attn/{part}")
        attention = f"{f}/MultiHeadDotProductAttention_0"
        made.add("out", (64, 64, 4), f"{t}.attn.o_proj", f"{attention}/out", f"{k}/attn/attention_output", nnx=f"{n}/attn/out")
        made.add("layernorm", (64,), f"{t}.norm2", f"{f}/LayerNorm_1", f"{k}/ln2", nnx=f"{n}/ln2")
        made.add("dense", (64, 128), f"{t}.mlp.up_proj", f"{f}/Dense_0", f"{k}/mlp_1", nnx=f"{n}/mlp/fc1")
        made.add("dense", (128, 64), f"{t}.mlp.down_proj", f"{f}/Dense_1", f"{k}/mlp_2", nnx=f"{n}/mlp/fc2")
    made.add("dense", (64, 700), "lm_head", "Dense_0", "head", bias=False, nnx="head")
    return made


def supervised_deeply(case):
    made = case("heads at several depths")
    inner = 3
    for at, outer in enumerate((32, 64, 64, 64)):
        made.add("conv", (3, inner, outer), f"stages.{at}.0", f"Stage_{at}/Conv_0", f"stage_{at}_conv", nnx=f"stages/{at}/conv")
        made.add("batchnorm", (outer,), f"stages.{at}.1", f"Stage_{at}/BatchNorm_0", f"stage_{at}_bn", nnx=f"stages/{at}/norm")
        if at in {1, 2}:
            made.add("dense", (64, 10), f"aux.{at - 1}", f"aux_{at - 1}")
        inner = outer
    made.add("dense", (64, 10), "fc", "Dense_0", "logits", nnx="head")
    return made


def shortened(case):
    made = case("a port with fewer blocks")
    made.add("dense", (32, 64), "stem", "Dense_0", "dense_in", nnx="stem")
    for at in range(5):
        t, f, k = f"blocks.{at}", f"Block_{at}", f"block_{at}" if at < 3 else ""
        n = f"blocks/{at}" if at < 4 else ""
        for number, sizes in enumerate(((64, 256), (256, 64)), 1):
            made.add("dense", sizes, f"{t}.fc{number}", f"{f}/Dense_{number - 1}", k and f"{k}/dense_{number}",
                     nnx=n and f"{n}/fc{number}")  # fmt: skip
        made.add("layernorm", (64,), f"{t}.norm", f"{f}/LayerNorm_0", k and f"{k}/norm", nnx=n and f"{n}/norm")
    made.add("dense", (64, 5), "head", "Dense_1", "dense_out", nnx="head")
    return made


def turned_around(case):
    made = case("two encoders in another order")
    for side, later in (("image", 20.0), ("text", 0.0)):
        for at in range(3):
            made.add("dense", (64, 64), f"{side}_encoder.layers.{at}.linear", f"{side}_tower/Dense_{at}", f"{side}/fc_{at}",
                     nnx=f"{side}/{at}/linear", shift=later)  # fmt: skip
            made.add("layernorm", (64,), f"{side}_encoder.layers.{at}.norm", f"{side}_tower/LayerNorm_{at}", f"{side}/ln_{at}",
                     nnx=f"{side}/{at}/norm", shift=later)  # fmt: skip
        made.add("dense", (64, 32), f"{side}_projection", f"{side}_tower/proj", f"{side}_proj", nnx=f"{side}_out", shift=later)
    return made


def side_by_side(case):
    made = case("attention and MLP side by side")
    for at in range(4):
        t, f, k, n = f"h.{at}", f"layers_{at}", f"layer_{at}", f"h/{at}"
        made.add("layernorm", (64,), f"{t}.ln_1", f"{f}/LayerNorm_0", f"{k}/norm", nnx=f"{n}/ln")
        for short in "qkv":
            made.add("dense", (64, 64), f"{t}.attn.{short}_proj", f"{f}/attn/{short}_proj", f"{k}/attention/{short}", bias=False,
                     nnx=f"{n}/attn/w{short}", shift=2.0)  # fmt: skip
        made.add("dense", (64, 64), f"{t}.attn.out_proj", f"{f}/attn/out_proj", f"{k}/attention/o", bias=False,
                 nnx=f"{n}/attn/wo", shift=2.0)  # fmt: skip
        made.add("dense", (64, 256), f"{t}.mlp.fc_in", f"{f}/mlp/Dense_0", f"{k}/ffn/in", nnx=f"{n}/mlp/up", shift=-4.0)
        made.add("dense", (256, 64), f"{t}.mlp.fc_out", f"{f}/mlp/Dense_1", f"{k}/ffn/out", nnx=f"{n}/mlp/down", shift=-4.0)
    made.add("layernorm", (64,), "ln_f", "LayerNorm_0", "final_norm", nnx="ln_f")
    return made
