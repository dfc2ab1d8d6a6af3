#!/usr/bin/env bash
# Install SGLang from the bundle that AUTO_INFER_SGLANG_BUNDLE_PATH names, whatever boot asks for. Options are iinstall's.
set -euo pipefail
ienv --road bundle sglang | iinstall "$@"
