"""Read command lines back as a Python engine's own parser would: readback.py DUMP < PLANS

DUMP holds the options of the engine as JSON lines, as it told them. A parser is made of them, with Python's argparse; each plan of
the stream is parsed by it, and what it then knows is written as one JSON line: the instance, and the value of the option that
the instance is named for by its place in DUMP ("o12").
"""

import argparse
import gzip
import json
import sys

TYPES = {
    "int": int,
    "float": float,
    "loads": json.loads,
    "json_list_type": json.loads,
    "parse_dataclass": json.loads,
    "human_readable_int": int,
    "human_readable_int_or_auto": int,
}
ACTIONS = {"_StoreTrueAction": "store_true", "DeprecatedStoreTrueAction": "store_true", "_AppendAction": "append"}

with gzip.open(sys.argv[1], "rt") as dump:
    options = [json.loads(line) for line in dump]
parser = argparse.ArgumentParser(add_help=False)
for number, option in enumerate(options):
    kind = option["action"]
    rest = {"dest": "o%d" % number, "default": None}
    spellings = option["spellings"]
    if kind == "BooleanOptionalAction":
        rest["action"] = argparse.BooleanOptionalAction
        spellings = [s for s in spellings if not s.startswith("--no-")]
    elif option["nargs"] == 0 or "StoreConst" in kind:
        rest["action"] = "store_true"
    else:
        rest["action"] = ACTIONS.get(kind, "store")
        rest["type"] = TYPES.get(option["type"], str)
        if option["nargs"] is not None and rest["action"] == "store":
            rest["nargs"] = option["nargs"]
    parser.add_argument(*spellings, **rest)
for line in sys.stdin:
    plan = json.loads(line)
    if plan["kind"] == "plan":
        known = parser.parse_args(plan["args"][2:])
        name = plan["instance"].split("-")[0]
        print(json.dumps({"instance": plan["instance"], "value": getattr(known, name)}))
