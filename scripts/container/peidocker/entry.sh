#!/usr/bin/env bash
# PeiDocker's entry: what it does itself (folders, hooks, sshd) is done by then; the rest is ours.
set -euo pipefail

exec /usr/local/bin/infer-dev-entry.sh "$@"
