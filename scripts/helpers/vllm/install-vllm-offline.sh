#!/usr/bin/env bash
# Install vLLM from the bundle that AUTO_INFER_VLLM_BUNDLE_PATH names, whatever boot asks for. Options are iinstall's.
set -euo pipefail
ienv --road bundle vllm | iinstall "$@"
