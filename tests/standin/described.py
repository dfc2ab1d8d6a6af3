"""Whether rattler reads descriptions of packages: for each `info/index.json`, one on a line of stdin, a line with `true`
or `false`."""

import json
import sys

from rattler.package import IndexJson

for line in sys.stdin:
    try:
        IndexJson.from_str(line)
        taken = True
    except Exception:
        taken = False
    print(json.dumps(taken))
