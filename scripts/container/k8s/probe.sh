#!/usr/bin/env bash
# Answer yes when this rank is as far as it has to be: rank 0 answers, the others run.
#
# usage: probe.sh ENGINE INSTANCE RANK [RUNG]
#
#   RUNG  that rank 0 has to be on; default answering
set -euo pipefail

if [[ $# -lt 3 ]]; then
    printf 'usage: probe.sh ENGINE INSTANCE RANK [RUNG]\n' >&2
    exit 2
fi
rung=alive
if [[ $3 == 0 ]]; then
    rung=${4-answering}
fi
exec iprobe --once --rung "$rung" --state "${AUTO_INFER_RUN_DIR:-/run/infer-dev}/$1/$2"
