"""A hub of a few lines on loopback: repositories in memory, read and written as by the real one."""

import base64
import hashlib
import http.server
import json
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories as files by name; `requests` are what was asked."""

    def __init__(self):
        self.repositories, self.requests = {}, []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, b"")

            do_HEAD = do_GET

            def do_POST(self):
                hub.answer(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, body):
        path = urllib.parse.urlparse(request.path).path
        self.requests.append((request.command, path, dict(request.headers)))
        status, content, headers = self.found(path, body)
        request.send_response(status)
        for name, value in {"content-length": len(content), "x-repo-commit": COMMIT, **headers}.items():
            request.send_header(name, str(value))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def found(self, path, body):
        def told(value):
            return 200, json.dumps(value).encode(), {"content-type": "application/json"}

        if path == "/api/repos/create":
            asked = json.loads(body)
            self.repositories[f"{asked['organization']}/{asked['name']}"] = {}
            return told({"url": "x"})
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        files = self.repositories.get(name)
        if files is None:
            return 404, b"", {}
        if not api:
            content = files.get("/".join(parts[4:]))
            if content is None:
                return 404, b"", {}
            return 200, content, {"etag": f'"{git_name(content)}"'}
        if parts[4:5] == ["preupload"]:
            sent = json.loads(body)["files"]
            return told({"files": [{"path": f["path"], "uploadMode": "regular"} for f in sent]})
        if parts[4:5] == ["commit"]:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return told({"commitOid": COMMIT})
        siblings = [{"rfilename": n, "blobId": git_name(c)} for n, c in files.items()]
        return told({"sha": COMMIT, "siblings": siblings})


def git_name(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
