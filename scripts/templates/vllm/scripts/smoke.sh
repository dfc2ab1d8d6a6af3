#!/usr/bin/env bash
# Prove that vLLM serves: start it on a model, on loopback, wait until it is healthy, ask it one question, end it.
#
# usage: pixi run smoke [ARG...]          each ARG goes to the server; started by itself, it runs itself so, offline
#
#   VLLM_MODEL_DIR  folder of the model: config.json, weights, tokenizer
#   VLLM_TP_SIZE    GPUs that share it (1)
#   VLLM_PORT       port (8000)
#   VLLM_TIMEOUT_S  patience until it is healthy, in seconds (1800)
#
# What the model says goes to stdout, what the server says to stderr. Exit code: 0 it answered, 1 it ended or does not
# answer, 69 something is missing or a variable is wrong, 75 the port is taken or the time is up.
set -euo pipefail

variable=VLLM
model=${VLLM_MODEL_DIR-} gpus=${VLLM_TP_SIZE:-1} port=${VLLM_PORT:-8000} patience=${VLLM_TIMEOUT_S:-1800}
server=(
    python -m vllm.entrypoints.openai.api_server --model "$model" --served-model-name smoke
    --host 127.0.0.1 --port "$port" --tensor-parallel-size "$gpus" "$@"
)
# What an older template read: taken under its new name, or told that nobody reads it.
renamed=''
unread=()

# From here on the same for all engines.

say() {
    printf 'smoke.sh: %s\n' "$*" >&2
}

# Give up: exit code, what for.
give_up() {
    say "$2"
    exit "$1"
}

# Run this script in the environment of its project, without a network, if it is in no environment or in another one. A
# machine without pixi has what is on its PATH.
enter_project() {
    local project root='' name=AUTO_INFER_${variable}_PIXI_ENV
    project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
    [[ -z ${PIXI_PROJECT_ROOT-} ]] || root=$(cd "$PIXI_PROJECT_ROOT" 2>/dev/null && pwd -P) || true
    if [[ $root == "$project" || -n ${SMOKE_IN_PROJECT-} ]] || ! command -v pixi >/dev/null; then
        return 0
    fi
    export SMOKE_IN_PROJECT=1 PIXI_OFFLINE=1
    exec pixi run --as-is --manifest-path "$project/pixi.toml" ${!name:+--environment "${!name}"} \
        bash "$project/scripts/smoke.sh" "$@"
}

# Say which variables that are set are not read here.
warn_of_unread() {
    local name
    for name in "${unread[@]}" $(compgen -v "${variable}_" | grep '_CU126$' || true); do
        [[ -z ${!name-} ]] || say "warning: $name is not read: this is the build for CUDA 12.8, served and asked once"
    done
}

# Refuse a variable that is not a number in this range: name, value, least, most.
number() {
    if [[ ! $2 =~ ^[0-9]{1,9}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
        give_up 69 "$1 is '$2': not a number from $3 to $4"
    fi
}

# Ask the server, never through a proxy: path, patience in seconds, the body of a POST. Prints what it answers.
ask() {
    python - "http://127.0.0.1:$port$1" "$2" "${3-}" <<'END'
import sys
import urllib.error
import urllib.request

url, patience, body = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, {"Content-Type": "application/json"})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(request, timeout=float(patience)) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')}")
except OSError as error:
    sys.exit(f"{url}: {error}")
END
}

# Whether nobody holds the port: a bind tells, as vLLM binds minutes before it listens. A server that has ended keeps its
# port for a minute, in the kernel's list and in no process; the next one may have it.
port_is_free() {
    python - "$port" <<'END'
import socket
import sys

port = int(sys.argv[1])
with socket.socket() as probe:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError as error:
        with open("/proc/net/tcp") as file:
            sockets = [line.split() for line in file]
        inodes = {words[9] for words in sockets if words[1].endswith(f":{port:04X}")}
        if inodes != {"0"}:
            sys.exit(f"{error}")
END
}

# The server in a process group of its own, offline, and without variables that are ours: vLLM reads VLLM_PORT too.
start() {
    set -m
    (
        unset "${variable}_MODEL_DIR" "${variable}_TP_SIZE" "${variable}_PORT" "${variable}_TIMEOUT_S" ${renamed:+"$renamed"}
        export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 PYTHONUNBUFFERED=1
        exec "${server[@]}"
    ) </dev/null >&2 &
    pid=$!
    set +m
}

running() {
    kill -0 "$pid" 2>/dev/null
}

# A server that ended by itself has failed, whatever its exit code.
died() {
    local code=0
    wait "$pid" || code=$?
    give_up 1 "the server ended with $code before it had answered"
}

# Wait until a process, or a group as -PID, is gone: which, tenths of a second at most.
gone() {
    local tenths=0
    while kill -0 -- "$1" 2>/dev/null && ((tenths++ < $2)); do
        sleep 0.1
    done
}

# TERM to the server alone, which ends its workers; half a minute later, KILL to all that is left of the group.
end_server() {
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    gone "$pid" 300
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    gone "-$pid" 50
}

enter_project "$@"
warn_of_unread
[[ -n $model ]] || give_up 69 "${variable}_MODEL_DIR is not set: the folder of a model"
[[ -f $model/config.json ]] || give_up 69 "${variable}_MODEL_DIR is '$model': no config.json in it"
size=${variable}_TP_SIZE
[[ -n ${!size-} || -z $renamed || -z ${!renamed-} ]] || size=$renamed
number "$size" "$gpus" 1 1024
number "${variable}_PORT" "$port" 1 65535
number "${variable}_TIMEOUT_S" "$patience" 1 86400
command -v python >/dev/null || give_up 69 'no python on PATH: start this with pixi run smoke'
taken=$(port_is_free 2>&1) || give_up 75 "port $port: $taken"

pid=''
trap end_server EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
SECONDS=0
start
until ask /health 25 >/dev/null 2>&1; do
    running || died
    ((SECONDS < patience)) || give_up 75 "the server is not healthy after $SECONDS s"
    sleep 1
done
say "healthy after $SECONDS s"
question='What is the capital of France?'
body='{"model": "smoke", "messages": [{"role": "user", "content": "'$question'"}], "max_tokens": 256, "temperature": 0}'
if ! answer=$(ask /v1/chat/completions 300 "$body"); then
    running || died
    give_up 1 'the server is healthy and does not answer'
fi
# What a model thinks is an answer too: there may be no room for more.
tell='import json, sys
message = json.load(sys.stdin)["choices"][0]["message"]
names = "content", "reasoning_content", "reasoning"
print(next((message[name] for name in names if message.get(name)), ""))'
text=$(python -c "$tell" <<<"$answer" 2>/dev/null) || give_up 1 "the server answers what is no completion: $answer"
[[ $text == *[![:space:]]* ]] || give_up 1 "the server answers without a word: $answer"
printf '%s\n' "$text"
say "answered after $SECONDS s"
