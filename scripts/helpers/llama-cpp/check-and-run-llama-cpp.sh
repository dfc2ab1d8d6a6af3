#!/usr/bin/env bash
# Serve llama.cpp from what is installed, as AUTO_INFER_LLAMA_CPP_CONFIG says, and wait until it is ready. The package that it
# was installed from may be gone. It acts whatever the ON_BOOT variables say. Options are iprobe's.
set -euo pipefail
ienv --steps serve llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe "$@"
