"""Write the options of a server's own argument parser as JSON lines on stdout.

usage: python -c THIS MODULE

The module runs as `python -m MODULE --help` would run it, up to the moment when it parses its command line: then its
parser is written out instead, and the process ends. Where a server builds its parser moves between versions; that it
calls parse_args or parse_known_args does not. Whatever the module prints goes to stderr.
"""

import argparse
import json
import os
import runpy
import sys

OUT = os.dup(1)
os.dup2(2, 1)


def name_of(kind):
    """The name of a type function; of a wrapper, that of the function it wraps."""
    if kind is None:
        return None
    for cell in getattr(kind, "__closure__", None) or ():
        try:
            inner = cell.cell_contents
        except ValueError:
            continue
        if inner in (int, float, str, bool) or getattr(inner, "__module__", "").startswith("json"):
            return name_of(inner)
    return getattr(kind, "__name__", type(kind).__name__)


def plain(value):
    """What JSON can hold of a value; other things as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(getattr(value, "value", value))


def line(action):
    choices = action.choices
    return {
        "spellings": list(action.option_strings),
        "action": type(action).__name__,
        "nargs": action.nargs,
        "type": name_of(action.type),
        "choices": None if choices is None else [str(plain(choice)) for choice in choices],
        "default": plain(action.default),
        "const": plain(action.const),
        "metavar": plain(action.metavar),
        "deprecated": bool(getattr(action, "deprecated", False)) or "deprecated" in type(action).__name__.lower(),
    }


def write(parser, *_, **__):
    with os.fdopen(OUT, "w", encoding="utf-8") as out:
        for action in parser._actions:
            if action.option_strings:
                out.write(json.dumps(line(action), default=str) + "\n")
    sys.stderr.flush()
    os._exit(0)


argparse.ArgumentParser.parse_args = write
argparse.ArgumentParser.parse_known_args = write
module = sys.argv[1]
sys.argv = [module, "--help"]
runpy.run_module(module, run_name="__main__", alter_sys=True)
sys.exit("the module parsed no command line")
