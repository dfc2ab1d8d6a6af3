"""An engine that does what a test says: engine.py PORT FOLDER [HOST]. What it does is decided by files in FOLDER, looked
at anew for every request, so that a test changes its mind without waiting:

  bind-only  the port is bound with SO_REUSEPORT and not listened on
  healthy    /health answers 200, and everything else works; without it 503, as llama.cpp says it
  early      /v1/models answers 200 all the same
  ids        what /v1/models lists, one a line; else "fake"
  key        the key that it wants, for all but /health
  chat       what a chat answers: a status and a body, in two lines
  stream     the body of a streamed chat, sent as it is
  holds      a streamed chat goes no further than its first event
  slots      what /slots answers; else 501
  stuck      no chat is answered any more
  spin       /health is not answered, but the processor is used
  tls        the PEM file, key and certificate, with which it speaks TLS; read once
  prefix     what stands before each of its paths
  routed     a router's models, one a line: /models tells their states, each is loaded when that is asked for, but for `bad`
  slow       such a load is over once /models/sse has told this many steps of it; 0: it never is, and every step is the same
  breaks     /v1/completions ends it
  plain      /v1/completions answers, whatever is said of chats
  kept       the ids of the responses that it keeps, one a line; without it, it knows no such path
"""

import http.server
import json
import os
import signal
import socket
import ssl
import sys

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
HOST = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"


def said(name):
    try:
        with open(os.path.join(FOLDER, name)) as file:
            return file.read()
    except FileNotFoundError:
        return None


STREAM = """: ping

data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}

data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}

data: {"choices":[{"index":0,"delta":{"content":" world"},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}

data: [DONE]

"""


class Engine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        first, end, rest = events.partition("\n\n")
        self.chunk(first + end)
        while said("holds") is not None:
            signal.sigtimedwait([], 0.05)
        self.chunk(rest)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, text):
        body = text.encode()
        if body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
            self.wfile.flush()

    def error(self, status, message):
        self.answer(status, json.dumps({"error": {"message": message, "code": status}}))

    def refused(self):
        """Loading comes before the key, as in llama.cpp."""
        if said("healthy") is None and not (self.path == "/v1/models" and said("early") is not None):
            self.error(503, "Loading model")
            return True
        key = said("key")
        if key is not None and self.headers.get("Authorization") != "Bearer " + key:
            self.error(401, "Invalid API Key")
            return True
        return False

    def strip(self):
        """Whether the path is one of ours; the prefix is taken off."""
        prefix = (said("prefix") or "").strip()
        if not self.path.startswith(prefix + "/"):
            self.error(404, "File Not Found")
            return False
        self.path = self.path[len(prefix):]
        return True

    def routed(self):
        states = [(id, STATES.get(id, "unloaded")) for id in said("routed").split("\n")]
        # What was loading when it was last told is loaded now.
        if said("slow") is None or STEPS["told"] >= int(said("slow")) > 0:
            done = {id: "failed" if id == "bad" else "loaded" for id, state in states if state == "loading"}
            STATES.update(done)
        models = [{"id": id, "status": {"value": state, "failed": state == "failed"}} for id, state in states]
        self.answer(200, json.dumps({"data": models}))

    def news(self):
        """Frames as llama.cpp's router sends them, one for each step; nothing was kept for who comes later."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while STEPS["told"] < int(said("slow")) or int(said("slow")) == 0:
            signal.sigtimedwait([], 0.1)
            STEPS["told"] += 1 if int(said("slow")) else 0
            progress = {"stages": ["text_model"], "current": "text_model", "value": STEPS["told"] / 100}
            data = {"status": "loading", "progress": progress}
            event = {"model": said("routed").split("\n")[0], "event": "status_update", "data": data}
            try:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            except OSError:
                return  # nobody listens any more

    def do_GET(self):
        if not self.strip():
            return
        if self.path == "/models/sse" and said("slow") is not None:
            return self.news()
        if self.path == "/models" and said("routed") is not None:
            return self.routed()
        if self.path.startswith("/v1/responses/") and said("kept") is not None:
            id = self.path.split("/")[3].split("?")[0]
            if id not in said("kept").split("\n"):
                return self.error(404, "no such response")
            return self.answer(200, json.dumps({"id": id, "asked": self.command}))
        if self.path == "/slots":
            slots = said("slots")
            return self.error(501, "no slots") if slots is None else self.answer(200, slots)
        if self.path == "/health":
            while said("spin") is not None:
                pass
            if said("healthy") is None:
                return self.error(503, "Loading model")
            return self.answer(200, '{"status":"ok"}')
        if self.refused():
            return
        ids = (said("routed") or said("ids") or "fake").split("\n")
        self.answer(200, json.dumps({"object": "list", "data": [{"id": id} for id in ids if id]}))

    do_DELETE = do_GET

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("asked", json.dumps(body), flush=True)
        if not self.strip() or self.refused():
            return
        if self.path == "/models/load" and said("routed") is not None:
            STATES[body["model"]] = "loading"
            return self.answer(200, '{"success":true}')
        if self.path == "/v1/completions" and said("breaks") is not None:
            os._exit(9)
        if self.path == "/v1/completions" and said("plain") is not None:
            return self.answer(200, json.dumps({"choices": [{"index": 0, "text": "p", "finish_reason": "length"}]}))
        while said("stuck") is not None:
            signal.sigtimedwait([], 0.05)
        chat = said("chat")
        if chat is not None:
            status, text = chat.split("\n", 1)
            return self.answer(int(status), text)
        if self.path == "/v1/completions":
            return self.error(404, "no such path")
        if body.get("stream"):
            stream = said("stream")
            return self.stream(STREAM if stream is None else stream)
        choice = {"index": 0, "message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}
        self.answer(200, json.dumps({"object": "chat.completion", "choices": [choice]}))

    def log_message(self, format, *args):
        print(format % args, flush=True)


# Of a router's models.
STATES = {}
STEPS = {"told": 0}


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in HOST else socket.AF_INET
    allow_reuse_port = True

    def server_bind(self):
        """Without the look-up of a host name, which takes seconds where no name server answers."""
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self.socket.setsockopt(socket.SOL_SOCKET, option, 1)
        self.socket.bind(self.server_address)
        if said("tls") is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(said("tls").strip())
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.server_name, self.server_port = HOST, PORT


def end(number, frame):
    os._exit(0)


signal.signal(signal.SIGTERM, end)
server = Server((HOST, PORT), Engine, bind_and_activate=False)
server.server_bind()
if said("bind-only") is None:
    # Who waits for the word may connect at once.
    server.server_activate()
    print("up", flush=True)
else:
    print("up", flush=True)
    while said("bind-only") is not None:
        signal.sigtimedwait([], 0.005)
    server.server_activate()
server.serve_forever()
