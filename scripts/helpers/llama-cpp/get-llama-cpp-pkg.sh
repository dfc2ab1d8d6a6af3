#!/usr/bin/env bash
# Install the llama.cpp package if AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT says so. Options are iinstall's.
set -euo pipefail
ienv --boot llama-cpp | iinstall "$@"
