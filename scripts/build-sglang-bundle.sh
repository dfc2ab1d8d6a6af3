#!/usr/bin/env bash
# Build the SGLang bundle on a connected machine: ./sglang-offline-bundle.tar, or .sh with --create-executable, and its
# manifest. Options are ipack's; the template is templates/sglang unless --template-dir names another.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
exec ipack --template "$here/templates/sglang" --output sglang-offline-bundle.tar "$@"
