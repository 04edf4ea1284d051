"""The few TensorBoard messages that are read, in a descriptor pool of their own.

A private pool cannot clash with the copies that TensorFlow and tensorboard register under the same names. Field numbers are
those of tensorboard/compat/proto (event, summary, tensor) and plugins/hparams/plugin_data.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES: Final = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}

_SCHEMA: Final = {
    "Event": "1 wall_time double, 2 step int64, 3 file_version string, 4 graph_def bytes, 5 summary Summary, "
    "7 session_log SessionLog",
    "Outline": "1 wall_time double, 2 step int64, 4 graph_def bytes, 5 summary Values",
    "Values": "1 value bytes*",
    "SessionLog": "1 status int32",
    "Summary": "1 value Value*",
    "Value": "1 tag string, 2 simple_value float?, 4 image LegacyImage, 5 histo LegacyHistogram, "
    "6 audio LegacyAudio, 8 tensor TensorProto, 9 metadata SummaryMetadata",
    "LegacyImage": "1 height int32, 2 width int32, 4 encoded bytes",
    "LegacyAudio": "4 encoded bytes",
    "RunMetadata": "4 function_graphs FunctionGraphs*",
    "FunctionGraphs": "2 pre_optimization_graph bytes",
    "LegacyHistogram": "1 min double, 2 max double, 3 num double, 6 bucket_limit double*, 7 bucket double*",
    "SummaryMetadata": "1 plugin_data PluginData, 2 display_name string, 3 description string, 4 data_class int32",
    "PluginData": "1 plugin_name string, 2 content bytes",
    "TensorProto": "1 dtype int32, 2 tensor_shape TensorShape, 4 tensor_content bytes, 5 float_val float*, 6 double_val double*, "
    "7 int_val int32*, 8 string_val bytes*, 10 int64_val int64*, 11 bool_val bool*",
    "TensorShape": "2 dim Dim*",
    "Dim": "1 size int64",
    "HParams": "3 start SessionStart, 4 end SessionEnd",
    "SessionStart": "1 hparams Entry*, 4 group_name string, 5 start_time double",
    "SessionEnd": "1 status int32, 2 end_time double",
    "Entry": "1 key string, 2 value google.protobuf.Value",
}
"""By message: fields as number, name, type; a star repeats, a question mark tells 0 from absent. A map is its entries."""

_PACKAGE: Final = "multiboard"


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="multiboard.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            _add_field(message, int(number), field_name, kind)
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
    field = message.field.add(number=number, name=name, label=label)
    if kind.endswith("?"):
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    kind = kind.rstrip("*?")
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{kind}" if "." in kind else f".{_PACKAGE}.{kind}"


def _messages() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    pool.Add(_file())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SCHEMA}


MESSAGES: Final = _messages()
Event = MESSAGES["Event"]
Outline = MESSAGES["Outline"]
"""An Event whose values are still bytes: many empty ones would take fifty times their size as objects."""
Value = MESSAGES["Value"]
RunMetadata = MESSAGES["RunMetadata"]
HParams = MESSAGES["HParams"]
