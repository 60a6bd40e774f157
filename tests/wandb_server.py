"""A W&B server on the loopback that knows just enough to let a run begin, and falls silent when it is told to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = {"id": "b", "name": "r", "displayName": "r", "description": "", "config": "{}", "historyLineCount": 0}
PROJECT = {"id": "p", "name": "gan_lab", "entity": {"id": "e", "name": "me"}}
BEGUN = {"data": {"upsertBucket": {"bucket": {**BUCKET, "sweepName": None, "project": PROJECT}, "inserted": True}}}


FILES = {"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_HEAD(self):
        self.reply({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("query", "")
        self.server.ended.wait(0 if self.server.speaks else None)
        known = {"upsertBucket": BEGUN, "createRunFiles": FILES}
        self.reply(next((answer for name, answer in known.items() if name in asked), {"data": {}}))

    def reply(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Attributes: ``speaks``, whether it answers what is posted."""

    daemon_threads = True

    def __init__(self, speaks=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.speaks, self.ended = speaks, threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()
