#!/usr/bin/env bash
# Serve the bridge with the LiteLLM that is on PATH beside it, and wait until it is ready. AUTO_INFER_BRIDGE_MODE says another
# mode, which needs no LiteLLM. It acts whatever the ON_BOOT variables say. Options are iprobe's.
set -euo pipefail
AUTO_INFER_BRIDGE_MODE=${AUTO_INFER_BRIDGE_MODE:-litellm} ienv --steps serve bridge | iplan | ilaunch | iprobe "$@"
