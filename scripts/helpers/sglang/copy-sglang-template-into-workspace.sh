#!/usr/bin/env bash
# Take the template that AUTO_INFER_SGLANG_TEMPLATE_DIR names into the workspace. A copy of it is part of each install,
# as current/pixi.toml in the project directory, and lies nowhere else: so this installs from the cache where the cache
# is whole, and else says what is missing. AUTO_INFER_SGLANG_FORCE_RECOPY=1 takes it afresh. Options are iinstall's.
set -euo pipefail
code=0
ienv --road cache sglang | icache | iinstall "$@" || code=$?
if [[ $code == 1 ]]; then
    printf '%s: %s\n' "${0##*/}" \
        'the template can be read and is not in the workspace: it is taken when it is installed, and the cache has gaps' \
        "${0##*/}" 'hint: fill the cache on a connected machine with warm-sglang-cache.sh' >&2
fi
exit "$code"
