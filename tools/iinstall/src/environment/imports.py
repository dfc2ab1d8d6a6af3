"""Import what an engine needs and say on one line what came of it.

Arguments: distribution names, which are module names; after "--" those of what else has to be there, which is not imported.
"""

import importlib
import importlib.metadata
import json
import os
import sys

# What the modules print is not the answer.
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
at = sys.argv.index("--")
names, locked = sys.argv[1:at], sys.argv[at + 1 :]
found = {"modules": {}, "absent": []}
for name in locked:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found["absent"].append(name)
for name in names:
    said = found["modules"][name] = {}
    try:
        said["version"] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if importlib.util.find_spec(name) is None:
            continue
    try:
        module = importlib.import_module(name)
        said["version"] = str(getattr(module, "__version__", said.get("version", "unknown")))
    except BaseException as error:
        said["error"] = "%s: %s" % (type(error).__name__, error)
torch = sys.modules.get("torch")
if torch is not None:
    try:
        found["torch_cuda"] = torch.version.cuda
        found["cuda_available"] = bool(torch.cuda.is_available())
        found["cuda_devices"] = int(torch.cuda.device_count())
    except Exception as error:
        found["cuda_error"] = "%s: %s" % (type(error).__name__, error)
answer.write(json.dumps(found) + "\n")
answer.flush()
# A library's way out may crash, and has nothing to say any more.
os._exit(0)
