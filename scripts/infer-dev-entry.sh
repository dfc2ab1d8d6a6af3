#!/usr/bin/env bash
# Bring up the engines that the environment asks for, then run COMMAND and stay its parent until it ends.
#
# usage: infer-dev-entry.sh [COMMAND [ARG...]]
#
# The boot's records go to stdout (a table instead, where that is a terminal), then COMMAND gets the terminal. On TERM
# the engines are stopped first, then COMMAND is told to go. The exit code is COMMAND's. See infer-dev(7), BOOT.
# shellcheck disable=SC2317 # the traps call what looks unreachable
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
boot_pid='' command_pid='' # children of ours
ended='' code=0            # the child that ended last, and how
ending=''                  # we were told to go
verdict=''                 # what we exit with in place of COMMAND's code

say() {
    printf 'infer-dev-entry.sh: %s\n' "$*" >&2
}

# Die over a variable that nobody can act on: name, value, what it may be.
bad_variable() {
    say "$1 is '$2': not one of $3"
    exit 69
}

# Answer yes or no to a boolean as all tools read them: name, default.
is_on() {
    local value=${!1-$2}
    case ${value,,} in
        1 | true | yes | on) return 0 ;;
        0 | false | no | off | '') return 1 ;;
        *) bad_variable "$1" "$value" '1 true yes on 0 false no off' ;;
    esac
}

# In an image (it has /hard) that no PeiDocker prepared, make the folders that it would have made.
make_folders() {
    if [[ -d /hard && ! -e /soft && $EUID == 0 ]]; then
        mkdir -p /soft/app /soft/data /soft/workspace
    fi
}

# Make /soft/app/ENGINE, where iinstall installs too, for who installs: by the engine's variable, or `me` (infer-dev(7)).
make_home() {
    local engine=${1##*/} variable user
    [[ ! -d $1 ]] || return 0
    mkdir -p -- "$1" || return
    engine=${engine//-/_}
    variable=AUTO_INFER_${engine^^}_USER
    user=${!variable:-me}
    if [[ $EUID == 0 ]] && id -u -- "$user" >/dev/null 2>&1; then
        chown -- "$user:" "$1" || say "warning: $1 is not $user's"
    fi
}

# Put the helpers where set-ups expect them: helpers/ENGINE/NAME as /soft/app/ENGINE/NAME. Somebody's own file stays.
link_helpers() {
    local script link
    [[ -d /soft/app ]] || return 0
    for script in "$here"/helpers/*/*.sh; do
        link=/soft/app/$(basename "$(dirname "$script")")/$(basename "$script")
        if [[ -e $link && ! -L $link ]]; then
            say "warning: $link is not a link of ours and is left alone"
        elif [[ $(readlink "$link") != "$script" ]]; then
            if ! { make_home "$(dirname "$link")" && ln -sfn "$script" "$link"; }; then
                say "warning: there is no link at $link"
            fi
        fi
    done
}

# All engines through one pipeline; what boot did not ask for passes as `skipped`. ichat's exit code is the first failure's.
pipeline() {
    ienv --boot | iwarm | icache | iinstall | iplan | ilaunch | iprobe | ichat
}

# Keep the stream below INFER_DEV_KEEP, a file for each boot, and hand it on unless a person looks on. A reader that
# goes away does not end the boot (tee -p).
keep() {
    local file=/dev/null
    if [[ -n ${INFER_DEV_KEEP-} ]]; then
        file=$INFER_DEV_KEEP/boot-$(date -u +%Y%m%dT%H%M%SZ)-$$.jsonl
        if ! { mkdir -p "$INFER_DEV_KEEP" && : >"$file"; }; then
            say "warning: the boot's records are not kept: INFER_DEV_KEEP is '$INFER_DEV_KEEP'"
            file=/dev/null
        fi
    fi
    if [[ -t 1 ]]; then
        cat >"$file"
    else
        tee -p -- "$file"
    fi
}

# The whole boot, as a child of its own.
boot() {
    local code=0
    pipeline | keep || code=$?
    if [[ -t 1 ]]; then
        istat --table || true # how things stand; the exit code is not the boot's
    fi
    return "$code"
}

# End a boot that still runs: its process group, for the stages do not hear of their shell's death.
end_boot() {
    [[ -z $boot_pid ]] || kill -TERM -- "-$boot_pid" 2>/dev/null || true
}

# Stop all engines, then tell COMMAND to go. An interactive shell does not hear TERM, but its terminal going away.
wind_up() {
    ending=1
    end_boot
    istop || say 'some engines could not be stopped'
    if [[ -n $command_pid ]]; then
        kill -TERM "$command_pid" 2>/dev/null || true
        [[ ! -t 0 ]] || kill -HUP "$command_pid" 2>/dev/null || true
    fi
}

on_term() {
    [[ -n $ending ]] || wind_up
}

# Ctrl-C means us only while we boot; COMMAND gets its own.
on_int() {
    if [[ -z $command_pid && -z $ending ]]; then
        verdict=130
        wind_up
    fi
}

# Wait until one of these children ends, whatever signals come: $ended is the child, $code its exit code. bash forgets a
# child's end for `wait -n` when a trap ran commands in between, and remembers it for `wait PID`.
await() {
    local pid
    while :; do
        for pid in "$@"; do
            if ! kill -0 "$pid" 2>/dev/null; then
                ended=$pid code=0
                wait "$pid" || code=$?
                return
            fi
        done
        wait -n "$@" 2>/dev/null || true
    done
}

# The boot ended: if it failed, that ends the container, or does not.
judge_boot() {
    boot_pid=''
    if [[ $code != 0 && $on_failure == stop && -z $ending ]]; then
        say "the boot failed with $code and AUTO_INFER_BOOT_FAILURE is 'stop'"
        verdict=$code
        wind_up
    fi
}

on_failure=${AUTO_INFER_BOOT_FAILURE:-continue}
case $on_failure in
    continue | stop) ;;
    *) bad_variable AUTO_INFER_BOOT_FAILURE "$on_failure" 'continue stop' ;;
esac
wait_for_boot=''
if is_on AUTO_INFER_BOOT_WAIT 1; then
    wait_for_boot=1
fi
if ! command -v ienv >/dev/null; then
    say "no tools on PATH ($PATH)"
    exit 69
fi
if [[ $# == 0 ]]; then
    # With nothing to read commands from, a shell would end at once, and a container with it.
    if [[ /dev/stdin -ef /dev/null ]]; then
        set -- sleep infinity
    else
        set -- "${SHELL:-/bin/bash}"
    fi
fi

make_folders
link_helpers

trap on_term TERM
trap on_int INT

set -m # the boot gets a process group of its own, to be ended as one
boot </dev/null &
boot_pid=$!
set +m
if [[ -n $wait_for_boot ]]; then
    await "$boot_pid"
    judge_boot
fi
if [[ -n $ending ]]; then
    exit "${verdict:-143}"
fi

# In the background for us, so that we hear signals; for COMMAND as in the foreground: our terminal, our stdin, and
# no ignored INT and QUIT, which a shell gives to what it starts with &.
(
    trap - INT QUIT TERM
    exec "$@"
) <&0 &
command_pid=$!
# A signal between the look at $ending and this line did not know of COMMAND.
[[ -z $ending ]] || kill -TERM "$command_pid" 2>/dev/null || true

await ${boot_pid:+"$boot_pid"} "$command_pid"
if [[ $ended == "$boot_pid" ]]; then
    judge_boot
    await "$command_pid"
fi
end_boot
exit "${verdict:-$code}"
