"""Let a server's own parser read command lines back: reparse.py MODULE < LINES

Each line of stdin is a JSON object: `args`, `option` (a spelling), and `expected`, the value of that option, null for its
default. The module runs as `python -m MODULE` up to the moment when it parses its command line; then its parser reads each
of the lines, and one JSON line says how that went:
exact  the option has the value that was meant
own    a function of the option's own made something else of exactly that text
value  the option's own function does not take such a value
wrong  anything else: what the parser said, or what the option has
"""

import argparse
import json
import os
import runpy
import sys

OUT = os.dup(1)
os.dup2(2, 1)


class Said(Exception):
    """What a parser says instead of ending the process."""


def refuse(_parser, message):
    raise Said(message)


def same(value, meant):
    """Whether a value is what was meant, as text or in its own type."""
    if isinstance(meant, list):
        return isinstance(value, (list, tuple)) and len(value) == len(meant) and all(map(same, value, meant))
    if value is None:
        # Among the choices of some stands nothing, which is written so.
        return meant in (None, "None")
    if isinstance(meant, bool) or meant is None:
        return value is meant
    if isinstance(value, str) and not isinstance(meant, str):
        try:
            return json.loads(value) == meant
        except ValueError:
            return False
    return value == meant or getattr(value, "value", value) == meant


def untyped(action, call):
    """Run `call` while the action leaves what it is given as it is."""
    kind = action.type
    action.type = None
    try:
        return call()
    finally:
        action.type = kind


def read(parser, line):
    action = parser._option_string_actions[line["option"]]
    meant = action.default if line["expected"] is None else line["expected"]
    call = lambda: getattr(parser.parse_args(line["args"]), action.dest)
    try:
        value = call()
    except Exception as said:
        # Whether it is the value that is not taken, or how it was written.
        mark = "argument %s: " % "/".join(action.option_strings)
        try:
            raw = untyped(action, call)
        except Exception as again:
            named = str(again).startswith(mark) or any(name in str(again) for name in action.option_strings)
            own = type(action).__module__ != "argparse" and named
            return {"how": "value" if own else "wrong", "said": str(again)}
        return {"how": "value" if same(raw, meant) else "wrong", "said": str(said)}
    if same(value, meant):
        return {"how": "exact"}
    try:
        raw = untyped(action, call)
    except Exception:
        raw = None
    own = type(action).__module__ != "argparse" or same(raw, meant)
    return {"how": "own" if own else "wrong", "said": repr(value)[:200]}


def all_of_them(parser, *_, **__):
    argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args = PARSERS
    argparse.ArgumentParser.error = refuse
    with os.fdopen(OUT, "w", encoding="utf-8") as out:
        for text in sys.stdin:
            line = json.loads(text)
            out.write(json.dumps({"option": line["option"], "args": line["args"], **read(parser, line)}) + "\n")
    sys.stderr.flush()
    os._exit(0)


PARSERS = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
argparse.ArgumentParser.parse_args = all_of_them
argparse.ArgumentParser.parse_known_args = all_of_them
module = sys.argv[1]
sys.argv = [module]
runpy.run_module(module, run_name="__main__", alter_sys=True)
sys.exit("the module parsed no command line")
