#!/usr/bin/env bash
# Serve llama.cpp from what is installed if AUTO_INFER_LLAMA_CPP_ON_BOOT says so, and wait until it is ready. Options are
# iprobe's.
set -euo pipefail
ienv --boot llama-cpp | iinstall | iplan | ilaunch | iprobe "$@"
