"""The few TensorBoard messages that are read, in a descriptor pool of their own.

A private pool cannot clash with the copies that TensorFlow and tensorboard register under the same names. Field numbers are
those of tensorboard/compat/proto (event, summary, tensor) and plugins/hparams/plugin_data.proto.
"""

from __future__ import annotations

from typing import Final

from multiboard.proto.schema import message_classes

_SCHEMA: Final = {
    "Event": "1 wall_time double, 2 step int64, 3 file_version string, 4 graph_def bytes, 5 summary Summary, "
    "7 session_log SessionLog",
    "Outline": "1 wall_time double, 2 step int64, 4 graph_def bytes, 5 summary Values",
    "Values": "1 value bytes*",
    "SessionLog": "1 status int32",
    "Summary": "1 value Value*",
    "Value": "1 tag string, 2 simple_value float?, 4 image LegacyImage, 5 histo LegacyHistogram, "
    "6 audio LegacyAudio, 8 tensor TensorProto, 9 metadata SummaryMetadata",
    "ValueOutline": "1 tag string, 2 simple_value float?, 4 image bytes?, 5 histo bytes?, 6 audio bytes?, 8 tensor bytes?, "
    "9 metadata SummaryMetadata",
    "LegacyImage": "1 height int32, 2 width int32, 4 encoded bytes",
    "LegacyAudio": "4 encoded bytes",
    "RunMetadata": "4 function_graphs FunctionGraphs*",
    "FunctionGraphs": "2 pre_optimization_graph bytes",
    "LegacyHistogram": "1 min double, 2 max double, 3 num double, 6 bucket_limit double*, 7 bucket double*",
    "SummaryMetadata": "1 plugin_data PluginData, 2 display_name string, 3 description string, 4 data_class int32",
    "PluginData": "1 plugin_name string, 2 content bytes",
    "TensorProto": "1 dtype int32, 2 tensor_shape TensorShape, 4 tensor_content bytes, 5 float_val float*, 6 double_val double*, "
    "7 int_val int32*, 8 string_val bytes*, 10 int64_val int64*, 11 bool_val bool*, 13 half_val int32*, 16 uint32_val uint64*, "
    "17 uint64_val uint64*",
    "TensorShape": "2 dim Dim*",
    "Dim": "1 size int64",
    "HParams": "3 start SessionStart, 4 end SessionEnd",
    "SessionStart": "1 hparams Entry*, 4 group_name string, 5 start_time double",
    "SessionEnd": "1 status int32, 2 end_time double",
    "Entry": "1 key string, 2 value google.protobuf.Value",
}
"""By message; see `multiboard.proto.schema`. A map from strings is its entries."""


MESSAGES: Final = message_classes("events", _SCHEMA)
Event = MESSAGES["Event"]
Outline = MESSAGES["Outline"]
"""An Event whose values are still bytes: many empty ones would take fifty times their size as objects."""
Value = MESSAGES["Value"]
ValueOutline = MESSAGES["ValueOutline"]
"""A Summary.Value whose content is still bytes."""
Tensor, SummaryMetadata = MESSAGES["TensorProto"], MESSAGES["SummaryMetadata"]
Histogram, Image, Audio = MESSAGES["LegacyHistogram"], MESSAGES["LegacyImage"], MESSAGES["LegacyAudio"]
RunMetadata = MESSAGES["RunMetadata"]
HParams = MESSAGES["HParams"]
