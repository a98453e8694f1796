"""Builds the graph of the model in 8-bit numbers for onnxruntime.

The activations are quantized while the graph runs. What this does for speed and precision:

- A run has one text and no mask, so that attention runs block by block.
- Q, K and V are one product. `Add` and `LayerNormalization` are separate: the fused operator is slower.
- Each token's activations are divided by their maximum before the products of the inner layer, so that one token with
  large numbers does not cost the precision of all others.
- Weights have 7 bits. With 8, the products of CPUs without VNNI instructions overflow and vectors become wrong.
"""

import numpy as np

from proofdesk.indexing.embeddings.e5.onnx_file import CONTRIB, GraphWriter
from proofdesk.indexing.embeddings.e5.weights import Floats, Weights

INPUT, OUTPUT = "embeddings", "vector"
LARGEST = 63  # of a 7-bit weight


def build(weights: Weights, weights_file: str) -> tuple[bytes, bytes]:
    """Return the model and the content of its file of weights, of which the model knows the name."""
    builder = _Builder(weights, GraphWriter(weights_file))
    return builder.build()


class _Builder:
    def __init__(self, weights: Weights, writer: GraphWriter):
        self._weights, self._writer = weights, writer
        self._sizes = weights.architecture

    def build(self) -> tuple[bytes, bytes]:
        writer, hidden = self._writer, self._sizes.hidden
        tokens = self._normalize(INPUT, "emb.ln", "tokens")
        writer.weight("thirds", np.array([hidden] * 3, np.int64))
        for layer in range(self._sizes.layers):
            tokens = self._layer(tokens, f"l{layer}")
        mean = writer.node("ReduceMean", [tokens], "mean", axes=[1], keepdims=0)
        writer.node("LpNormalization", [mean], OUTPUT, axis=-1, p=2)
        shapes = {INPUT: (1, "tokens", hidden)}, {OUTPUT: (1, hidden)}
        return writer.model(*shapes), bytes(writer.weights)

    def _layer(self, tokens: str, layer: str) -> str:
        attended = self._residual(self._attention(tokens, layer), tokens, f"{layer}.aln")
        return self._residual(self._inner_layer(attended, layer), attended, f"{layer}.oln")

    def _attention(self, tokens: str, layer: str) -> str:
        writer, hidden = self._writer, self._sizes.hidden
        matrix = np.concatenate([self._weights.matrix(f"{layer}.{part}.w", hidden, hidden) for part in "qkv"])
        bias = np.concatenate([self._weights.floats(f"{layer}.{part}.b") for part in "qkv"])
        together = self._product(tokens, matrix, f"{layer}.qkv", bias)
        parts = [f"{layer}.{part}" for part in "qkv"]
        writer.node("Split", [together, "thirds"], *parts, axis=-1)
        heads = self._sizes.heads
        attended = writer.node("MultiHeadAttention", parts, f"{layer}.attention", domain=CONTRIB, num_heads=heads)
        matrix = self._weights.matrix(f"{layer}.ao.w", hidden, hidden)
        return self._product(attended, matrix, f"{layer}.ao", self._weights.floats(f"{layer}.ao.b"))

    def _inner_layer(self, tokens: str, layer: str) -> str:
        writer, hidden, inner = self._writer, self._sizes.hidden, self._sizes.inner
        matrix = self._weights.matrix(f"{layer}.fi.w", inner, hidden)
        wide = self._product_by_token(tokens, matrix, f"{layer}.fi")
        bias = writer.weight(f"{layer}.fi.b", self._weights.floats(f"{layer}.fi.b"))
        active = writer.node("BiasGelu", [wide, bias], f"{layer}.gelu", domain=CONTRIB)
        matrix = self._weights.matrix(f"{layer}.fo.w", hidden, inner)
        narrow = self._product_by_token(active, matrix, f"{layer}.fo")
        bias = writer.weight(f"{layer}.fo.b", self._weights.floats(f"{layer}.fo.b"))
        return writer.node("Add", [narrow, bias], f"{layer}.fo.biased")

    def _residual(self, tokens: str, before: str, name: str) -> str:
        return self._normalize(self._writer.node("Add", [tokens, before], f"{name}.sum"), name, f"{name}.tokens")

    def _normalize(self, tokens: str, name: str, output: str) -> str:
        weights = [self._writer.weight(f"{name}.{part}", self._weights.floats(f"{name}.{part}")) for part in "wb"]
        epsilon = self._sizes.epsilon
        return self._writer.node("LayerNormalization", [tokens, *weights], output, axis=-1, epsilon=epsilon)

    def _product_by_token(self, tokens: str, matrix: Floats, name: str) -> str:
        writer = self._writer
        absolute = writer.node("Abs", [tokens], f"{name}.absolute")
        maximum = writer.node("ReduceMax", [absolute], f"{name}.maximum", axes=[-1], keepdims=1)
        scaled = writer.node("Div", [tokens, maximum], f"{name}.scaled")
        return writer.node("Mul", [self._product(scaled, matrix, name), maximum], f"{name}.unscaled")

    def _product(self, tokens: str, matrix: Floats, name: str, bias: Floats | None = None) -> str:
        writer = self._writer
        quantized, scales = quantize(matrix)
        inputs = [
            tokens,
            writer.weight(f"{name}.weights", quantized.T),
            writer.weight(f"{name}.scales", scales),
            writer.weight(f"{name}.zeros", np.zeros(len(scales), np.int8)),
        ]
        if bias is not None:
            inputs.append(writer.weight(f"{name}.bias", bias))
        return writer.node("DynamicQuantizeMatMul", inputs, f"{name}.product", domain=CONTRIB)


def quantize(matrix: Floats) -> tuple[np.ndarray, Floats]:
    """Return the rows of a matrix in whole numbers up to `LARGEST`, and the scale of each row."""
    scales = np.abs(matrix).max(axis=1) / LARGEST
    scales[scales == 0] = 1
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)
