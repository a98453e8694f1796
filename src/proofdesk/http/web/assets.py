"""The built files of the pages, served under /static. Their names hold a hash of the content, so browsers keep them.

scripts/assets.py builds them from `static/` and from npm packages, and writes a compressed copy beside each text file.
"""

import importlib.resources
import json
import mimetypes
import os
from functools import cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

from proofdesk.errors import Unavailable

BUILT = Path(str(importlib.resources.files("proofdesk.http.web"))) / "built"
IMMUTABLE = "max-age=31536000, immutable"

mimetypes.add_type("font/woff2", ".woff2")  # Python 3.11 knows neither
mimetypes.add_type("image/webp", ".webp")


class AssetsMissing(Unavailable):
    """The files of the pages have not been built."""

    code = "assets_missing"


class BuiltFiles(StaticFiles):
    """Files that never change under their name, compressed where the client accepts it."""

    def __init__(self, directory: Path, cache_control: str):
        super().__init__(directory=directory, check_dir=False)
        self.cache_control = cache_control

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file at `path`. Raises `HTTPException` 404 or 405."""
        if path.endswith((".gz", "manifest.json")):
            raise HTTPException(404)
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file, or its compressed copy, or 304."""
        copy = Path(f"{os.fspath(full_path)}.gz")
        has_copy = copy.is_file()
        is_compressed = has_copy and "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if is_compressed:
            full_path, stat_result = copy, copy.stat()
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = self.cache_control
        if has_copy:
            response.headers.add_vary_header("Accept-Encoding")
        if is_compressed and response.status_code == status_code:
            response.headers["content-encoding"] = "gzip"
        return response


def asset(name: str) -> str:
    """Return the address of a built file by its name in `static/`."""
    return f"/static/{manifest()[name]}"


def serve(app: Starlette) -> None:
    """Serve the files under /static. Raises `AssetsMissing`."""
    manifest()
    app.mount("/static", BuiltFiles(BUILT / "static", f"public, {IMMUTABLE}"), name="static")


@cache
def manifest() -> dict[str, str]:
    """Return the built name of each file. Raises `AssetsMissing`."""
    try:
        return json.loads((BUILT / "static" / "manifest.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise AssetsMissing("The files of the pages have not been built: run `make assets`.") from error
