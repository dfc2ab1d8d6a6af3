#!/usr/bin/env bash
# Install the llama.cpp package that AUTO_INFER_LLAMA_CPP_PKG_PATH names, whatever the ON_BOOT variables say: to get it and
# to install it are one. Options are iinstall's.
set -euo pipefail
ienv --steps install llama-cpp | iinstall --insist "$@"
