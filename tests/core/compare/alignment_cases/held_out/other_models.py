"""Further models that were held out until the aligner was counted on them once."""


def gru_sequence(case):
    made = case("GRU sequence to sequence")
    made.add("embed", (2000, 32), "encoder.embedding", "encoder/Embed_0", "encoder/embedding*")
    made.add("gru", (32, 64, 0), "encoder.gru", "encoder/gru_cell", "encoder/gru/gru_cell")
    made.add("embed", (2000, 32), "decoder.embedding", "decoder/Embed_0", "decoder/embedding*")
    made.add("gru", (32, 64, 0), "decoder.gru", "decoder/gru_cell", "decoder/gru/gru_cell")
    made.add("dense", (64, 2000), "decoder.out", "decoder/Dense_0", "decoder/dense*")
    return made


def recommender(case):
    made = case("DLRM", first=2)
    for at, size in enumerate([1000, 500, 200, 200, 50]):
        made.add("embed", (size, 16), f"emb_l.{at}", f"embeddings_{at}", "embedding*")
    for at, pair in enumerate([(13, 512), (512, 256), (256, 16)]):
        made.add("dense", pair, f"bot_l.{2 * at}", f"bottom_mlp/Dense_{at}", "bottom_mlp/dense*")
    for at, pair in enumerate([(31, 512), (512, 256), (256, 1)]):
        made.add("dense", pair, f"top_l.{2 * at}", f"top_mlp/Dense_{at}", "top_mlp/dense*")
    return made


def equal_layers(case):
    made = case("three equal layers")
    made.add("dense", (64, 64), "up", "Dense*", "dense*")
    made.add("dense", (64, 64), "mid", "Dense*", "dense*")
    made.add("dense", (64, 64), "down", "Dense*", "dense*")
    return made


def actor_critic(case):
    made = case("actor and critic")
    for side, last in (("actor", 6), ("critic", 1)):
        for at, pair in enumerate([(17, 64), (64, 64), (64, last)]):
            made.add("dense", pair, f"{side}.{2 * at}", f"{side}/Dense_{at}", f"{side}/dense*", nnx=f"{side}/fc{at + 1}")
    return made


def variational_autoencoder(case):
    made = case("variational autoencoder")
    made.add("dense", (784, 400), "fc1", "encoder/fc1", "dense*", nnx="encoder/linear1")
    made.add("dense", (400, 20), "fc21", "encoder/fc2_mean", "z_mean", nnx="encoder/linear_mean")
    made.add("dense", (400, 20), "fc22", "encoder/fc2_logvar", "z_log_var", nnx="encoder/linear_std")
    made.add("dense", (20, 400), "fc3", "decoder/fc1", "dense*", nnx="decoder/linear1")
    made.add("dense", (400, 784), "fc4", "decoder/fc2", "dense*", nnx="decoder/linear2")
    return made


def siamese(case):
    made = case("two towers", first=7)
    for side, keras in (("user_tower", "query_model"), ("item_tower", "candidate_model")):
        made.add("embed", (900, 32), f"{side}.embedding", f"{side}/Embed_0", f"{keras}/embedding*")
        made.add("dense", (32, 64), f"{side}.mlp.0", f"{side}/Dense_0", f"{keras}/dense*")
        made.add("dense", (64, 64), f"{side}.mlp.2", f"{side}/Dense_1", f"{keras}/dense*")
    return made
