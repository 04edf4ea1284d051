"""Which node computed a tensor, without keeping the tensor alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from multiboard_torch._compat import storage_key, weak_storage

if TYPE_CHECKING:
    from torch import Tensor

    from multiboard.graph.recorder import Weight

    Output = tuple[int, int]
    """The number of a node and of its output."""


class Producers:
    """Where tensors come from: by the tensor itself, then by its memory, which views and their bases share.

    A write in place through one view counts for all that are made of the same memory before it.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[weakref.ref[Tensor], int, int]] = {}
        self._by_storage: dict[int, Output] = {}
        self._written: dict[int, Output] = {}
        self._weights: dict[int, tuple[weakref.ref[Tensor], Weight]] = {}
        self._weight_of_storage: dict[int, Weight | None] = {}
        self._kept: dict[int, object] = {}

    def bind(self, tensor: Tensor, node: int, slot: int, *, written: bool = False) -> bool:
        """Remember the output of a node, and tell whether its memory is new.

        Args:
            tensor: the output.
            node: number of the node.
            slot: number of the output.
            written: the memory was changed in place.
        """
        self._by_id[id(tensor)] = (weakref.ref(tensor), node, slot)
        key = self._storage(tensor)
        if not key:
            return False
        new = key not in self._by_storage and key not in self._weight_of_storage
        if new or written:
            self._by_storage[key] = (node, slot)
        if written:
            self._written[key] = (node, slot)
        return new

    def know(self, tensor: Tensor, weight: Weight) -> None:
        """Remember a parameter or buffer."""
        self._weights[id(tensor)] = (weakref.ref(tensor), weight)
        key = self._storage(tensor)
        if key:
            # Flat parameters share their memory, which then tells nothing.
            self._weight_of_storage[key] = weight if key not in self._weight_of_storage else None

    def rename(self, tensor: Tensor, weight: Weight) -> None:
        """Let another tensor stand for a parameter too."""
        self._weights[id(tensor)] = (weakref.ref(tensor), weight)
        self._by_id.pop(id(tensor), None)

    def output(self, tensor: Tensor) -> Output | None:
        """Return the node and slot that computed a tensor or wrote its memory last, None if none of this graph has."""
        found = self._by_id.get(id(tensor))
        if found is None or found[0]() is not tensor:
            return None
        written = self._written.get(self._known_storage(tensor))
        return written if written is not None and written[0] > found[1] else (found[1], found[2])

    def output_of_memory(self, tensor: Tensor) -> Output | None:
        """Return the node and slot that wrote the memory of a tensor last, or computed the first tensor there."""
        key = self._known_storage(tensor)
        return self._written.get(key) or self._by_storage.get(key)

    def weight(self, tensor: Tensor) -> Weight | None:
        """Return the parameter or buffer that a tensor is."""
        found = self._weights.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def weight_of_memory(self, tensor: Tensor) -> Weight | None:
        """Return the parameter or buffer whose memory a tensor has."""
        return self._weight_of_storage.get(self._known_storage(tensor))

    def _storage(self, tensor: Tensor) -> int:
        """Return the number of a tensor's memory and keep it from being given to another one; 0 if that cannot be."""
        key = storage_key(tensor)
        if key and key not in self._kept:
            reference = weak_storage(tensor)
            if reference is None:
                return 0
            self._kept[key] = reference
        return key

    def _known_storage(self, tensor: Tensor) -> int:
        key = storage_key(tensor)
        return key if key in self._kept else 0
