"""A server on this machine that speaks what pushing and loading models uses of the Hugging Face Hub's protocol."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_" + "a" * 34
"""The only token that may write."""
COMMIT = "{:040x}"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: files by name and commit. ``lines`` has every request with its headers."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.objects, self.lines = {}, {}, []
        self.private = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, name, files):
        commits = self.repositories.setdefault(name, [])
        commits.append({**(commits[-1] if commits else {}), **files})
        return COMMIT.format(len(commits))

    def files(self, name, revision):
        """The commit and files of a revision; None if there is none."""
        commits = self.repositories.get(name, [])
        number = (
            len(commits) if revision == "main" else int(revision, 16) if re.fullmatch("[0-9a-f]{40}", revision) else 0
        )
        return (COMMIT.format(number), commits[number - 1]) if 0 < number <= len(commits) else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, content=b"", status=200, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, node, status=200, **headers):
        self._send(json.dumps(node).encode(), status, Content_Type="application/json", **headers)

    def _missing(self, code, status=404):
        self._json({"error": code}, status, X_Error_Code=code)

    def _file(self, send_body=True):
        name, revision, file = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", self.path.split("?")[0]).groups()
        found = self.server.files(name, revision)
        if found is None or file not in found[1]:
            return self._missing("EntryNotFound")
        etag = f'"{hashlib.sha256(found[1][file]).hexdigest()}"'
        return self._send(found[1][file], ETag=etag, X_Repo_Commit=found[0])

    def do_HEAD(self):
        self._file()

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.lines.append((path, dict(self.headers)))
        if tree := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            _, files = self.server.files(*tree.groups())
            rows = [
                {"type": "file", "path": k, "size": len(v), "oid": hashlib.sha1(v).hexdigest()}
                for k, v in files.items()
            ]
            return self._json(rows)
        if model := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            name, revision = model[1], model[2] or "main"
            if name not in self.server.repositories or name in self.server.private:
                return self._missing("RepoNotFound", 401)
            found = self.server.files(name, revision)
            return self._missing("RevisionNotFound") if found is None else self._json({"id": name, "sha": found[0]})
        return self._file()

    def do_PUT(self):
        oid = self.path.rpartition("/")[2]
        content = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.objects[oid] = content
        self._send()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.lines.append((self.path, dict(self.headers)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json({"error": "no"}, 401)
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.server.repositories.setdefault(name, [])
            return self._json({"url": f"{self.server.address}/{name}"})
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            rows = [{"path": f["path"], "uploadMode": _mode(f["path"]), "shouldIgnore": False} for f in files]
            return self._json({"files": rows})
        if self.path.endswith("/objects/batch"):
            wanted = json.loads(body)["objects"]
            rows = [{**o, "actions": {"upload": {"href": f"{self.server.address}/lfs/{o['oid']}"}}} for o in wanted]
            return self._json({"transfer": "basic", "objects": rows})
        name = re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path)[1]
        lines = [json.loads(line) for line in body.splitlines()]
        values = [(line["key"], line["value"]) for line in lines]
        files = {node["path"]: base64.b64decode(node["content"]) for key, node in values if key == "file"}
        files |= {node["path"]: self.server.objects[node["oid"]] for key, node in values if key == "lfsFile"}
        made = self.server.commit(name, files)
        return self._json({"commitUrl": f"{self.server.address}/{name}/commit/{made}", "commitOid": made})


def _mode(path):
    return "lfs" if path.endswith(".safetensors") else "regular"
