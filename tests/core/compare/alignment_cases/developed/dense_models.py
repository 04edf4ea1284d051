"""Models of dense layers and cells."""


def mlp(case):
    made = case("MLP", first=4)
    sizes = [(784, 256), (256, 256), (256, 256), (256, 10)]
    for at, pair in enumerate(sizes):
        made.add("dense", pair, f"net.{2 * at}", "Dense*", "dense*", nnx=f"layers.{at}")
    return made


def autoencoder(case):
    made = case("autoencoder")
    sizes = [(784, 128), (128, 64), (64, 12), (12, 64), (64, 128), (128, 784)]
    for at, pair in enumerate(sizes):
        side, index = ("encoder", at) if at < 3 else ("decoder", at - 3)
        made.add("dense", pair, f"{side}.{2 * index}", f"{side}/Dense_{index}", f"{side}/dense*", nnx=f"{side}/linear{index + 1}")
    return made


def mlp_mixer(case):
    made = case("MLP-Mixer")
    made.add("conv", (16, 3, 128), "stem.proj", "stem", "patch_embedding")
    for at in range(4):
        t, f, k = f"blocks.{at}", f"MixerBlock_{at}", f"mixer_layer{f'_{at}' if at else ''}"
        made.add("layernorm", (128,), f"{t}.norm1", f"{f}/LayerNorm_0", f"{k}/layer_normalization*")
        made.add("dense", (196, 64), f"{t}.mlp_tokens.fc1", f"{f}/token_mixing/Dense_0", f"{k}/dense*")
        made.add("dense", (64, 196), f"{t}.mlp_tokens.fc2", f"{f}/token_mixing/Dense_1", f"{k}/dense*")
        made.add("layernorm", (128,), f"{t}.norm2", f"{f}/LayerNorm_1", f"{k}/layer_normalization*")
        made.add("dense", (128, 512), f"{t}.mlp_channels.fc1", f"{f}/channel_mixing/Dense_0", f"{k}/dense*")
        made.add("dense", (512, 128), f"{t}.mlp_channels.fc2", f"{f}/channel_mixing/Dense_1", f"{k}/dense*")
    made.add("layernorm", (128,), "norm", "pre_head_layer_norm", "layer_normalization*")
    made.add("dense", (128, 1000), "head", "head", "dense*")
    return made


def lstm_classifier(case):
    made = case("LSTM classifier", first=1)
    made.add("embed", (5000, 64), "embedding", "Embed_0", "embedding*", nnx="embed")
    made.add("lstm", (64, 128, 0), "lstm", "lstm_0/cell", "lstm_1/lstm_cell", nnx="cells/0")
    made.add("lstm", (128, 128, 1), "lstm", "lstm_1/cell", "lstm_2/lstm_cell", nnx="cells/1")
    made.add("dense", (128, 64), "fc", "Dense_0", "dense*", nnx="fc")
    made.add("dense", (64, 2), "out", "Dense_1", "dense*", nnx="out")
    return made
