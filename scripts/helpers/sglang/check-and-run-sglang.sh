#!/usr/bin/env bash
# Serve SGLang from what is installed, as AUTO_INFER_SGLANG_CONFIG says, and wait until it is ready. The bundle or the cache that it
# was installed from may be gone. It acts whatever the ON_BOOT variables say. Options are iprobe's.
set -euo pipefail
ienv --steps serve sglang | iinstall | iplan | imodel | ilaunch | iprobe "$@"
