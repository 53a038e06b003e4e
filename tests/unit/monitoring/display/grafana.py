"""A stand-in for Grafana's HTTP API, as its documentation describes folders and dashboards.

No Grafana can be installed where the tests run. It keeps what it was sent, and refuses what Grafana refuses: another
token, a folder's title a second time, a dashboard over another without ``overwrite``, a folder that is not there.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "glsa_a-test"  # noqa: S105 - no secret
Answer = tuple[int, Any]


@dataclass
class StandIn:
    """What it holds. ``refuses`` is answered to everything, where it is set; ``path`` is what it is served under."""

    path: str = ""
    url: str = ""
    folders: dict[str, str] = field(default_factory=dict)
    """Title by uid."""
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Last body by uid of the dashboard."""
    asked: list[str] = field(default_factory=list)
    refuses: Answer | None = None

    def answer(self, method: str, path: str, token: str, body: Any) -> Answer:
        """Status and JSON of an answer."""
        self.asked.append(f"{method} {path}")
        if not path.startswith(f"{self.path}/api/"):
            return 404, {"message": "Not found"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        return self.refuses or self._called(method, path, body)

    def _called(self, method: str, path: str, body: Any) -> Answer:
        match method, path.removeprefix(self.path).split("?")[0]:
            case "GET", "/api/folders":
                return 200, [{"id": 1, "uid": uid, "title": title} for uid, title in self.folders.items()]
            case "POST", "/api/folders":
                return self._make(body)
            case "POST", "/api/dashboards/db":
                return self._save(body)
        return 404, {"message": "Not found"}

    def _make(self, body: dict[str, Any]) -> Answer:
        if body["title"] in self.folders.values():
            return 409, {"message": "a folder with the same name already exists in the current location"}
        uid = f"uid-{len(self.folders)}"
        self.folders[uid] = body["title"]
        return 200, {"id": len(self.folders), "uid": uid, "title": body["title"], "version": 1}

    def _save(self, body: dict[str, Any]) -> Answer:
        board = body["dashboard"]
        if not board.get("title"):
            return 400, {"message": "Dashboard title cannot be empty"}
        if len(board.get("uid") or "") > 40:
            return 400, {"message": "uid too long, max 40 characters"}
        if body.get("folderUid", "") not in {"", *self.folders}:
            return 400, {"message": "folder not found"}
        before = self.dashboards.get(board["uid"])
        if before and not body.get("overwrite"):
            told = {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
            return 412, told
        self.dashboards[board["uid"]] = body
        slug = board["title"].lower().replace(": ", "-")
        address = f"{self.path}/d/{board['uid']}/{slug}"
        return 200, {"id": 1, "uid": board["uid"], "url": address, "status": "success", "version": 1, "slug": slug}


@contextlib.contextmanager
def served(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve it on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            assert self.headers["Content-Type"].startswith("application/json")
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            status, told = stand_in.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(told, bytes) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}{stand_in.path}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
