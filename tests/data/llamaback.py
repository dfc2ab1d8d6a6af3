"""Read command lines back by llama.cpp's own parser: llamaback.py FOLDER < PLANS

FOLDER holds the library of the packed tiny server (xllamacpp.abi3.so). Each plan of the stream is parsed by it, in a process of
its own, and told as one JSON line: the instance, whether the parser took it, what it said where it did not, and every parameter
that is not as it is without them, under its name in llama.cpp's common_params.
"""

import ctypes
import json
import os
import sys

PARSE = "_Z19common_params_parseiPPcR13common_params13llama_examplePFviS0_E"
SERVER = 12  # of the enum's values in the one version that scripts/tiny/engine takes

sys.path.insert(0, sys.argv[1])
import xllamacpp  # noqa: E402


def plain(value):
    """What JSON can hold; of an enum's value its name."""
    if value is None or isinstance(value, (bool, int, float, str)) and not hasattr(value, "name"):
        return value
    if hasattr(value, "name") and not isinstance(value, (list, tuple, set, dict)):
        return value.name
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in known(value).items()}


def known(struct):
    """The fields of one of llama.cpp's structures, of those in it too."""
    found = {}
    for name in dir(struct):
        if name.startswith("_"):
            continue
        value = getattr(struct, name)
        if callable(value):
            continue
        if type(value).__module__.startswith("xllamacpp") and not hasattr(value, "name"):
            found.update({name + "." + inner: item for inner, item in known(value).items()})
        else:
            found[name] = plain(value)
    return found


def parsed(args):
    params = xllamacpp.CommonParams()
    words = ["llama-server", *args]
    argv = (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words))
    parse = ctypes.CDLL(xllamacpp.__file__)[PARSE]
    parse.restype = ctypes.c_bool
    taken = parse(len(words), argv, ctypes.c_void_p(id(params) + object.__basicsize__), SERVER, None)
    return taken, known(params)


def compared(args):
    _, before = parsed(["--model", "m"])
    taken, after = parsed(args)
    return {"taken": taken, "changed": {name: after[name] for name in after if after[name] != before[name]}}


def apart(args):
    """In a process of its own: the parser keeps things, and ends the process where it pleases."""
    out, into = os.pipe()
    said, saying = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(saying, 1)
        os.dup2(saying, 2)
        os.write(into, json.dumps(compared(args)).encode())
        os._exit(0)
    os.close(into)
    os.close(saying)
    with os.fdopen(said, errors="replace") as words, os.fdopen(out) as answer:
        read = {"said": words.read().strip(), **json.loads(answer.read() or '{"taken": false}')}
    os.waitpid(child, 0)
    return read


for line in sys.stdin:
    plan = json.loads(line)
    if plan["kind"] == "plan":
        print(json.dumps({"instance": plan["instance"], **apart(plan["args"])}), flush=True)
