"""Writes models in the format ONNX, with their weights in a second file that processes map into memory.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofdesk.indexing.embeddings.e5.protobuf import content, number, real

CONTRIB = "com.microsoft"  # operators of onnxruntime
_IR_VERSION, _OPERATORS, _CONTRIB_OPERATORS = 8, 17, 1
_FLOAT, _INT8, _INT64 = 1, 3, 7
_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.int8): _INT8, np.dtype(np.int64): _INT64}
_EXTERNAL = 1
_ALIGNMENT = 4096  # of a weight in its file: a page
_SMALL = 1024  # bytes; smaller weights stay in the model


class GraphWriter:
    """Collects nodes and weights. A node returns the name of its output, which is the input of others."""

    def __init__(self, weights_file: str):
        self._weights_file = weights_file
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self.weights = bytearray()

    def weight(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant tensor and return its name."""
        data = np.ascontiguousarray(values).tobytes()
        fields = b"".join(number(1, size) for size in values.shape) + number(2, _TYPES[values.dtype]) + content(8, name)
        if len(data) < _SMALL:
            fields += content(9, data)
        else:
            self.weights += bytes(-len(self.weights) % _ALIGNMENT)
            place = {"location": self._weights_file, "offset": str(len(self.weights)), "length": str(len(data))}
            fields += b"".join(content(13, content(1, key) + content(2, value)) for key, value in place.items())
            fields += number(14, _EXTERNAL)
            self.weights += data
        self._tensors.append(fields)
        return name

    def node(
        self, operator: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: float | list[int]
    ) -> str:
        """Add an operation and return the name of its first output."""
        fields = b"".join(content(1, name) for name in inputs) + b"".join(content(2, name) for name in outputs)
        fields += content(3, f"{operator}:{outputs[0]}") + content(4, operator)
        fields += b"".join(content(5, _attribute(name, value)) for name, value in attributes.items())
        self._nodes.append(fields + content(7, domain))
        return outputs[0]

    def model(self, inputs: Mapping[str, Sequence[str | int]], outputs: Mapping[str, Sequence[str | int]]) -> bytes:
        """Return the model. Inputs and outputs have a name and a shape; a text in it stands for any size."""
        graph = b"".join(content(1, node) for node in self._nodes) + content(2, "graph")
        graph += b"".join(content(5, tensor) for tensor in self._tensors)
        graph += b"".join(content(11, _value(name, shape)) for name, shape in inputs.items())
        graph += b"".join(content(12, _value(name, shape)) for name, shape in outputs.items())
        operators = content(8, content(1, "") + number(2, _OPERATORS))
        operators += content(8, content(1, CONTRIB) + number(2, _CONTRIB_OPERATORS))
        return number(1, _IR_VERSION) + content(7, graph) + operators


def _attribute(name: str, value: float | list[int]) -> bytes:
    if isinstance(value, list):
        return content(1, name) + b"".join(number(8, item) for item in value) + number(20, 7)
    if isinstance(value, float):
        return content(1, name) + real(2, value) + number(20, 1)
    return content(1, name) + number(3, value) + number(20, 2)


def _value(name: str, shape: Sequence[str | int]) -> bytes:
    sizes = b"".join(content(1, content(2, size) if isinstance(size, str) else number(1, size)) for size in shape)
    return content(1, name) + content(2, content(1, number(1, _FLOAT) + content(2, sizes)))
