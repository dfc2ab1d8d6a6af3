"""Take command lines apart by llama.cpp's rules: helpback.py HELP < PLANS

HELP is what a llama-server wrote for --help. Each plan of the stream is told as one JSON line: the instance, and its options behind
model, port and host, each as the line of the help that has it and the values that it takes: as many words as the help names, one
where it names the value in another way. An option that the help has not ends the reading.
"""

import gzip
import json
import re
import sys

HEAD = re.compile(r"((?:-[^ ,]+, *)*-[^ ,]+)(?: ([^ ].*?))?(?:  .*)?$")
OURS = {"--model", "--port", "--host"}

takes = {}
with gzip.open(sys.argv[1], "rt") as text:
    for line in text:
        if line.startswith("-") and not line.startswith("-----"):
            spellings, value = HEAD.match(line.rstrip()).groups()
            words = (value or "").split()
            count = len(words) if all(word.isupper() for word in words) else 1
            takes.update({spelling.strip(): (line.rstrip(), count) for spelling in spellings.split(",")})
for line in sys.stdin:
    plan = json.loads(line)
    if plan["kind"] != "plan":
        continue
    words, found = list(plan["args"]), []
    while words:
        spelling = words.pop(0)
        head, count = takes[spelling]
        values, words = words[:count], words[count:]
        assert len(values) == count, plan["args"]
        if spelling not in OURS:
            found.append([head, spelling, values])
    print(json.dumps({"instance": plan["instance"], "options": found}))
