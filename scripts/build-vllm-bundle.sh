#!/usr/bin/env bash
# Build the vLLM bundle on a connected machine: ./vllm-offline-bundle.tar, or .sh with --create-executable, and its
# manifest. Options are ipack's; the template is templates/vllm unless --template-dir names another.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
exec ipack --template "$here/templates/vllm" --output vllm-offline-bundle.tar "$@"
