#!/usr/bin/env bash
# Install SGLang from the bundle that AUTO_INFER_SGLANG_BUNDLE_PATH names, whatever the ON_BOOT variables say. Options are
# iinstall's.
set -euo pipefail
ienv --steps install --road bundle sglang | iinstall --insist "$@"
