"""Measure search quality: labelled queries over a corpus of conversations, through the real tables and stages.

    make eval                          (or: python scripts/eval.py [--fresh] [--only TASK])

The corpus is a folder with `conversations.jsonl.gz` and `tasks/<task>/{queries.jsonl,qrels.tsv}`, named by
PROOFDESK_CORPUS_DIR. It is synced from the simulated Chatwoot, chunked, indexed and embedded by the local model
once; the database stays in `var/eval` until --fresh.
"""

import argparse
import asyncio
import json
import math
import os
import shutil
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from proofdesk.audit.events import system_actor
from proofdesk.chatwoot import sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.progress import ignore_progress
from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.indexing import tokenizer, vector_index, vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import new_projects
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import SearchQuery
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import build, create_app
from proofdesk_simulators.serving import running

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "eval"
PROJECT = "Corpus"
MODES = ("vector", "text", "hybrid")
TOP_K = 50

Grades = Mapping[str, int]


@dataclass(frozen=True)
class Query:
    """A labelled query: grades by corpus id of a conversation."""

    text: str
    grades: Grades


@dataclass(frozen=True)
class Scores:
    """nDCG@10 with linear gain, and the share of all relevant conversations among the first ten."""

    ndcg: float
    recall: float


def main() -> int:
    """Prepare the database, run the queries, print the scores. Return 0 also when there is no corpus."""
    arguments = _arguments()
    corpus = Path(os.environ.get("PROOFDESK_CORPUS_DIR") or ROOT.parent / "shared" / "data" / "support")
    if not (corpus / "conversations.jsonl.gz").is_file():
        print(f"There is no corpus at {corpus}. Set PROOFDESK_CORPUS_DIR to its folder.")
        return 0
    if arguments.fresh:
        shutil.rmtree(HOME, ignore_errors=True)
    asyncio.run(_evaluate(corpus, arguments.only))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure search on labelled queries.")
    parser.add_argument("--fresh", action="store_true", help="load the corpus again")
    parser.add_argument("--only", metavar="TASK", help="one of the tasks")
    return parser.parse_args()


async def _evaluate(corpus: Path, only: str | None) -> None:
    tasks = {d.name: _queries(d) for d in sorted((corpus / "tasks").iterdir()) if only in (None, d.name)}
    async with _database() as db:
        project_scope = await _project(db, corpus)
        names = await _corpus_ids(db, project_scope)
        print(f"\n{'':18}{'':14}{'nDCG@10':>9}{'Recall@10':>11}{'p50 ms':>9}{'p95 ms':>9}")
        baseline = Baseline(_texts(corpus))
        for task, queries in tasks.items():
            _show(task, "plain BM25", [score(baseline.search(q.text), q.grades) for q in queries], [])
        for mode in MODES:
            await _search(db, project_scope, SearchQuery("warm up", mode=mode))
            for task, queries in tasks.items():
                await _measure(db, project_scope, names, task, mode, queries)


# Queries --------------------------------------------------------------------------------------------------------------


async def _measure(
    db: Database, project_scope: Scope, names: Mapping[str, str], task: str, mode: str, queries: Sequence[Query]
) -> None:
    scores, milliseconds = [], []
    for query in queries:
        started = time.perf_counter()
        answer = await _search(db, project_scope, SearchQuery(query.text, top_k=TOP_K, mode=mode))  # type: ignore[arg-type]
        milliseconds.append((time.perf_counter() - started) * 1000)
        ranking = dict.fromkeys(names[hit.conversation_global_id] for hit in answer.results)
        scores.append(score(list(ranking), query.grades))
    _show(task, mode, scores, milliseconds)


async def _search(db: Database, project_scope: Scope, question: SearchQuery) -> results.SearchResults:
    return await results.search(db, project_scope, LocalModel(HOME), _settings(), question)


def _show(task: str, mode: str, scores: Sequence[Scores], milliseconds: Sequence[float]) -> None:
    ndcg, recall = (statistics.fmean(getattr(s, name) for s in scores) for name in ("ndcg", "recall"))
    took = "".join(f"{_percentile(milliseconds, p):9.1f}" for p in (50, 95)) if milliseconds else ""
    print(f"{task:18}  {mode:12}{ndcg:9.4f}{recall:11.4f}{took}", flush=True)


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]


def score(ranking: Sequence[str], grades: Grades) -> Scores:
    """nDCG@10 after Järvelin and Kekäläinen (2002), gain = grade, discount log2(rank + 1); and Recall@10."""
    gained = [grades.get(name, 0) for name in ranking[:10]]
    ideal = sorted(grades.values(), reverse=True)[:10]
    return Scores(_dcg(gained) / _dcg(ideal), sum(g > 0 for g in gained) / sum(g > 0 for g in grades.values()))


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


