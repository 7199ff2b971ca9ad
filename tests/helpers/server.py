"""A server of weights on this machine, for tests of downloads."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves files as the Hub and the older store do, and notes what it was asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.asked = []
        self.break_after = None
        self.status = None
        self.tag = '"{}"'  # what the Hub makes of a hash; None: it says nothing
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        path = self.path.removeprefix("/store")
        data = server.files.get(path)
        if server.status or data is None:
            return self.send_error(server.status or 404)
        if "/resolve/" in self.path and not self.path.startswith("/store"):
            self.send_response(302)
            self.send_header("Location", f"{server.url}/store{self.path}")
            if server.tag is not None:
                tag = server.tag.format(hashlib.sha256(data).hexdigest())
                self.send_header("X-Linked-Etag", tag)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = server.break_after or len(data)
        self.wfile.write(data[start : max(start, end)])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@contextmanager
def serving():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
