#!/usr/bin/env bash
# Copy the template that AUTO_INFER_SGLANG_TEMPLATE_DIR names to the folder template in the project directory, where it stays
# when its medium is gone: that variable may name the copy from then on. Nothing is installed, so the cache may be cold. A copy
# that was changed stays, but for AUTO_INFER_SGLANG_FORCE_RECOPY=1. Options are iinstall's.
set -euo pipefail
ienv --steps install --road cache sglang | iinstall --prepare "$@"
