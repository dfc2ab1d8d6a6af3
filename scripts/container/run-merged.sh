#!/usr/bin/env bash
# Run the image with plain docker, as merged.env says.
#
# usage: run-merged.sh [OPTION...] [--] [COMMAND [ARG...]]
#
#   -d, --detach              in the background
#   -n, --name NAME           the container's name
#   -s, --shell               COMMAND is /bin/bash, on this terminal
#   -p, --publish HOST:PORT   one more port
#   -v, --volume HOST:PATH    one more mount
#       --gpus auto|all|none
#       --no-rm               keep the container when it has ended
#       --image IMAGE
#       --dry-run             print the command, one word a line, and run nothing
#   -h, --help
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$here/merged.env"

die() {
    printf 'run-merged.sh: %s\nrun-merged.sh: hint: run-merged.sh --help\n' "$*" >&2
    exit 2
}

command=() dry_run=''
while [[ $# != 0 ]]; do
    case $1 in
        -n | --name | -p | --publish | -v | --volume | --gpus | --image) [[ $# -gt 1 ]] || die "$1 wants a value" ;;
    esac
    case $1 in
        -d | --detach) RUN_DETACH=1 ;;
        -s | --shell) RUN_DETACH=0 RUN_TTY=1 command=(/bin/bash) ;;
        --no-rm) RUN_REMOVE=0 ;;
        --dry-run) dry_run=1 ;;
        -n | --name) RUN_CONTAINER_NAME=$2 && shift ;;
        -p | --publish) RUN_PORTS+=" $2" && shift ;;
        -v | --volume) RUN_VOLUMES+=" $2" && shift ;;
        --gpus) RUN_GPU=$2 && shift ;;
        --image) STAGE2_IMAGE_NAME=$2 && shift ;;
        -h | --help)
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit
            ;;
        --)
            shift
            break
            ;;
        -*) die "$1 is no option" ;;
        *) break ;;
    esac
    shift
done
[[ $# == 0 ]] || command=("$@")

is_on() {
    [[ ${1,,} == 1 || ${1,,} == true || ${1,,} == yes || ${1,,} == on ]]
}

run=(docker run --name "$RUN_CONTAINER_NAME")
if is_on "$RUN_DETACH"; then
    run+=(-d)
elif is_on "$RUN_TTY" && [[ -t 0 && -t 1 ]]; then
    run+=(-it)
fi
! is_on "$RUN_REMOVE" || run+=(--rm)
[[ -z $RUN_NETWORK ]] || run+=(--network "$RUN_NETWORK")
if [[ $RUN_NETWORK != none ]]; then
    for port in $RUN_PORTS; do
        run+=(-p "$port")
    done
fi
for volume in $RUN_VOLUMES; do
    # A relative path that is here is meant; any other name is a volume of docker's.
    [[ $volume == /* || ! -e $here/${volume%%:*} ]] || volume=$here/$volume
    run+=(-v "$volume")
done
for host in $RUN_EXTRA_HOSTS; do
    run+=(--add-host "$host")
done
case $RUN_GPU in
    all) run+=(--gpus all) ;;
    auto) ! command -v nvidia-smi >/dev/null || run+=(--gpus all) ;;
    none) ;;
    *) die "--gpus is '$RUN_GPU': not one of auto all none" ;;
esac
# By name alone: docker takes the values from here, and no process list shows them.
for name in "${!AUTO_INFER_@}"; do
    case $name in
        # The image's own: this machine's workspace is not where the container's is.
        AUTO_INFER_WORKSPACE_DIR | AUTO_INFER_BRIDGE_LISTEN) ;;
        *) run+=(-e "$name") ;;
    esac
done
[[ -z ${INFER_DEV_KEEP-} ]] || run+=(-e INFER_DEV_KEEP)
image_id=$(docker image inspect --format '{{.Id}}' "$STAGE2_IMAGE_NAME" 2>/dev/null) || true
[[ -z $image_id ]] || run+=(-e "INFER_DEV_IMAGE_ID=$image_id")
if is_on "$RUN_ENV_ENABLE"; then
    for pair in $RUN_ENV_VARS; do
        run+=(-e "$pair")
    done
fi
# shellcheck disable=SC2206 # a list of words
run+=($RUN_EXTRA_ARGS "$STAGE2_IMAGE_NAME" "${command[@]}")
if [[ -n $dry_run ]]; then
    printf '%s\n' "${run[@]}"
    exit
fi
exec "${run[@]}"
