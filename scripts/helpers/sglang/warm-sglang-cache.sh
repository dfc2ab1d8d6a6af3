#!/usr/bin/env bash
# On a connected machine: fill the cache with all that AUTO_INFER_SGLANG_TEMPLATE_DIR locks, read it from end to end and
# record it, whatever boot asks for. Options are iwarm's.
set -euo pipefail
ienv --road cache sglang | iwarm "$@" | icache --record
