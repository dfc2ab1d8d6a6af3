#!/usr/bin/env bash
# Install SGLang from AUTO_INFER_SGLANG_TEMPLATE_DIR and the cache, verified first, whatever the ON_BOOT variables say. Options
# are iinstall's.
set -euo pipefail
ienv --steps install --road cache sglang | icache | iinstall --insist "$@"
