"""An engine over several nodes, as far as they have to find each other: takes the flags of SGLang and of vLLM that say so.

Rank 0 waits until all others have come, then serves as engine.py does. The others come, say which they are, and stay for as long as
rank 0 does."""
import os
import socket
import sys
import time


def flag(*names):
    for name in names:
        if name in sys.argv:
            return sys.argv[sys.argv.index(name) + 1]
    return None


nodes, rank = int(flag("--nnodes")), int(flag("--node-rank"))
head, _, port = (flag("--dist-init-addr") or ":".join([flag("--master-addr"), flag("--master-port")])).rpartition(":")
folder = os.environ["RANKS_FOLDER"]
if rank == 0:
    server = socket.create_server((head, int(port)))
    here = []
    while len(here) < nodes - 1:
        here.append(server.accept()[0])
        print("rank", here[-1].recv(9).decode(), "has come", flush=True)
        os.set_inheritable(here[-1].fileno(), True)
    engine = os.path.join(os.path.dirname(os.path.realpath(__file__)), "engine.py")
    os.execv(sys.executable, [sys.executable, engine, flag("--port"), folder, flag("--host")])
assert "--headless" in sys.argv or flag("--dist-init-addr"), sys.argv
while True:
    try:
        meeting = socket.create_connection((head, int(port)))
        break
    except OSError:
        time.sleep(0.05)
meeting.sendall(str(rank).encode())
print("joined as rank", rank, flush=True)
meeting.recv(1)
sys.exit("rank 0 has gone")
