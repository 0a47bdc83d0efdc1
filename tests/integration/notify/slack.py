"""As much of Slack's web API on loopback as a bot needs that posts messages and files; keeps every call."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Slack:
    """`calls`: method and body of each, in order. `refuses`: methods that are answered with an error."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.refuses: set[str] = set()
        self.url = ""

    def answer(self, method: str) -> dict[str, object]:
        """As https://api.slack.com/methods has it."""
        if method in self.refuses:
            return {"ok": False, "error": "missing_scope", "needed": "files:write"}
        match method:
            case "chat.postMessage":
                return {"ok": True, "channel": "C123", "ts": "1769180850.000100"}
            case "files.getUploadURLExternal":
                return {"ok": True, "upload_url": f"{self.url}/upload", "file_id": "F123"}
            case "files.completeUploadExternal":
                return {"ok": True, "files": [{"id": "F123", "title": "picture"}]}
        return {"ok": False, "error": "unknown_method"}


@contextmanager
def slack_server() -> Iterator[Slack]:
    """On 127.0.0.1, until the block ends."""
    slack = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            method = urlsplit(self.path).path.rpartition("/")[2]
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            slack.calls.append((method, body))
            said = b"OK - 1" if method == "upload" else json.dumps(slack.answer(method)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silent: the test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    slack.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
