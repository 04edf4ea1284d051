"""The counting kernel for CUDA: one launch for all tensors of a capture, each value read once.

PyTorch's own operators need some twenty passes and launches for the same counts. The kernel (`count.cu`) is compiled when it is
first used, by the compiler that comes with PyTorch's CUDA builds; where that is not there, the operators count.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from multiboard import buckets
from multiboard_torch.packs import Difference, joined, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values

CHUNK: Final = 65_536
"""Values per block: enough to make up for the flush of its counts, and few enough for all multiprocessors to have some."""
_THREADS: Final = 256
_WARP: Final = 32
_KINDS: Final = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
"""What the kernel reads as it is; other dtypes are cast before."""
_SCHEME: Final = {
    "BUCKETS": buckets.BUCKETS,
    "SPECIALS": buckets.SPECIALS,
    "SIDE": buckets.SIDE,
    "MANTISSAS": buckets.MANTISSAS,
    "FIRST_FIELD": buckets.FIRST_FIELD,
    "END_FIELD": buckets.END_FIELD,
    "ZERO": buckets.ZERO,
    "NAN_SLOT": buckets.NAN,
    "POS_INF": buckets.POS_INF,
    "NEG_INF": buckets.NEG_INF,
    "CHUNK": CHUNK,
    "THREADS": _THREADS,
    "WARP": _WARP,
}
_Argument = tuple[int, Any]


class CudaError(RuntimeError):
    """A call of CUDA or of its compiler has failed."""


class CudaKernel:
    """Counts on one CUDA device.

    Args:
        device: whose code is compiled.

    Raises:
        ImportError: the bindings of CUDA or its compiler are not installed.
        CudaError: the code cannot be compiled or loaded here.
    """

    def __init__(self, device: torch.device) -> None:
        from cuda.bindings import driver

        self._driver = driver
        with torch.cuda.device(device):
            major, minor = torch.cuda.get_device_capability(device)
            torch.empty(1, device=device)  # makes the context of the device the current one of this thread
            image = np.frombuffer(compiled(f"sm_{major}{minor}"), np.uint8)
            module = _checked(driver.cuModuleLoadData(image.ctypes.data))
            names = ("count", "join", "count_one", "join_one")
            self._functions = {name: _checked(driver.cuModuleGetFunction(module, name.encode())) for name in names}

    def add(self, rows: Sequence[Values], table: Tensor, moments: Tensor) -> None:
        """Add the counts of rows to those in `table` int32 `[R, 1028]` and `moments` float32 `[R, 4]`, both contiguous.

        Two launches, whatever the number of rows, and one small copy to the device if there are several; never waits.
        """
        device = table.device
        # What is made here may be freed at once: its memory is used again only behind the launch.
        ready = [as_read(row) for row in rows]
        fields = np.empty((len(rows), _FIELDS), np.int64)
        blocks = describe(ready, fields)
        if not blocks:
            return
        with torch.cuda.device(device):
            parts = torch.empty((blocks, buckets.MOMENTS), dtype=torch.float32, device=device)
            total, part, joined = (_pointer(tensor) for tensor in (table, parts, moments))
            if len(rows) == 1:
                row = [(int(field), ctypes.c_longlong) for field in fields[0, :4]]
                self._launch("count_one", blocks, _THREADS, [*row, total, part])
                self._launch("join_one", 1, _WARP, [row[2], part, joined])
            else:
                described = torch.from_numpy(fields).pin_memory().to(device, non_blocking=True)
                row = [_pointer(described)]
                self._launch("count", blocks, _THREADS, [*row, (len(rows), ctypes.c_int), total, part])
                self._launch("join", len(rows), _WARP, [*row, part, joined])

    def _launch(self, name: str, blocks: int, threads: int, arguments: Sequence[_Argument]) -> None:
        stream = torch.cuda.current_stream().cuda_stream
        values, types = zip(*arguments, strict=True)
        launch = self._driver.cuLaunchKernel
        _checked(launch(self._functions[name], blocks, 1, 1, threads, 1, 1, 0, stream, (values, types), 0))


def _pointer(tensor: Tensor) -> _Argument:
    return tensor.data_ptr(), ctypes.c_void_p


_FIELDS: Final = 5
"""Of a row, as `count.cu` reads it: where its values are, what is subtracted, size, kind and first block."""


def as_read(row: Values) -> Values:
    """Return a row as the kernel reads it."""
    sides = row if isinstance(row, Difference) else (row,)
    if sides[0].dtype not in _KINDS:
        flat = Difference(*(_flat(side) for side in sides)) if isinstance(row, Difference) else _flat(row)
        return joined([flat])
    plain = [side if side.is_contiguous() else _flat(side).contiguous() for side in sides]
    return Difference(*plain) if isinstance(row, Difference) else plain[0]


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().reshape(-1)


def describe(rows: Sequence[Values], fields: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """Fill the fields `[R, 5]` of rows, and return how many blocks they need."""
    for index, row in enumerate(rows):
        values, subtract = row if isinstance(row, Difference) else (row, None)
        where = 0 if subtract is None else subtract.data_ptr()
        fields[index, :4] = values.data_ptr(), where, size_of(row), _KINDS[values.dtype]
    blocks = -(-fields[:, 2] // CHUNK)
    ends = np.cumsum(blocks)
    fields[:, 4] = ends - blocks
    return int(ends[-1]) if len(ends) else 0


@cache
def compiled(architecture: str) -> bytes:
    """Return the machine code for an architecture, e.g. 'sm_90'.

    Raises:
        ImportError: the compiler is not installed.
        CudaError: it does not accept the code.
    """
    from cuda.bindings import nvrtc

    source = files("multiboard_torch").joinpath("count.cu").read_bytes()
    program = _checked(nvrtc.nvrtcCreateProgram(source, b"count.cu", 0, [], []))
    options = [f"--gpu-architecture={architecture}", *(f"-D{name}={value}" for name, value in _SCHEME.items())]
    try:
        (result,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        if result.value:
            log = bytes(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise CudaError(log.decode(errors="replace").strip("\0\n"))
        code = bytes(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return code


def _checked(answer: tuple[Any, ...]) -> Any:
    result, *rest = answer
    if result.value:
        raise CudaError(str(result))
    return rest[0] if rest else None


@cache
def kernel_on(device: torch.device) -> CudaKernel | None:
    """Return the kernel of a device, or None where it cannot be had."""
    if device.type != "cuda":
        return None
    try:
        return CudaKernel(device)
    except Exception:  # noqa: BLE001  # no bindings, no compiler, an architecture that it does not know: the operators count
        return None