# The baseline ---------------------------------------------------------------------------------------------------------


class Baseline:
    """BM25 over whole conversations, in memory: unstemmed words, k1 1.2, b 0.75."""

    def __init__(self, texts: Mapping[str, str]):
        self._counts = {name: Counter(tokenizer.words(tokenizer.clean(text))) for name, text in texts.items()}
        self._postings: dict[str, list[str]] = defaultdict(list)
        for name, counts in self._counts.items():
            for word in counts:
                self._postings[word].append(name)
        self._lengths = {name: counts.total() for name, counts in self._counts.items()}
        self._average = statistics.fmean(self._lengths.values())

    def search(self, text: str) -> list[str]:
        """Return the names of all conversations with a word of the query, best first."""
        scores: dict[str, float] = defaultdict(float)
        for word, times in Counter(tokenizer.words(tokenizer.clean(text))).items():
            holders = self._postings.get(word, [])
            idf = math.log(1 + (len(self._counts) - len(holders) + 0.5) / (len(holders) + 0.5))
            for name in holders:
                tf, length = self._counts[name][word], self._lengths[name] / self._average
                scores[name] += times * idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length))
        return sorted(scores, key=lambda name: (-scores[name], name))


# The corpus -----------------------------------------------------------------------------------------------------------


def _queries(folder: Path) -> list[Query]:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines():
        query, document, grade = line.split("\t")[:3]
        if grade.lstrip("-").isdigit():
            grades[query][document] = int(grade)
    queries = map(json.loads, (folder / "queries.jsonl").read_text("utf-8").splitlines())
    return [Query(q["text"], grades[q["query_id"]]) for q in queries if grades[q["query_id"]]]


def _texts(corpus: Path) -> dict[str, str]:
    import gzip

    with gzip.open(corpus / "conversations.jsonl.gz", "rt", encoding="utf-8") as lines:
        conversations = map(json.loads, lines)
        return {
            c["conversation_id"]: "\n".join(m["text"] for m in c["messages"] if m["sender"] != "system")
            for c in conversations
        }


async def _corpus_ids(db: Database, project_scope: Scope) -> dict[str, str]:
    async with db.scoped(project_scope) as conn:
        rows = await conn.execute(
            "SELECT 'cw:' || project_id || ':' || account_id || ':' || conversation_id,"
            " custom_attributes ->> 'corpus_id' FROM cw_conversations"
        )
        return dict(await rows.fetchall())


# Loading --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    with embedded.running_server(HOME) as url:
        migrate.migrate(url)
        async with open_database(url, 8) as db:
            yield db


async def _project(db: Database, corpus: Path) -> Scope:
    """Return the scope of the project with the corpus, with every stage up to date."""
    actor = system_actor()
    existing = [p for p in await projects.list_visible(db, actor) if p.name == PROJECT]
    project = existing[0] if existing else await new_projects.create(db, actor, PROJECT)
    project_scope = await scope.enter(db, actor, project.id)
    if not (HOME / "synced").exists():
        with _timed("sync"):
            await _sync(db, project_scope, corpus)
        (HOME / "synced").touch()
    with _timed("chunks and terms"):
        await index_conversations(db, project_scope, ChunkLimits.from_settings(_settings()))
    with _timed("vectors"):
        await vectors.embed_pending(
            db, project_scope, LocalModel(HOME), vectors.EmbeddingOptions.from_settings(_settings())
        )
    with _timed("vector index"), embedded.running_server(HOME) as url:
        await vector_index.maintain_index(db, url, project_scope)
    with _timed("vacuum"):
        await _vacuum()
    return project_scope


async def _sync(db: Database, project_scope: Scope, corpus: Path) -> None:
    simulator = build(corpus / "conversations.jsonl.gz")
    try:
        with running(create_app(simulator)) as address:
            client = ChatwootClient(address, simulator.admin_token)
            await sync.run(db, client, project_scope, sync.SyncOptions(default_account_id=1), ignore_progress)
            await client.aclose()
    finally:
        simulator.close()


async def _vacuum() -> None:
    # What autovacuum would have done by now.
    import psycopg

    with embedded.running_server(HOME) as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await conn.execute("VACUUM ANALYZE")


def _settings() -> Settings:
    return Settings(embedding_provider="local")


@contextmanager
def _timed(what: str):
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
