"""Import an engine and what it stands on, and say what is here.

usage: verify.py CUDA PACKAGE...

CUDA is the version that torch has to be built for. A GPU is told of and not asked for: this also runs where bundles and
caches are made. Exit code: 0 all import, 1 one does not, or torch is another build, 2 usage.
"""

import importlib
import importlib.metadata
import sys


def main(cuda, names):
    """Tell of each package, then of CUDA."""
    for name in names:
        try:
            importlib.import_module(name)
            version = importlib.metadata.version(name)
        except Exception as error:  # whatever a package's own code raises
            return f"{name} cannot be imported: {type(error).__name__}: {error}"
        print(name, version, flush=True)
    torch = sys.modules["torch"]
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    print(f"CUDA {torch.version.cuda}, {devices} GPUs", flush=True)
    if torch.version.cuda != cuda:
        return f"torch is built for CUDA {torch.version.cuda}, not {cuda}"
    return None


if len(sys.argv) < 3 or "torch" not in sys.argv[2:]:
    print("usage: verify.py CUDA PACKAGE... (torch among them)", file=sys.stderr)
    sys.exit(2)
trouble = main(sys.argv[1], sys.argv[2:])
sys.exit(trouble and f"verify.py: {trouble}")
