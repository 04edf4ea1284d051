"""Things with a structure: meshes, embeddings and the layout of charts."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from multiboard.writer.base import WriterSurface

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from multiboard.values import Foreign


class StructuresMethods(WriterSurface):
    """Methods of `SummaryWriter` for structures."""

    def add_mesh(
        self,
        tag: str,
        vertices: Foreign,
        colors: Foreign | None = None,
        faces: Foreign | None = None,
        config_dict: Mapping[str, Any] | None = None,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log points or triangles in space, see `Run.mesh`."""
        step, when = self._at(global_step, walltime)
        self.run.mesh(tag, vertices, step, faces=faces, colors=colors, config=config_dict, wall_time=when)

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True) -> None:  # noqa: ARG002  # of the peers' signatures
        """Show a PyTorch model or a finished graph in the Graphs tab, see `multiboard.torch.graph` and `Run.graph`.

        What cannot be shown is said and raises nothing.

        Args:
            model: a torch.nn.Module, or a GraphDef message or its bytes.
            input_to_model: what a model is called with, for its graph alone: an argument, a tuple or list of arguments, or a dict
                of arguments by name. None waits for the next call of the model, and observes that.
            verbose: accepted.
            use_strict_trace: accepted: nothing is traced, so that models return what they like.
        """
        if isinstance(model, bytes) or hasattr(model, "SerializeToString"):
            self.run.graph(model if isinstance(model, bytes) else model.SerializeToString())
        elif _is_torch_module(model):
            from multiboard import torch as adapter

            example = {} if input_to_model is None else {"example": _arguments(model, input_to_model)}
            adapter.graph(model, self.run, **example)
        else:
            message = (
                "add_graph takes a torch.nn.Module, or a GraphDef message or its bytes; "
                f"no graph was written of the {type(model).__qualname__}."
            )
            self.run.report("graph of a model", message)

    def add_onnx_graph(self, prototxt: str | os.PathLike[str]) -> None:
        """Show the graph of an ONNX file in the Graphs tab. Needs the onnx package: `multiboard[onnx]`.

        A file that cannot be read, and a missing package, are said and raise nothing.

        Args:
            prototxt: path of the file; no weights are read.
        """
        from multiboard.onnx_graph import read_onnx

        try:
            graph = read_onnx(prototxt)
        except Exception as error:  # noqa: BLE001  # of the onnx package: no file, no model, a version it does not know
            self.run.report("graph of an ONNX file", f"no graph was written of {str(prototxt)!r:.200}: {error}")
            return
        self.run.graph(graph)

    def add_embedding(
        self,
        mat: Foreign,
        metadata: Any = None,
        label_img: Foreign | None = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Write vectors for the Projector tab, see `Run.embedding`.

        Args:
            mat: `[N, D]`.
            metadata: a label, or a row of them, for each vector.
            label_img: a picture for each vector, `[N, C, H, W]`.
            global_step: None is an embedding without steps.
            tag: its name.
            metadata_header: names of the columns of `metadata`.
        """
        step = None if global_step is None else self._at(global_step, None)[0]
        self.run.embedding(tag, mat, labels=metadata, columns=metadata_header, sprite=label_img, step=step)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Any]]) -> None:
        """Describe the charts of the Custom Scalars tab, see `Run.layout`; all in one call."""
        self.run.layout(layout)

    def add_custom_scalars_multilinechart(self, tags: Sequence[str], category: str = "default", title: str = "untitled") -> None:
        """Draw several tags into one chart of the Custom Scalars tab.

        Args:
            tags: scalars, or regular expressions that match them.
            category: a group of charts.
            title: of the chart.
        """
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(self, tags: Sequence[str], category: str = "default", title: str = "untitled") -> None:
        """Draw a band around a tag in the Custom Scalars tab.

        Args:
            tags: value, lower bound and upper bound.
            category: a group of charts.
            title: of the chart.
        """
        self.add_custom_scalars({category: {title: ["Margin", tags]}})


def _is_torch_module(model: object) -> bool:
    """Tell whether an object is a model of PyTorch, which then is loaded."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _arguments(model: Any, given: Any) -> Any:
    """Return a list as arguments, as the peers take it; one that does not fit is an argument itself, e.g. of pictures."""
    if not isinstance(given, list):
        return given
    try:
        inspect.signature(model.forward).bind(*given)
    except (TypeError, ValueError):
        return (given,)
    return tuple(given)
