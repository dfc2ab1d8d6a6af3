"""An OpenAI-compatible server as small as can be: healthy at once, and every chat is answered with one word."""

import argparse
import http.server
import json
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = None

    def answer(self, body, status=200):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refused(self):
        key = self.options.api_key
        if key is None or self.headers.get("Authorization") == "Bearer " + key:
            return False
        self.answer({"error": {"message": "Unauthorized", "code": 401}}, 401)
        return True

    def do_GET(self):
        if self.path == "/health":
            self.answer({})
        elif self.path == "/v1/models":
            if not self.refused():
                self.answer({"object": "list", "data": [{"id": self.options.name, "object": "model"}]})
        else:
            self.answer({"error": {"message": "Not Found", "code": 404}}, 404)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        if not asked.get("stream"):
            self.answer({"object": "chat.completion", "model": self.options.name, "choices": [choice], "usage": usage})
            return
        choice = {"index": 0, "delta": choice["message"], "finish_reason": "stop"}
        parts = ({"choices": [choice]}, {"choices": [], "usage": usage})
        text = "".join("data: %s\n\n" % json.dumps(part) for part in parts) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        """Without the look-up of a host name, which takes seconds where no name server answers."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", "--model-path", default="model")
    parser.add_argument("--served-model-name", dest="name")
    parser.add_argument("--api-key")
    Handler.options, _ = parser.parse_known_args()
    Handler.options.name = Handler.options.name or Handler.options.model
    print("serving", Handler.options.name, file=sys.stderr, flush=True)
    Server((Handler.options.host, Handler.options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
