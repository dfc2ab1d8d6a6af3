#!/usr/bin/env bash
# Build both images with plain docker. Arguments are docker build's, for both.
#
# usage: build-merged.sh [DOCKER-BUILD-OPTION...]
#
# Base, names and build arguments: merged.env. The tools must have been built (TOOLS, default target/release): cargo build --release.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$here/merged.env"
case ${1-} in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
esac

tools=target/release
arguments=()
for argument in $BUILD_ARGS; do
    arguments+=(--build-arg "$argument")
    [[ $argument != TOOLS=* ]] || tools=${argument#TOOLS=}
done
root=$(dirname "$(dirname "$here")")
if [[ ! -x $root/$tools/ienv ]]; then
    printf 'build-merged.sh: no tools in %s\n' "$root/$tools" >&2
    printf 'build-merged.sh: hint: cargo build --release, or name their folder: BUILD_ARGS=TOOLS=target/quick\n' >&2
    exit 69
fi

# An argument that a Dockerfile does not know is a warning of docker's, so each gets its own.
build() {
    local stage=$1 image=$2 at name known=()
    for ((at = 0; at < ${#arguments[@]}; at += 2)); do
        name=${arguments[at + 1]%%=*}
        if grep -q "^ARG $name\(=\|\$\)" "$here/$stage.Dockerfile"; then
            known+=("${arguments[@]:at:2}")
        fi
    done
    docker build -f "$here/$stage.Dockerfile" -t "$image" "${known[@]}" "${@:3}" "$root"
}

build stage-1 "$STAGE1_IMAGE_NAME" --build-arg "BASE_IMAGE=$BASE_IMAGE_1" "$@"
build stage-2 "$STAGE2_IMAGE_NAME" --build-arg "STAGE_1=$STAGE1_IMAGE_NAME" "$@"
