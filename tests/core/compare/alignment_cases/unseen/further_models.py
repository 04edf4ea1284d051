"""Graphs, operators, sequences, agents and recommenders that were written down in ignorance of the rules."""


def graph_sage(case):
    made = case("GraphSAGE")
    for at, (inner, outer) in enumerate(((50, 64), (64, 64), (64, 7))):
        t, f, k, n = f"convs.{at}", f"SAGEConv_{at}", f"sage_conv_{at}", f"convs/{at}"
        made.add("dense", (inner, outer), f"{t}.lin_l", f"{f}/neighbors", f"{k}/dense_neighbors", nnx=f"{n}/aggregate")
        made.add("dense", (inner, outer), f"{t}.lin_r", f"{f}/self", f"{k}/dense_self", bias=False, nnx=f"{n}/own")
        if at < 2:
            made.add("batchnorm", (64,), f"bns.{at}", f"BatchNorm_{at}", "batch_normalization*", nnx=f"norms/{at}")
    return made


def graph_attention(case):
    made = case("GAT")
    for at, (inner, heads, wide) in enumerate(((50, 4, 16), (64, 4, 16), (64, 1, 7))):
        t, f, k, n = f"conv{at + 1}", f"GATLayer_{at}", f"gat_conv_{at}" if at else "gat_conv", f"layers/{at}"
        made.add("dense", (inner, heads * wide), f"{t}.lin", f"{f}/Dense_0", f"{k}/projection", bias=False, nnx=f"{n}/linear")
        for torch, flax, keras, nnx in (("att_src", "a_src", "attn_kernel_self", "source"),
                                        ("att_dst", "a_dst", "attn_kernel_neighs", "target")):  # fmt: skip
            made.add("raw", (1, heads, wide), f"{t}:{torch}", f"{f}:{flax}", f"{k}:{keras}", nnx=f"{n}:{nnx}")
        made.add("raw", (heads * wide,), f"{t}:bias", f"{f}:bias", f"{k}:bias", nnx=f"{n}:bias")
    return made


def molecules(case):
    made = case("SchNet")
    made.add("embed", (100, 64), "embedding", "Embed_0", "atom_embedding", nnx="embed")
    for at in range(4):
        t, f, n = f"interactions.{at}", f"InteractionBlock_{at}", f"blocks/{at}"
        c = f"{f}/CFConv_0"
        made.add("dense", (64, 64), f"{t}.conv.lin1", f"{c}/Dense_0", "dense*", bias=False, nnx=f"{n}/conv/in_proj")
        made.add("dense", (50, 64), f"{t}.mlp.0", f"{c}/FilterNet_0/Dense_0", "dense*", nnx=f"{n}/conv/filter/0")
        made.add("dense", (64, 64), f"{t}.mlp.2", f"{c}/FilterNet_0/Dense_1", "dense*", nnx=f"{n}/conv/filter/1")
        made.add("dense", (64, 64), f"{t}.conv.lin2", f"{c}/Dense_1", "dense*", nnx=f"{n}/conv/out_proj")
        made.add("dense", (64, 64), f"{t}.lin", f"{f}/Dense_0", "dense*", nnx=f"{n}/dense")
    made.add("dense", (64, 32), "lin1", "Dense_0", "dense*", nnx="readout/0")
    made.add("dense", (32, 1), "lin2", "Dense_1", "dense*", nnx="readout/1")
    return made


def fourier_operator(case):
    made = case("FNO")
    made.add("dense", (3, 32), "fc0", "Dense_0", "lifting", nnx="lift")
    for at in range(4):
        f, k = f"FourierStage_{at}", f"fno_block_{at}"
        for number in (1, 2):
            made.add("raw", (32, 32, 12, 12), f"conv{at}:weights{number}", f"{f}/SpectralConv2d_0:kernel_{number}",
                     f"{k}/spectral_conv:w{number}", nnx=f"spectral/{at}:weight_{'pos' if number == 1 else 'neg'}")  # fmt: skip
        made.add("conv", (1, 32, 32), f"w{at}", f"{f}/Conv_0", f"{k}/skip", nnx=f"skips/{at}")
    made.add("dense", (32, 128), "fc1", "Dense_1", "projection_1", nnx="project/fc1")
    made.add("dense", (128, 1), "fc2", "Dense_2", "projection_2", nnx="project/fc2")
    return made


