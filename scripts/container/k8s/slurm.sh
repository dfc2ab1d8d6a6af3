#!/bin/bash
# One engine over the nodes of a Slurm job, until the job ends.
#
#   sbatch -N 2 --export=ALL,ENGINE=sglang,INSTANCE=main slurm.sh
#
# What ienv reads comes from the shell that submits: AUTO_INFER_*_CONFIG, the workspace, and so on, on paths that all nodes have; the
# engine is installed there by then. Each node serves its rank (node.sh beside this file). Once rank 0 answers, all have formed one
# server: the job's output has `ready` and `answer`, and the server runs until `scancel`, the time limit, or the end of a rank,
# which ends all others.
#
# What runs is noted below AUTO_INFER_RUN_DIR, by default in /tmp, in a folder for each job and rank.
#SBATCH --job-name=infer-dev
#SBATCH --ntasks-per-node=1
set -euo pipefail

# sbatch runs a copy of this file: the folder of the scripts is to be named where it is not the one that submits.
scripts=${INFER_DEV_K8S_DIR:-$SLURM_SUBMIT_DIR}
engine=${ENGINE:?ENGINE is sglang or vllm} instance=${INSTANCE:?INSTANCE is the name in the TOML file}
head=${HEAD:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)} port=${RANKS_PORT:-20000}

runs=${AUTO_INFER_RUN_DIR:-/tmp}/infer-dev-$SLURM_JOB_ID
# $SLURM_NODEID is each node's own.
# shellcheck disable=SC2016
node='export AUTO_INFER_RUN_DIR=$6-$SLURM_NODEID; exec bash "$1/node.sh" "$2" "$3" "$SLURM_NODEID" "$SLURM_JOB_NUM_NODES" "$4" "$5"'
srun --kill-on-bad-exit=1 bash -c "$node" - "$scripts" "$engine" "$instance" "$head" "$port" "$runs" &
ranks=$!
export AUTO_INFER_RUN_DIR=$runs-0
trap 'kill -TERM "$ranks" 2>/dev/null || true' TERM INT

# This script runs on the first node, beside rank 0.
until istat "$engine/$instance" >/dev/null 2>&1; do
    kill -0 "$ranks" 2>/dev/null || break
    sleep 1
done
code=0
if kill -0 "$ranks" 2>/dev/null; then
    ichat --instance "$engine/$instance" Hello || code=$?
fi
wait "$ranks" || code=$?
exit "$code"
