"""Try every way out, one line for each: reach.py TCP_PORT UDP_PORT, both of listeners on the loopback of whoever asks."""

import ctypes
import os
import socket
import sys
import threading

TCP, UDP = int(sys.argv[1]), int(sys.argv[2])


def line(name, attempt):
    try:
        print(f"{name}: {attempt()}")
    except OSError as error:
        print(f"{name}: {os.strerror(error.errno)}")


def tcp():
    with socket.create_connection(("127.0.0.1", TCP), timeout=10) as peer:
        peer.sendall(b"out")
    return "reached"


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"out", ("127.0.0.1", UDP))
    return "sent"


def route():
    # No packet is sent: the kernel only looks for a way.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("192.0.2.1", 9))
    return "there is one"


def loopback(family, address):
    def attempt():
        with socket.create_server((address, 0), family=family) as server:
            client = threading.Thread(target=lambda: socket.create_connection(server.getsockname()[:2]).close())
            client.start()
            server.accept()[0].close()
            client.join()
        return "works"

    return attempt


def resolve():
    try:
        return socket.getaddrinfo("infer-dev.invalid.example", 80) and "resolved"
    except socket.gaierror:
        return "nothing"


def local():
    ours, theirs = socket.socketpair()
    ours.send(b"x")
    return theirs.recv(1) and "works"


def io_uring():
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(425, 1, ctypes.create_string_buffer(120))
    if ring < 0:
        raise OSError(ctypes.get_errno(), "")
    os.close(ring)
    return "a ring"


line("tcp", tcp)
line("udp", udp)
line("route", route)
line("resolve", resolve)
line("loopback", loopback(socket.AF_INET, "127.0.0.1"))
line("loopback 6", loopback(socket.AF_INET6, "::1"))
line("unix", local)
line("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) and "works")
line("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) and "works")
line("io_uring", io_uring)