def tagger(case):
    made = case("tagger")
    made.add("embed", (80, 16), "char_embeds", "CharEncoder_0/Embed_0", "char_embedding", nnx="chars/embed")
    made.add("conv1d", (3, 16, 32), "char_cnn", "CharEncoder_0/Conv_0", "char_conv", nnx="chars/conv")
    made.add("embed", (2000, 100), "word_embeds", "Embed_0", "word_embedding", nnx="words")
    for level, inner in enumerate((132, 128)):
        for torch, side in ((f"{level}", "forward"), (f"{level}_reverse", "backward")):
            made.add("lstm", (inner, 64, torch), "lstm", f"BiLSTM_{level}/{side}/cell",
                     f"bidirectional{f'_{level}' if level else ''}/{side}_lstm/lstm_cell",
                     nnx=f"encoder/{level}/{side}_rnn/cell")  # fmt: skip
    made.add("dense", (128, 9), "hidden2tag", "Dense_0", "tag_logits", nnx="emissions")
    made.add("raw", (9, 9), "crf:transitions", "CRF_0:transitions", "crf:chain_kernel", nnx="crf:transition")
    return made


def soft_actor_critic(case):
    made = case("soft actor-critic")
    for at, (torch, flax, nnx, sizes) in enumerate((
        ("fc1", "MLP_0/Dense_0", "layers/0", (17, 256)), ("fc2", "MLP_0/Dense_1", "layers/1", (256, 256)),
        ("fc_mean", "mean", "mu", (256, 6)), ("fc_logstd", "log_std", "log_sigma", (256, 6)),
    )):  # fmt: skip
        keras = "actor/dense*" if at < 2 else f"actor/{('mean', 'log_std')[at - 2]}"
        made.add("dense", sizes, f"actor.{torch}", f"actor/{flax}", keras, nnx=f"policy/{nnx}")
    for flax, keras, nnx, torch in (
        ("critic", "critic", "critics", ""),
        ("target_critic", "target_critic", "targets", "_target"),
    ):
        for twin in range(2):
            for at, sizes in enumerate(((23, 256), (256, 256), (256, 1))):
                made.add("dense", sizes, f"qf{twin + 1}{torch}.fc{at + 1}", f"{flax}/VmapCritic_0/MLP_0/Dense_{at}#",
                         f"{keras}_{twin + 1}/dense*", nnx=f"{nnx}/{twin}/layers/{at}")  # fmt: skip
    return made


def forecaster(case):
    made = case("N-BEATS", first=3)
    for stack in range(2):
        for block in range(3):
            t, f, n = f"stacks.{stack}.{block}", f"Stack_{stack}/GenericBlock_{block}", f"blocks/{3 * stack + block}"
            inner = 50
            for at in range(4):
                made.add("dense", (inner, 128), f"{t}.fc{at + 1}", f"{f}/Dense_{at}", "dense*", nnx=f"{n}/layers/{at}")
                inner = 128
            for at, (torch, nnx, sizes) in enumerate((
                ("theta_b_fc", "theta_backcast", (128, 8)), ("theta_f_fc", "theta_forecast", (128, 8)),
                ("backcast_fc", "backcast", (8, 50)), ("forecast_fc", "forecast", (8, 10)),
            ), 4):  # fmt: skip
                made.add("dense", sizes, f"{t}.{torch}", f"{f}/Dense_{at}", "dense*", nnx=f"{n}/{nnx}", bias=at > 5)
    return made


def temporal_convolutions(case):
    made = case("TCN")
    inner = 1
    for at, outer in enumerate((25, 25, 50, 50)):
        t, f, k, n = f"tcn.network.{at}", f"TemporalBlock_{at}", f"tcn/residual_block_{at}", f"blocks/{at}"
        made.add("conv1d", (7, inner, outer), f"{t}.conv1", f"{f}/Conv_0", f"{k}/conv1D_0", nnx=f"{n}/conv1")
        made.add("conv1d", (7, outer, outer), f"{t}.conv2", f"{f}/Conv_1", f"{k}/conv1D_1", nnx=f"{n}/conv2")
        if inner != outer:
            made.add("conv1d", (1, inner, outer), f"{t}.downsample", f"{f}/Conv_2", f"{k}/matching_conv1D", nnx=f"{n}/shortcut")
        inner = outer
    made.add("dense", (50, 10), "linear", "Dense_0", "dense*", nnx="head")
    return made


