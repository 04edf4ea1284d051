"""What a scalar costs, sustained: 100,000 Python floats under 10 tags, drained and closed.

python benchmarks/scalars.py [--rounds 5] [--out results.jsonl]
"""

from measure import Contender, options, race, table

N, TAGS = 100_000, 10

_CALLS = f"""
tags = ["train/metric_%d" % k for k in range({TAGS})]
values = [float(v) for v in numpy.random.default_rng(0).random({N})]
start()
wall, cpu = time.perf_counter(), time.thread_time()
for i in range({N}):
    {{call}}
wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
{{close}}
size = sum(os.path.getsize(os.path.join(p, f)) for p, _, fs in os.walk(d) for f in fs)
stop(call_us=wall / {N} * 1e6, call_cpu_us=cpu / {N} * 1e6, bytes=size / {N})
"""


def _contender(package: str, opening: str, call: str, close: str) -> Contender:
    return Contender(package, opening + _CALLS.format(call=call, close=close))


_DICT = f"""
tags = ["train/metric_%d" % k for k in range({TAGS})]
values = [float(v) for v in numpy.random.default_rng(0).random({N})]
import multiboard
run = multiboard.Run(d)
start()
wall, cpu = time.perf_counter(), time.thread_time()
for i in range(0, {N}, {TAGS}):
    run.log(dict(zip(tags, values[i : i + {TAGS}])), i // {TAGS})
wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
run.close()
size = sum(os.path.getsize(os.path.join(d, f)) for f in os.listdir(d))
stop(call_us=wall / {N} * 1e6, call_cpu_us=cpu / {N} * 1e6, bytes=size / {N})
"""

_WRITER = f"w.add_scalar(tags[i % {TAGS}], values[i], i // {TAGS})"

CONTENDERS = {
    "multiboard, dicts of 10": Contender("multiboard", _DICT),
    "multiboard": _contender(
        "multiboard",
        "import multiboard\nw = multiboard.Run(d)\n",
        f"w.scalar(tags[i % {TAGS}], values[i], i // {TAGS})",
        "w.close()",
    ),
    "torch.utils.tensorboard": _contender(
        "torch", "from torch.utils.tensorboard import SummaryWriter\nw = SummaryWriter(d)\n", _WRITER, "w.close()"
    ),
    "tensorboardX": _contender(
        "tensorboardX", "from tensorboardX import SummaryWriter\nw = SummaryWriter(d)\n", _WRITER, "w.close()"
    ),
    "csv.writer": _contender(
        "csv",
        "import csv\nf = open(d + '/x.csv', 'w')\nw = csv.writer(f)\n",
        f"w.writerow((tags[i % {TAGS}], values[i], i))",
        "f.close()",
    ),
}

if __name__ == "__main__":
    arguments = options(__doc__)
    medians = race("scalars", CONTENDERS, arguments.rounds, arguments.out)
    columns = {
        "caller wall us": ("call_us", 1),
        "caller CPU us": ("call_cpu_us", 1),
        "total CPU us": ("cpu_s", 1e6 / N),
        "bytes": ("bytes", 1),
    }
    table(medians, columns, "multiboard")
