#!/usr/bin/env bash
# Serve one rank of an engine that spans several nodes, and stay until it ends: its exit code is ours.
#
# usage: node.sh ENGINE INSTANCE RANK NODES HEAD PORT
#
#   ENGINE    sglang or vllm
#   INSTANCE  its name in the TOML file, which all nodes have alike
#   RANK      of this node, from 0
#   HEAD      the name or address of rank 0, and PORT where the ranks meet there
#
# Each node gets its plan by AUTO_INFER_*_OVERRIDES; all else is the engine's own work. Rank 0 is the one that is asked: once it
# answers, all ranks have formed one server. The others are only seen to run.
set -euo pipefail

if [[ $# != 6 || ! $3 =~ ^[0-9]+$ || ! $4 =~ ^[0-9]+$ || ! $6 =~ ^[0-9]+$ ]]; then
    printf 'usage: node.sh ENGINE INSTANCE RANK NODES HEAD PORT\n' >&2
    exit 2
fi
engine=$1 instance=$2 rank=$3 nodes=$4 head=$5 port=$6
case $engine in
    sglang)
        server="\"nnodes\":$nodes,\"node_rank\":$rank,\"dist_init_addr\":\"$head:$port\""
        ;;
    vllm)
        server="\"nnodes\":$nodes,\"node_rank\":$rank,\"master_addr\":\"$head\",\"master_port\":$port"
        [[ $rank == 0 ]] || server+=',"headless":true'
        ;;
    *)
        printf 'node.sh: %s spans no nodes: it is not sglang or vllm\n' "$engine" >&2
        exit 2
        ;;
esac
# A rank that ends ends its node, and the scheduler starts all of them again: no rank goes on with a new one.
control='"restart":"never","background":false'
overrides="{\"instance\":{\"$instance\":{\"server\":{$server},\"control\":{$control}}}}"
export "AUTO_INFER_${engine^^}_OVERRIDES=$overrides"

# The address that the other ranks reach this one by. The engines ask the way to the internet for theirs, and here is none.
own=$(ip -o route get "$(getent ahosts "$head" | awk 'NR == 1 { print $1 }')" | sed -n 's/.* src \([^ ]*\).*/\1/p') || true
if [[ -n $own ]]; then
    export "${engine^^}_HOST_IP=$own"
fi

# Where the nodes share a workspace, each has a log of its own.
export AUTO_INFER_LOG_DIR=${AUTO_INFER_LOG_DIR:-${AUTO_INFER_WORKSPACE_DIR:-/offline-data}/logs}/rank-$rank

trap 'istop "$engine/$instance" >&2 || true' TERM INT
ienv --steps serve "$engine" | iinstall | iplan | imodel | ilaunch &
code=0
wait -n || code=$?
# A signal ends the wait, not the engine: its keeper has been told by istop.
wait || code=$?
exit "$code"
