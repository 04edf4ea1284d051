"""The record that states domains and metrics is the message of TensorBoard's own api.proto, byte for byte in meaning."""

from google.protobuf import struct_pb2
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api_pb2, metadata

import multiboard as mb
from multiboard.records import unframe


def stated(log_dir):
    (file,) = log_dir.iterdir()
    events = [event_pb2.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]
    (value,) = [value for event in events for value in event.summary.value if value.tag == metadata.EXPERIMENT_TAG]
    assert value.tensor == metadata.NULL_TENSOR
    assert value.metadata.plugin_data.plugin_name == metadata.PLUGIN_NAME
    return metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)


def test_the_run_writes_what_tensorboard_would(tmp_path):
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.hparams(
            {"lr": 0.1, "opt": "adam", "amp": False, "big": 2**60, "note": None, "width": 8},
            domains={"lr": (0.0, 1.0), "opt": ["sgd", "adam"], "amp": [False], "big": [2**60, "none"], "width": [8, 16]},
            metrics={"val/äccuracy": "Accuracy", "loss": ""},
        )

    def discrete(*values):
        return struct_pb2.ListValue(values=values)

    text, number, flag = api_pb2.DATA_TYPE_STRING, api_pb2.DATA_TYPE_FLOAT64, api_pb2.DATA_TYPE_BOOL
    a = struct_pb2.Value
    expected = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name="lr", type=number, domain_interval=api_pb2.Interval(min_value=0, max_value=1), differs=True),
            api_pb2.HParamInfo(
                name="opt", type=text, domain_discrete=discrete(a(string_value="sgd"), a(string_value="adam")), differs=True
            ),
            api_pb2.HParamInfo(name="amp", type=flag, domain_discrete=discrete(a(bool_value=False))),
            api_pb2.HParamInfo(
                name="big", type=text, domain_discrete=discrete(a(string_value=str(2**60)), a(string_value="none")), differs=True
            ),
            api_pb2.HParamInfo(name="note", type=text),
            api_pb2.HParamInfo(
                name="width", type=number, domain_discrete=discrete(a(number_value=8), a(number_value=16)), differs=True
            ),
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag="val/äccuracy"), display_name="Accuracy"),
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag="loss")),
        ],
    )
    assert stated(tmp_path / "run") == expected


def test_the_domains_of_add_hparams_are_those_of_torch(tmp_path):
    """Beside what torch leaves out: that a domain of several values marks a column that differs."""
    from torch.utils.tensorboard.summary import hparams

    arguments = ({"lr": 0.1, "bsize": 8, "opt": "adam"}, {"hp/loss": 0.5}, {"bsize": [8, 16], "opt": ["adam"]})
    theirs = hparams(*arguments)[0].value[0].metadata.plugin_data.content
    with mb.SummaryWriter(tmp_path / "run") as writer:
        writer.add_hparams(*arguments)
    ours = stated(tmp_path / "run")
    assert [info.name for info in ours.hparam_infos if info.differs] == ["bsize"]
    for info in ours.hparam_infos:
        info.ClearField("differs")
    assert ours == metadata.parse_experiment_plugin_data(theirs)
