#!/usr/bin/env bash
# Install the llama.cpp package that AUTO_INFER_LLAMA_CPP_PKG_PATH names, whatever boot asks for. Options are iinstall's.
set -euo pipefail
ienv llama-cpp | iinstall "$@"
