"""An object store that fails: a proxy that stands before a real one and does harm."""
import http.client
import http.server
import socketserver
import threading
import time

SECRET = "a-secret-that-no-log-may-hold"


class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Programs are killed here."""


class Proxy(http.server.BaseHTTPRequestHandler):
    """`fault(request)` says what harm is done to `GET /bucket/name`; none by default."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream, fault, seen = 0, staticmethod(lambda request: None), []

    def log_message(self, *_):
        pass

    def forward(self):
        request = f"{self.command} {self.path}"
        Proxy.seen.append(request)
        kind = Proxy.fault(request)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if kind in (500, 503, 403, 404, 412):
            return self.reply(kind, b"<Error><Code>X</Code></Error>", {})
        if kind == "skewed":
            return self.reply(403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", {})
        if kind == "hang up":
            self.close_connection = True
            return self.connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", Proxy.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        kept = ("etag", "content-type", "last-modified", "content-range")
        headers = {k: v for k, v in answer.getheaders() if k.lower() in kept}
        if self.command == "HEAD":
            headers["content-length"] = answer.getheader("content-length") or "0"
        if kind == "wrong" and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if kind == "short" and content:
            content = content[:-1]
        self.reply(answer.status, content, headers, cut=kind == "cut", slow=kind == "slow")

    def reply(self, status, content, headers, cut=False, slow=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            if slow:
                for byte in content[:3]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(5)
                time.sleep(20)
            self.wfile.write(content[:len(content) // 2] if cut else content)
        if cut or slow:
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward


def listen(handler):
    """Its port."""
    server = Threads(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def settings(port):
    """The environment of a program that asks the store behind a port."""
    return {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
