"""A reverse proxy on the loopback that serves another server under a path, as nginx would."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


@dataclass
class Proxy:
    """`url` is the public address with its path; `stray` the requests that came for anything else."""

    url: str
    stray: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)  # as they were set

    @property
    def origin(self) -> str:
        return self.url.removesuffix(urlsplit(self.url).path)


@contextmanager
def proxied(behind: str, path: str, keeps: bool = False, https: bool = False) -> Iterator[Proxy]:
    """Serves `behind` under `path`, which is taken away or (`keeps`) left; `https` says what came first."""
    target = urlsplit(behind)

    class Handler(BaseHTTPRequestHandler):
        """HTTP/1.0: a stream ends with its connection, so that nothing has to be counted."""

        def pass_on(self) -> None:
            if self.path != path and not self.path.startswith((f"{path}/", f"{path}?")):
                proxy.stray.append(f"{self.command} {self.path}")
                self.send_error(404)
                return
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=120)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection.request(self.command, self._asked(), body, self._headers())
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    proxy.cookies.append(value)
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.end_headers()
            try:
                while part := answer.read1(65536):
                    self.wfile.write(part)
                    self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                pass  # the browser went away
            finally:
                connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = pass_on

        def _asked(self) -> str:
            return self.path if keeps else self.path.removeprefix(path) or "/"

        def _headers(self) -> dict[str, str]:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            return kept | {
                "X-Forwarded-For": self.client_address[0],
                "X-Forwarded-Host": self.headers["host"],
                "X-Forwarded-Proto": "https" if https else "http",
            }

        def log_message(self, *words: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
