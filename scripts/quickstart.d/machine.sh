#!/usr/bin/env bash
# What a machine has to have. Sourced by scripts/quickstart, whose functions and variables it uses.
# shellcheck disable=SC2154 # root, dir, tools and archive are scripts/quickstart's

# Whether the C compiler makes programs. Without the C library's headers it is there and makes none.
compiles() {
    local out code=0
    out=$(mktemp)
    # shellcheck disable=SC2016 # a C program
    printf '#include <stdlib.h>\nint main(void) { return abs(0); }\n' | cc -x c - -o "$out" || code=$?
    rm -f "$out"
    return "$code"
}

# Whether Rust is there, and new enough for the workspace.
has_rust() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    found=$(cargo --version && rustc --version | cut -d ' ' -f 2) || return
    printf '%s\n' "$needed" "${found##*$'\n'}" | sort -V -C
}

# What serves in place of the engine that pip downloads.
own_archive() {
    say 'hint: a llama.cpp archive named in AUTO_INFER_LLAMA_CPP_PKG_PATH needs neither pip nor a network'
}

# Find all that is missing before minutes go into a part of it, and name it by its Debian packages.
check_machine() {
    local missing=() packages=() rust='' pip=''
    if [[ -z $tools ]]; then
        if ! has_rust 2>/dev/null; then
            missing+=("cargo and rustc ($(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml") or newer)")
            rust=1
        fi
        if ! compiles 2>/dev/null; then
            missing+=('a C compiler with the C library to compile for')
            packages+=(gcc libc6-dev)
        fi
    fi
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        missing+=('python3 (3.10 or newer)')
        packages+=(python3)
    fi
    if [[ -z $archive && ! -s $dir/tiny/llama-server-tiny.tar.gz ]] && ! python3 -m pip --version >/dev/null 2>&1; then
        missing+=('pip for python3')
        packages+=(python3-pip)
        pip=1
    fi
    if [[ ${#missing[@]} == 0 ]]; then
        return 0
    fi
    say "this machine lacks: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"
    [[ -z $rust ]] || say 'hint: install Rust from https://rustup.rs'
    [[ ${#packages[@]} == 0 ]] || say "hint: apt-get install ${packages[*]}"
    [[ -z $pip ]] || own_archive
    exit 69
}
