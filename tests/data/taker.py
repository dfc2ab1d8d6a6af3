"""What another process of the engine's user can do to iinstall's or iwarm's child: argv is the tool, the file whose lock
the child waits for, what to do, and what to write.

Takes the child's standard output with pidfd_getfd(2), acts, says what it has done on its own, releases the lock, and keeps
its copy of the pipe until it is ended."""
import ctypes
import fcntl
import os
import signal
import sys
import time

PIDFD_OPEN, PIDFD_GETFD = 434, 438
libc = ctypes.CDLL(None, use_errno=True)


def system(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def waits(pid):
    """Whether it is the tool, and waits for this lock and no other."""
    if not os.readlink(f"/proc/{pid}/exe").endswith("/" + tool):
        return False
    return any(os.readlink(f"/proc/{pid}/fd/{fd}") == lock for fd in os.listdir(f"/proc/{pid}/fd"))


def child():
    while True:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}").st_uid == os.getuid() and waits(pid):
                    return int(pid)
            except OSError:
                pass
        time.sleep(0.005)


tool, lock, act, text = sys.argv[1:]
held = open(lock)
fcntl.flock(held, fcntl.LOCK_EX)
print("locked", flush=True)
pid = child()
if act == "environ":
    print(open(f"/proc/{pid}/environ").read().replace("\0", "\n"), flush=True)
if act == "stop":
    os.kill(pid, signal.SIGSTOP)
try:
    taken = system(PIDFD_GETFD, system(PIDFD_OPEN, pid, 0), 1, 0)
except OSError as error:
    print(f"refused: {error}", flush=True)
    sys.exit(0)
if act == "write":
    os.write(taken, text.encode())
if act == "flood":
    try:
        while True:
            os.write(taken, b"x" * 65536)
    except OSError:
        pass
print("acted", flush=True)
fcntl.flock(held, fcntl.LOCK_UN)
signal.pause()
