#!/usr/bin/env bash
# Serve SGLang from what is installed if AUTO_INFER_SGLANG_ON_BOOT says so, and wait until it is ready. Options are
# iprobe's.
set -euo pipefail
ienv --boot sglang | icache | iinstall | iplan | ilaunch | iprobe "$@"
