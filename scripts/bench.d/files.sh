#!/usr/bin/env bash
# What is measured on files: archives, parts, caches, weights and bundles. Sourced by scripts/bench, whose functions and variables it uses.
# shellcheck disable=SC2154 # dir, root, parts, tools and python are scripts/bench's

bench_install() {
    local tiny=${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/tiny package=$dir/package copy=0
    "$root/scripts/tiny/prepare" "$tiny"
    # Real libraries, as many as fill 300 MB; what a server is made of does not matter to any of the three.
    mkdir -p "$package"
    tar -xzf "$tiny/llama-server-tiny.tar.gz" -C "$package"
    while [[ $(du -sm "$package" | cut -f 1) -lt 300 ]]; do
        copy=$((copy + 1))
        cp "$package/bin/xllamacpp.abi3.so" "$package/bin/libcopy$copy.so"
    done
    tar -czf "$dir/package.tar.gz" -C "$package" .
    rm -rf "$package"
    export AUTO_INFER_LLAMA_CPP_PKG_PATH=$dir/package.tar.gz
    export AUTO_INFER_LLAMA_CPP_INSTALL_DIR=$dir/installed
    script install "ienv llama-cpp | iinstall >'$dir/records'"
    script tar-and-hash "sha256sum '$dir/package.tar.gz' >'$dir/hash'" "tar -xzf '$dir/package.tar.gz' -C '$dir/plain'"
    script python-both "'$python' '$parts/unpack' '$dir/package.tar.gz' '$dir/plain' >'$dir/hash'"
    script empty "rm -rf '$dir/installed' '$dir/plain'" "mkdir '$dir/plain'"
    measure "install of an archive of $(du -m "$dir/package.tar.gz" | cut -f 1) MB, 300 MB unpacked" \
        --warmup 1 --runs 5 --prepare "$dir/empty" -- \
        'ienv | iinstall' "$dir/install" \
        'sha256sum, then tar xzf' "$dir/tar-and-hash" \
        'Python: hashlib, then tarfile' "$dir/python-both"
    grep -q '"kind":"installed"' "$dir/records" || die 'iinstall installed nothing'
}

bench_join() {
    local whole=$dir/whole
    # What is joined does not matter to any of them; that no part equals another does.
    head -c 1000000000 /dev/urandom >"$whole"
    isplit --size 100MB "$whole" -d "$dir/parts" 2>/dev/null
    mkdir "$dir/pieces"
    split --bytes 100MB "$whole" "$dir/pieces/"
    script join-stdout "ijoin '$dir/parts' >'$dir/joined'"
    script join-into "ijoin --into '$dir/joined' '$dir/parts' 2>/dev/null"
    script join-plain "cat '$dir'/pieces/* >'$dir/joined'" "sha256sum '$dir/joined' >'$dir/hash'"
    script no-output "rm -f '$dir/joined'"
    measure '1 GB joined from 11 parts, and proved right' --warmup 1 --runs 7 --prepare "$dir/no-output" -- \
        'ijoin PARTS >FILE' "$dir/join-stdout" \
        'ijoin --into FILE PARTS' "$dir/join-into" \
        'cat PIECES >FILE, then sha256sum FILE' "$dir/join-plain"
    rm -rf "$dir"/{whole,parts,pieces,joined}
}

bench_cache() {
    local gigabytes=${INFER_DEV_BENCH_GB:-4} files size note=$dir/note resident
    [[ -x /usr/bin/time ]] || die 'no /usr/bin/time' 'hint: apt-get install time'
    free_gib=$(df --output=avail -B1G "$dir" | tail -n 1)
    size=$("$python" -c 'import sys; print(int(float(sys.argv[1])) + 1)' "$gigabytes")
    [[ $free_gib -ge $((size + 1)) ]] || die "$((size + 1)) GiB are needed in $dir, $free_gib are free"
    "$python" "$parts/make-cache" "$dir" 500 60000 "$gigabytes"
    local -x AUTO_INFER_SGLANG_TEMPLATE_DIR=$dir/template AUTO_INFER_SGLANG_CACHE_ROOT=$dir/cache
    local -x AUTO_INFER_SGLANG_USER
    AUTO_INFER_SGLANG_USER=$(id -un)
    ienv sglang >"$dir/env"
    script openssl "find '$dir/cache' -type f -print0 | xargs -0 -n 200 -P $(nproc) openssl dgst -sha256 >'$dir/hashes'"
    script deep "icache --platform linux-64 --deep <'$dir/env' >'$dir/records' 2>/dev/null"
    script quick "icache --platform linux-64 <'$dir/env' >'$dir/records' 2>/dev/null"
    script since "icache --platform linux-64 --since '$note' <'$dir/env' >'$dir/records' 2>/dev/null"
    files=$(find "$dir/cache" -type f | wc -l)
    measure "$files files of 500 packages, $gigabytes GB, hashed" --warmup 1 --runs 5 -- \
        'find | xargs -P openssl dgst -sha256' "$dir/openssl" \
        'icache --deep' "$dir/deep"
    grep -q '"gaps":0,' "$dir/records" || die 'icache found gaps in the cache that was made for it'
    processor_time 'processor time of the same'
    "$dir/since"
    measure 'the same, looked up' --warmup 2 --runs 30 -- \
        'icache' "$dir/quick" \
        'icache --since, nothing changed' "$dir/since"
    grep -q '"hashed_bytes":0,' "$dir/records" || die 'icache --since read files that had not changed'
    processor_time 'processor time of the same'
    resident=$(/usr/bin/time -f %M "$dir/deep" 2>&1)
    printf '\n  %-44s %s MiB at most\n' 'icache --deep, resident' "$((resident / 1024))"
    rm -rf "$dir"/{cache,template,hashes,records,note,env}
}

bench_model() {
    local clients=${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/clients models name resident
    [[ -x /usr/bin/time ]] || die 'no /usr/bin/time' 'hint: apt-get install time'
    "$root/scripts/test.d/clients" "$clients" models || die "no clients in $clients"
    models=$clients/models/bin/python
    "$python" "$parts/make-model" "$dir" 2.1
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/key.pem"
    openssl ec -in "$dir/key.pem" -pubout -out "$dir/key.pub" 2>/dev/null
    imodel --record "$dir/real" >/dev/null
    "$models" -m model_signing sign key "$dir/real" --private_key "$dir/key.pem" --signature "$dir/real/model.sig" \
        --ignore-paths "$dir/real/infer-dev-manifest.json" >/dev/null
    script headers "imodel '$dir/huge' >'$dir/records' 2>/dev/null"
    script safetensors "'$models' -c 'import glob, safetensors" "for name in glob.glob(\"$dir/huge/*.safetensors\"):" \
        "    with safetensors.safe_open(name, \"numpy\") as file: list(file.keys())'"
    measure 'headers of 93,000 tensors in 60 files, 300 GB' --warmup 1 --runs 15 -- \
        'Python safetensors: safe_open and keys' "$dir/safetensors" \
        'imodel' "$dir/headers"
    grep -q '"tensors":93000.*"complete":true' "$dir/records" || die 'imodel does not find the model whole'
    script openssl "find '$dir/real' -type f -print0 | xargs -0 -n 1 -P $(nproc) openssl dgst -sha256 >'$dir/hashes'"
    script sums "sha256sum '$dir'/real/* >'$dir/hashes'"
    script signing "'$models' -m model_signing verify key '$dir/real' --public_key '$dir/key.pub' \\" \
        "--signature '$dir/real/model.sig' --ignore-paths '$dir/real/infer-dev-manifest.json' >'$dir/out' 2>&1"
    script verify "imodel --verify '$dir/real' >'$dir/records'"
    script key "imodel --key '$dir/key.pub' '$dir/real' >'$dir/records'"
    measure '2.1 GB in 8 files, hashed and compared' --warmup 1 --runs 7 -- \
        'find | xargs -P openssl dgst -sha256' "$dir/openssl" \
        'sha256sum' "$dir/sums" \
        'model_signing verify key' "$dir/signing" \
        'imodel --verify' "$dir/verify" \
        'imodel --key' "$dir/key"
    processor_time 'processor time of the same'
    for name in headers verify key signing; do
        resident=$(/usr/bin/time -f %M "$dir/$name" 2>&1)
        printf '  %-44s %s MiB at most\n' "$name, resident" "$((resident / 1024))"
    done
    rm -rf "$dir"/{huge,real}
}

bench_bundle() {
    local standin members=$dir/members resident
    standin=$("$root/tests/standin/prepare" "${XDG_CACHE_HOME:-$HOME/.cache}/infer-dev/standin")
    mkdir "$members"
    tar -xf "$root/tests/data/bundle-tiny.tar" -C "$members"
    # It compresses as little as packages do. No index lists it: pixi-unpack, which is not what is measured, passes it by.
    head -c 500000000 /dev/urandom >"$members/channel/noarch/payload-1-0.conda"
    tar --sort=name -cf "$dir/bundle.tar" -C "$members" channel environment.yml pixi-pack.json pypi
    printf '#!/bin/sh\nexec %q "$@"\n' "$standin/bin/pixi-unpack" >"$dir/pixi-unpack"
    {
        cat "$root/tests/standin/header.sh"
        printf '@@END_HEADER@@\n\n'
        base64 -w0 "$dir/bundle.tar"
        printf '\n@@END_ARCHIVE@@\n'
        base64 -w0 "$dir/pixi-unpack"
    } >"$dir/bundle.sh"
    printf '#!/bin/sh\nexit 1\n' >"$dir/nothing"
    chmod +x "$dir/nothing" "$dir/bundle.sh"
    AUTO_INFER_VLLM_USER=$(id -un)
    export AUTO_INFER_VLLM_USER AUTO_INFER_VLLM_PROJECT_DIR=$dir/installed
    AUTO_INFER_VLLM_BUNDLE_PATH=$dir/bundle.sh ienv vllm --road bundle >"$dir/env"
    AUTO_INFER_VLLM_BUNDLE_PATH=$dir/bundle.tar AUTO_INFER_VLLM_PIXI_UNPACK_BIN=$dir/nothing \
        ienv vllm --road bundle >"$dir/env-checks"
    script install "iinstall <'$dir/env' >'$dir/records' 2>/dev/null"
    script itself "TMPDIR='$dir/plain' '$dir/bundle.sh' -o '$dir/plain' -e env >'$dir/out' 2>&1"
    # Until pixi-unpack, which fails at once, is begun.
    script checks "! iinstall <'$dir/env-checks' >'$dir/checked' 2>/dev/null"
    script sums "find '$members' -type f -print0 | xargs -0 sha256sum >'$dir/hashes'"
    script empty "rm -rf '$dir/installed' '$dir/plain'" "mkdir '$dir/plain'"
    measure "a bundle of $(du -m "$dir/bundle.sh" | cut -f 1) MB that unpacks itself" --warmup 1 --runs 3 --prepare "$dir/empty" -- \
        'iinstall' "$dir/install" \
        'its own script' "$dir/itself"
    grep -q '"kind":"installed"' "$dir/records" || die 'iinstall installed nothing'
    measure "a bundle of $(du -m "$dir/bundle.tar" | cut -f 1) MB unpacked and checked" --warmup 1 --runs 5 --prepare "$dir/empty" -- \
        'iinstall, its members unpacked and hashed' "$dir/checks" \
        'sha256sum of unpacked members' "$dir/sums"
    grep -q '"cause":"exit 1"' "$dir/checked" || die 'iinstall did not come to pixi-unpack'
    "$dir/empty"
    # It fails, as it did before.
    resident=$({ /usr/bin/time -f %M iinstall <"$dir/env-checks" 2>&1 >/dev/null || true; } | tail -n 1)
    printf '  %-44s %s MiB at most\n' 'iinstall, resident' "$((resident / 1024))"
    rm -rf "$dir"/{members,bundle.tar,bundle.sh,installed}
}
