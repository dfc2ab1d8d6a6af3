#!/usr/bin/env bash
# Serve vLLM from what is installed if AUTO_INFER_VLLM_ON_BOOT says so, and wait until it is ready. Options are iprobe's.
set -euo pipefail
ienv --boot vllm | icache | iinstall | iplan | ilaunch | iprobe "$@"
