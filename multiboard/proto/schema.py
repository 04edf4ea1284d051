"""Message classes from a few words per message, in descriptor pools of their own.

A private pool cannot clash with the copies that TensorFlow, tensorboard and others register under the same names, and the bytes
are the same. Only the fields that are used have to be spelled out: protobuf keeps the others as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES: Final = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
_PACKAGE: Final = "multiboard"


def message_classes(name: str, schema: Mapping[str, str]) -> dict[str, Any]:
    """Return the classes of messages.

    Args:
        name: of the file that protobuf takes them to come from; it appears in error messages only.
        schema: by message, its fields as number, name and type, with commas between them. The type is a scalar type of
            protobuf, a message of the schema or `google.protobuf.Value`. `*` behind it repeats the field, `?` tells 0 from
            absent, `|group` makes it one of the oneof `group`, and `{}` a map from int64.

    >>> Point = message_classes("doctest", {"Point": "1 x int64, 2 y int64"})["Point"]
    >>> Point(x=1, y=2).SerializeToString().hex()
    '08011002'
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"multiboard/{name}.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    for message_name, fields in schema.items():
        message = file.message_type.add(name=message_name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            _add_field(message, int(number), field_name, kind)
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in schema}


def _add_field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    kind, _, group = kind.partition("|")
    repeated = kind.endswith(("*", "{}"))
    field = message.field.add(number=number, name=name, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL)
    if kind.endswith("?"):
        field.proto3_optional = True
        group = f"_{name}"
    if group:
        field.oneof_index = _group(message, group)
    if kind.endswith("{}"):
        kind = _add_map_entry(message, name, kind.removesuffix("{}"))
    _set_type(field, kind.rstrip("*?"))


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{kind}" if kind.startswith("google.") else f".{_PACKAGE}.{kind}"


def _group(message: descriptor_pb2.DescriptorProto, name: str) -> int:
    """Return the place of a oneof in its message, which has it afterwards."""
    names = [group.name for group in message.oneof_decl]
    if name not in names:
        message.oneof_decl.add(name=name)
        return len(names)
    return names.index(name)


def _add_map_entry(message: descriptor_pb2.DescriptorProto, name: str, kind: str) -> str:
    entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"  # protobuf insists on this name
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    _set_type(entry.field.add(number=1, name="key", label=_Field.LABEL_OPTIONAL), "int64")
    _set_type(entry.field.add(number=2, name="value", label=_Field.LABEL_OPTIONAL), kind)
    return f"{message.name}.{entry_name}"
