#!/usr/bin/env bash
# What is measured on servers: their start, their readiness, their keepers and the bridge. Sourced by scripts/bench, whose functions and variables it uses.
# shellcheck disable=SC2154 # dir, root, parts, tools and python are scripts/bench's

bench_launch() {
    local config=$dir/eight.toml number
    # shellcheck disable=SC2016 # the script's own argument
    printf '#!/bin/sh\n[ "$1" = --help ] || exec sleep 3600\n' >"$dir/server"
    chmod +x "$dir/server"
    : >"$dir/model.gguf"
    {
        printf '[master]\nllama_cpp_path = "%s"\n' "$dir/server"
        printf '[instance.server]\nmodel = "%s"\nhost = "127.0.0.1"\nctx_size = 4096\n' "$dir/model.gguf"
        for number in {1..8}; do
            printf '[instance.n%d.server]\nport = %d\nalias = "n%d"\n' "$number" $((21900 + number)) "$number"
        done
    } >"$config"
    export AUTO_INFER_LLAMA_CPP_CONFIG=$config
    script launch "ienv llama-cpp | iplan | ilaunch >'$dir/launched'"
    script plain-once "'$python' '$parts/start-all' '$config' '$dir/plain'"
    script plain-each "for name in \$('$python' '$parts/start-all' --list '$config'); do" \
        "'$python' '$parts/start-all' --one \"\$name\" '$config' '$dir/plain'" 'done'
    script stop "$(declare -f stop_all)" "dir='$dir'" stop_all
    measure 'eight instances, from the TOML file to processes started' --warmup 2 --runs 20 --prepare "$dir/stop" -- \
        'ienv | iplan | ilaunch' "$dir/launch" \
        'bash and a Python for all instances' "$dir/plain-once" \
        'bash and a Python for each instance' "$dir/plain-each"
    local started
    started=$(grep -c '"kind":"instance"' "$dir/launched") || true
    [[ $started == 8 ]] || die "ilaunch started $started instances, not 8"
    stop_all
}

# Plan so many instances of the real server, with the tiny model; the records go to $dir/planned.
plan_real() {
    local tiny=${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/tiny number
    "$root/scripts/tiny/prepare" "$tiny"
    local -x AUTO_INFER_LLAMA_CPP_CONFIG=$dir/real.toml AUTO_INFER_LLAMA_CPP_INSTALL_DIR=$dir/installed
    local -x AUTO_INFER_LLAMA_CPP_PKG_PATH=$tiny/llama-server-tiny.tar.gz
    {
        printf '[instance.server]\nmodel = "%s"\nctx_size = 256\nthreads = 1\n' "$tiny/tiny.gguf"
        for ((number = 1; number <= $1; number++)); do
            printf '[instance.n%d.server]\nport = %d\n' "$number" $((22900 + number))
        done
    } >"$dir/real.toml"
    ienv llama-cpp | iinstall | iplan >"$dir/planned"
}

bench_ready() {
    plan_real 1
    "$python" "$parts/ready" "$dir/planned" 21
}

# Those that cannot be got are left out, and that is said.
bench_bridge() {
    local clients=${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/clients port=23899 upstream between
    upstream=http://127.0.0.1:$port
    between=("ibridge=ibridge --listen 127.0.0.1:@PORT@ --upstream $upstream --workspace $dir")
    local args="--host 127.0.0.1 --port @PORT@ --prometheus-port $((port + 1)) --worker-urls $upstream"
    if "$python" -m venv --without-pip "$dir/routers" && "$python" -m pip --python "$dir/routers/bin/python" install --quiet \
        --disable-pip-version-check sglang-router==0.3.2 vllm-router==0.1.17 >&2; then
        between+=("sglang-router=$dir/routers/bin/python -m sglang_router.launch_router $args")
        between+=("vllm-router=$dir/routers/bin/vllm-router $args")
    else
        printf 'bench: not measured: sglang-router and vllm-router cannot be got\n' >&2
    fi
    if "$root/scripts/test.d/clients" "$clients" litellm; then
        printf 'model_list:\n- {model_name: "*", litellm_params: {model: "openai/*", api_base: "%s/v1", api_key: none}}\n' \
            "$upstream" >"$dir/litellm.yaml"
        between+=("LiteLLM=env LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_MASTER_KEY=sk-bench \
            $clients/litellm/bin/litellm --host 127.0.0.1 --port @PORT@ --config $dir/litellm.yaml")
    else
        printf 'bench: not measured: LiteLLM cannot be got\n' >&2
    fi
    "$python" "$parts/bridge" "$port" 1000 "${between[@]}"
}

bench_boot() {
    plan_real 2
    ilaunch <"$dir/planned" | iprobe >"$dir/ready"
    script boot "export AUTO_INFER_LLAMA_CPP_CONFIG='$dir/real.toml' AUTO_INFER_LLAMA_CPP_INSTALL_DIR='$dir/installed'" \
        "export AUTO_INFER_LLAMA_CPP_PKG_PATH='${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/tiny/llama-server-tiny.tar.gz'" \
        "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe >'$dir/records'"
    script ask-plain "$(declare -f ask_all)" "dir='$dir'" 'ask_all'
    measure 'a boot that finds two servers running' --warmup 2 --runs 20 -- \
        'curl: health, models and one token of each' "$dir/ask-plain" \
        'ienv | iinstall | iplan | ilaunch | iprobe' "$dir/boot"
    [[ $(grep -c '"kind":"ready"' "$dir/records") == 2 ]] || die 'not every server is ready'
    processor_time 'processor time of the same'
    stop_all
}

# What iprobe asks, by hand.
ask_all() {
    local url
    sed -n 's/.*"kind":"ready".*"url":"\([^"]*\)".*/\1/p' "$dir/ready" | while read -r url; do
        curl -sf "$url/health" "$url/v1/models" >/dev/null
        curl -sf "$url/v1/chat/completions" -H 'Content-Type: application/json' \
            -d '{"messages":[{"role":"user","content":"Hello"}],"max_tokens":1}' >/dev/null
    done
}

bench_keep() {
    plan_real 20
    ilaunch <"$dir/planned" | iprobe >"$dir/records"
    "$python" "$parts/keep" "$dir/run" 20
    local begun=$EPOCHREALTIME ended
    istop >"$dir/stopped"
    ended=$EPOCHREALTIME
    [[ $(grep -c '"how":"term"' "$dir/stopped") == 20 ]] || die 'not every server was stopped by TERM'
    printf '  %-44s %17.2f ms\n' 'stop of all of them' "$(((${ended/[.,]/} - ${begun/[.,]/}) / 10))e-2"
}
