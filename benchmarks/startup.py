"""What a logger costs before the first number: import and first record on top of NumPy.

python benchmarks/startup.py [--rounds 5] [--out results.jsonl]
"""

from measure import Contender, options, race, table

CONTENDERS = {
    "multiboard, import alone": Contender("multiboard", "start()\nimport multiboard\nstop()"),
    "multiboard": Contender(
        "multiboard", "start()\nimport multiboard\nr = multiboard.Run(d)\nr.log({'x': 1.0}, 0)\nr.close()\nstop()"
    ),
    "tensorboardX": Contender(
        "tensorboardX",
        "start()\nfrom tensorboardX import SummaryWriter\nw = SummaryWriter(d)\nw.add_scalar('x', 1.0, 0)\nw.close()\nstop()",
    ),
    "torch.utils.tensorboard": Contender(
        "torch",
        "start()\nfrom torch.utils.tensorboard import SummaryWriter\nw = SummaryWriter(d)\n"
        "w.add_scalar('x', 1.0, 0)\nw.close()\nstop()",
    ),
    "tf.summary": Contender(
        "tensorflow",
        "start()\nimport tensorflow as tf\nw = tf.summary.create_file_writer(d)\n"
        "with w.as_default():\n    tf.summary.scalar('x', 1.0, 0)\nw.close()\nstop()",
    ),
}

if __name__ == "__main__":
    arguments = options(__doc__)
    medians = race("startup", CONTENDERS, arguments.rounds, arguments.out)
    table(medians, {"wall ms": ("wall_s", 1e3), "CPU ms": ("cpu_s", 1e3), "MB": ("memory_mb", 1)}, "multiboard")
