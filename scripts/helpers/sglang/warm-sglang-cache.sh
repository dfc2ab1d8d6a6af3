#!/usr/bin/env bash
# On a connected machine: fill the cache with all that AUTO_INFER_SGLANG_TEMPLATE_DIR locks; icache then reads it from end to
# end and records it. It acts whatever the ON_BOOT variables say. Options are iwarm's.
set -euo pipefail
ienv --steps warm --road cache sglang | iwarm "$@" | icache
