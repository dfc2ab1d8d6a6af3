#!/usr/bin/env bash
# Install SGLang from AUTO_INFER_SGLANG_TEMPLATE_DIR and the cache, verified first, whatever boot asks for. Options are
# iinstall's.
set -euo pipefail
ienv --road cache sglang | icache | iinstall "$@"
