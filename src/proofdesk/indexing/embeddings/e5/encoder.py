"""Computes vectors: text → tokens → word embeddings and positions → graph → mean over the tokens → length 1."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import sentencepiece

from proofdesk.indexing.embeddings.e5 import graph, weights
from proofdesk.indexing.embeddings.e5.vocabulary import BEGIN, END
from proofdesk.indexing.embeddings.e5.weights import Floats, Weights

QUERY_PREFIX, DOCUMENT_PREFIX = "query: ", "passage: "  # with which the model was trained
_SPACES = re.compile("  +")


class Encoder:
    """The loaded model. Threads may use it at the same time; each run uses one core.

    The word embeddings stay in the file of weights, and the weights of the graph in theirs: processes share both.
    """

    def __init__(self, source: Weights, graph_file: Path, vocabulary_file: Path):
        sizes = source.architecture
        self.dimension = sizes.hidden
        self._window = sizes.positions - 2  # tokens of a run, without those of begin and end
        self._scales, self._bits = source.blocks("emb.word", sizes.tokens, sizes.hidden)
        positions = source.floats("emb.pos").reshape(-1, sizes.hidden)
        self._positions = positions + source.floats("emb.type")[: sizes.hidden]
        self._replacements = source.replacements
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary_file))
        self._session = _open_session(graph_file, _session_options())

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return a vector of length 1 for each text, which begins with one of the prefixes."""
        return np.stack([self._encode(self.tokenize(text)) for text in texts])

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of the tokens of a text."""
        replaced = unicodedata.normalize("NFC", text).translate(self._replacements)
        return self._tokenizer.encode(_SPACES.sub(" ", replaced), out_type=int)

    def _encode(self, tokens: list[int]) -> Floats:
        # The vector of a text that is too long for a run is the mean of the vectors of its windows.
        windows = [tokens[start : start + self._window] for start in range(0, len(tokens), self._window)]
        total = sum((len(window) * self._run(window) for window in windows), np.zeros(self.dimension, np.float32))
        return (total / np.linalg.norm(total)).astype(np.float32)

    def _run(self, tokens: list[int]) -> Floats:
        ids = np.array([BEGIN, *tokens, END])
        embeddings = weights.unpack(self._scales[ids], self._bits[ids]) + self._positions[: len(ids)]
        [vectors] = self._session.run([graph.OUTPUT], {graph.INPUT: embeddings[None]})
        return np.asarray(vectors)[0]


def save_for_processor(graph_file: Path, target: Path, weights_name: str) -> None:
    """Write a graph and its weights, named `weights_name` beside it, in the order of this processor.

    Weights that are already in this order are mapped into memory, so that processes share them.
    """
    options = _session_options()
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", weights_name)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    _open_session(graph_file, options)


def _open_session(file: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Further levels fuse `Add` and `LayerNormalization` into an operator that is slower.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return options