def cross_network(case):
    made = case("DCN-v2")
    for feature, count in (("user_id", 600), ("movie_id", 600), ("gender", 2), ("age", 7), ("occupation", 21), ("zip_code", 600)):
        made.add("embed", (count, 16), f"embedding.embed_dict.{feature}", f"embed_{feature}", f"{feature}_embedding",
                 nnx=f"tables/{feature}")  # fmt: skip
    for at in range(3):
        keras = f"cross_{at}/dense" if at else "cross/dense"
        made.add("dense", (96, 96), f"crossnet.w.{at}", f"CrossLayer_{at}/Dense_0", keras, nnx=f"cross/{at}/linear")
    inner = 96
    for at, outer in enumerate((96, 64)):
        made.add("dense", (inner, outer), f"mlp.mlp.{4 * at}", f"deep/Dense_{at}", "dense*", nnx=f"deep/{at}/linear")
        made.add("batchnorm", (outer,), f"mlp.mlp.{4 * at + 1}", f"deep/BatchNorm_{at}", "batch_normalization*",
                 nnx=f"deep/{at}/norm")  # fmt: skip
        inner = outer
    made.add("dense", (160, 1), "linear.fc", "Dense_0", "dense*", nnx="logit")
    return made


def pair_representation(case):
    made = case("triangles")
    for at in range(2):
        home = f"blocks.{at}", f"pair_block_{at}", f"pair_stack_{at}", f"blocks/{at}"
        for torch, way in (("out", "outgoing"), ("in", "incoming")):
            t, f = f"{home[0]}.tri_mul_{torch}", f"{home[1]}/triangle_multiplication_{way}"
            k, n = f"{home[2]}/tri_mul_{way}", f"{home[3]}/mul_{torch}"
            made.add("layernorm", (32,), f"{t}.layer_norm_in", f"{f}/layer_norm_input", f"{k}/ln_in", nnx=f"{n}/norm_in")
            for a, b, c, d, later in (
                ("linear_a_g", "left_gate", "gate_a", "left/gate", 2.0),
                ("linear_a_p", "left_projection", "proj_a", "left/value", -1.0),
                ("linear_b_g", "right_gate", "gate_b", "right/gate", 1.0),
                ("linear_b_p", "right_projection", "proj_b", "right/value", -2.0),
            ):
                made.add("dense", (32, 32), f"{t}.{a}", f"{f}/{b}", f"{k}/{c}", nnx=f"{n}/{d}", shift={"linen": later})
            made.add("layernorm", (32,), f"{t}.layer_norm_out", f"{f}/center_layer_norm", f"{k}/ln_out", nnx=f"{n}/norm_out")
            made.add("dense", (32, 32), f"{t}.linear_z", f"{f}/output_projection", f"{k}/proj_out", nnx=f"{n}/out")
            made.add("dense", (32, 32), f"{t}.linear_g", f"{f}/gating_linear", f"{k}/gate_out", nnx=f"{n}/gate")
        t, f, k, n = (f"{home[0]}.tri_att_start", f"{home[1]}/triangle_attention_starting_node", f"{home[2]}/tri_att",
                      f"{home[3]}/attn")  # fmt: skip
        made.add("layernorm", (32,), f"{t}.layer_norm", f"{f}/query_norm", f"{k}/ln", nnx=f"{n}/norm")
        made.add("dense", (32, 4), f"{t}.linear", f"{f}/feat_2d_weights", f"{k}/pair_bias", nnx=f"{n}/bias", bias=False)
        for short, part in (("q", "query"), ("k", "key"), ("v", "value")):
            made.add("query", (32, 32, 4), f"{t}.mha.linear_{short}", f"{f}/attention/{part}", f"{k}/{part}", nnx=f"{n}/{short}",
                     bias=False)  # fmt: skip
        made.add("dense", (32, 32), f"{t}.mha.linear_g", f"{f}/attention/gating", f"{k}/gate", nnx=f"{n}/gate")
        made.add("out", (32, 32, 4), f"{t}.mha.linear_o", f"{f}/attention/output", f"{k}/attention_output", nnx=f"{n}/o")
        t, f, k, n = f"{home[0]}.pair_transition", f"{home[1]}/pair_transition", f"{home[2]}/transition", f"{home[3]}/mlp"
        made.add("layernorm", (32,), f"{t}.layer_norm", f"{f}/input_layer_norm", f"{k}/ln", nnx=f"{n}/norm")
        made.add("dense", (32, 128), f"{t}.linear_1", f"{f}/transition1", f"{k}/dense_1", nnx=f"{n}/fc1")
        made.add("dense", (128, 32), f"{t}.linear_2", f"{f}/transition2", f"{k}/dense_2", nnx=f"{n}/fc2")
    return made
