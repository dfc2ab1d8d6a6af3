#!/usr/bin/env bash
# From a package, a TOML file and a model folder on this machine to a container that serves, in one command.
#
# usage: serve-llama-cpp.sh --llama-pkg ARCHIVE --llama-config FILE.toml --model-dir DIR [--port PORT] [--dry-run] [-- OPTION...]
#
#   --llama-pkg     a packed llama.cpp
#   --llama-config  its TOML file; its `host` has to be 0.0.0.0, and the port that it says is 8080
#   --model-dir     seen in the container as /llm-models/NAME, NAME being the folder's own
#   --port          this machine's port; default 11980
#   --dry-run       print the command, one word a line
#
# Options after -- are run-merged.sh's. Exit code: 69 where a file is missing.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
package='' config='' models='' port=11980 options=()

die() {
    printf 'serve-llama-cpp.sh: %s\n' "$1" >&2
    printf 'serve-llama-cpp.sh: hint: %s\n' "$2" >&2
    exit "$3"
}

while [[ $# != 0 ]]; do
    case $1 in
        --llama-pkg | --llama-config | --model-dir | --port)
            [[ $# -gt 1 ]] || die "$1 wants a value" 'serve-llama-cpp.sh --help' 2
            ;;
    esac
    case $1 in
        --llama-pkg) package=$2 && shift ;;
        --llama-config) config=$2 && shift ;;
        --model-dir) models=$2 && shift ;;
        --port) port=$2 && shift ;;
        --dry-run) options+=(--dry-run) ;;
        -h | --help)
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit
            ;;
        --)
            shift
            options+=("$@")
            break
            ;;
        *) die "$1 is no option" 'serve-llama-cpp.sh --help' 2 ;;
    esac
    shift
done
[[ -n $package && -n $config && -n $models ]] ||
    die 'a package, a TOML file and a model folder are needed' 'serve-llama-cpp.sh --help' 2
[[ -f $package ]] || die "--llama-pkg: no file $package" 'name a packed llama.cpp' 69
[[ -f $config ]] || die "--llama-config: no file $config" 'scripts/model-configs has an example' 69
[[ -d $models ]] || die "--model-dir: no folder $models" 'name the folder that the model file lies in' 69

package=$(realpath "$package") config=$(realpath "$config") models=$(realpath "$models")
export AUTO_INFER_LLAMA_CPP_GET_PKG_ON_BOOT=1 AUTO_INFER_LLAMA_CPP_ON_BOOT=1
export AUTO_INFER_LLAMA_CPP_PKG_PATH=/mnt/${package##*/} AUTO_INFER_LLAMA_CPP_CONFIG=/mnt/llama-cpp.toml
export RUN_PORTS=$port:8080
exec "$here/run-merged.sh" -v "$package:/mnt/${package##*/}:ro" -v "$config:/mnt/llama-cpp.toml:ro" \
    -v "$models:/llm-models/${models##*/}:ro" "${options[@]}"
