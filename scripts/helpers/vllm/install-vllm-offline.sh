#!/usr/bin/env bash
# Install vLLM from the bundle that AUTO_INFER_VLLM_BUNDLE_PATH names, whatever the ON_BOOT variables say. Options are
# iinstall's.
set -euo pipefail
ienv --steps install --road bundle vllm | iinstall --insist "$@"
