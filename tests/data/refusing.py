"""Run a command for which the kernel answers some system calls with an error, as a container's own filter has it, or
with a success that is none: refusing.py ERROR CALL,CALL COMMAND...; ERROR is a name of errno, or 0. "newer" as a call means
every call that Linux 4.18 has not. Of those clone3 is always ENOSYS: the C library starts no thread without that answer."""

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {
    "x86_64": {"unshare": 272, "setns": 308, "seccomp": 317, "clone3": 435},
    "aarch64": {"unshare": 97, "setns": 268, "seccomp": 277, "clone3": 435},
}[os.uname().machine]
answer, calls, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
action = 0x0005_0000 | (0 if answer == "0" else getattr(errno, answer))

program = struct.pack("HBBI", 0x20, 0, 0, 0)  # the number of the call
if "newer" in calls:
    calls.remove("newer")
    # All architectures number them alike, from pidfd_send_signal on.
    program += struct.pack("HBBI", 0x15, 0, 1, 435)
    program += struct.pack("HBBI", 0x06, 0, 0, 0x0005_0000 | errno.ENOSYS)
    program += struct.pack("HBBI", 0x35, 0, 1, 424)
    program += struct.pack("HBBI", 0x06, 0, 0, action)
for call in calls:
    program += struct.pack("HBBI", 0x15, 0, 1, NUMBERS[call])
    program += struct.pack("HBBI", 0x06, 0, 0, action)
program += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF_0000)

libc = ctypes.CDLL(None, use_errno=True)
lines = ctypes.create_string_buffer(program, len(program))
filter = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(lines)))
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(command[0], command)
