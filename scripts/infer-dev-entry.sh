#!/usr/bin/env bash
# Bring up the engines that the environment asks for, then run COMMAND and stay its parent until it ends.
#
# usage: infer-dev-entry.sh [COMMAND [ARG...]]
#
# `usage` says the rest, and infer-dev(7), BOOT.
# shellcheck disable=SC2317 # the traps call what looks unreachable
set -euo pipefail

usage() {
    cat <<'END'
Bring up the engines that the environment asks for, then run COMMAND

Usage: infer-dev-entry.sh [COMMAND [ARG...]]

What is brought up is what the AUTO_INFER_*_ON_BOOT variables ask for; `ienv --boot --explain` shows it. The boot's records
go to standard output (a table instead, where that is a terminal). Then COMMAND, by default a shell, gets the terminal.
On TERM the engines are stopped first, then COMMAND is told to go. The exit code is COMMAND's.

Environment:
  AUTO_INFER_BOOT_FAILURE  continue: run COMMAND although the boot failed (the default); stop: end with the boot's exit code
  AUTO_INFER_BOOT_WAIT     1: run COMMAND when the boot has ended (the default); 0: at once
  INFER_DEV_KEEP           a folder in which each boot's records are kept

Options:
  -h, --help  Print this

see infer-dev(7), BOOT
END
}

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

# In an image (it has /hard), lay /soft as PeiDocker does: each folder is a link to the one on the volume where that is
# mounted, else to one in the image. Work in a folder of the container's own layer would go away with the container. What
# is no link of that kind is left alone.
make_folders() {
    local name place
    [[ -d /hard && $EUID == 0 ]] || return 0
    for name in app data workspace; do
        case $(readlink "/soft/$name" || [[ ! -e /soft/$name ]] || printf 'a folder') in
            '' | "/hard/volume/$name" | "/hard/image/$name") ;;
            *) continue ;;
        esac
        place=/hard/volume/$name
        [[ -d $place ]] || place=/hard/image/$name
        if ! { mkdir -p "$place" /soft && ln -sfnT "$place" "/soft/$name"; }; then
            say "warning: there is no /soft/$name"
        fi
    done
}

# Make a folder for an engine's helpers. llama.cpp is installed in it too, so iinstall makes it, for the user who installs.
make_home() {
    local folder=$1 install=${AUTO_INFER_LLAMA_CPP_INSTALL_DIR:-/soft/app/llama-cpp}
    [[ ! -e $folder ]] || return 0
    if [[ $EUID == 0 && ${folder##*/} == llama-cpp && $install == /soft/app/llama-cpp ]]; then
        # What keeps it from that is said when it installs.
        ienv --steps install llama-cpp 2>/dev/null | iinstall --prepare >/dev/null 2>&1 || true
    fi
    [[ -e $folder ]] || mkdir -- "$folder"
}

# Link an engine's helpers into a folder, which is entered: whoever may write to what is above it could otherwise lead root
# elsewhere with a link. What is written is written as the folder's owner: a process of his without our variables and our
# terminal, which is not waited for where he stops it. For a subshell.
link_into() {
    local folder=$1 script name as=()
    if ! cd -- "$folder" 2>/dev/null || [[ $(env pwd -P) != "$folder" ]]; then
        say "warning: there are no links in $folder, which is no folder of its own"
        return
    fi
    if [[ $EUID == 0 && ! -O . ]]; then
        as=(timeout -s KILL 10 env -i "PATH=$PATH" setsid
            setpriv --reuid "$(stat -c %u .)" --regid "$(stat -c %g .)" --clear-groups)
    fi
    for script in "$here/helpers/${folder##*/}"/*.sh; do
        name=${script##*/}
        if [[ -e $name && ! -L $name ]]; then
            say "warning: $folder/$name is not a link of ours and is left alone"
        elif [[ $(readlink "$name") != "$script" ]]; then
            "${as[@]}" ln -sfnT "$script" "$name" || say "warning: there is no link at $folder/$name"
        fi
    done
}

# Put the helpers where set-ups expect them: helpers/ENGINE/NAME as /soft/app/ENGINE/NAME. Somebody's own file stays.
link_helpers() {
    local app engine why
    [[ -d /soft/app ]] || return 0
    app=$(realpath /soft/app)
    for engine in "$here"/helpers/*/; do
        engine=$app/$(basename "$engine")
        if ! why=$(make_home "$engine" 2>&1); then
            say "warning: the helpers are not linked below /soft/app: ${why##*: }"
            say "hint: they are in $here/helpers"
            return
        fi
        (link_into "$engine")
    done
}

# All engines through one pipeline; what boot did not ask for passes as `skipped`. ichat's exit code is the first failure's.
# A stream that is kept is evidence: it begins with the host, has the answers as they came, and ends with how things stand.
pipeline() {
    local host=() raw=() code=0
    if [[ -n ${INFER_DEV_KEEP-} ]]; then
        host=(--host) raw=(--raw)
    fi
    ienv --boot "${host[@]}" | iwarm | icache | iinstall | iplan | imodel | ilaunch | iprobe | ichat "${raw[@]}" || code=$?
    [[ -z ${INFER_DEV_KEEP-} ]] || istat || true
    return "$code"
}

# The whole boot, as a child of its own. Its stream goes on unless a person looks on.
boot() {
    local code=0 out=1
    [[ ! -t 1 ]] || exec {out}>/dev/null
    pipeline | ireport --keep boot >&"$out" || code=$?
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

# Ctrl-C means us only while we boot.
on_int() {
    if [[ -z $ending ]]; then
        verdict=130
        wind_up
    fi
}

# Wait until one of these children ends, whatever signals come: $ended is the child, $code its exit code. bash loses the code
# of a child that ends while a trap interrupts `wait`, and says -1: it was TERM that interrupted, so TERM ended the child.
await() {
    local pid
    while :; do
        ended='' code=0
        wait -n -p ended "$@" 2>/dev/null || code=$?
        [[ -z ${ended-} ]] || return 0
        for pid in "$@"; do
            if ! kill -0 "$pid" 2>/dev/null; then
                ended=$pid code=0
                wait "$pid" 2>/dev/null || code=$?
                [[ $code != -1 ]] || code=143
                return 0
            fi
        done
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

case ${1-} in
    -h | --help)
        usage || exit 69
        exit
        ;;
    -*)
        say "$1 is no option, and no COMMAND begins like that"
        say 'hint: infer-dev-entry.sh --help'
        exit 2
        ;;
esac
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
# In an image of our own nobody else starts what a container has beside the engines.
if [[ -n ${INFER_DEV_IMAGE-} && -x $here/container/start ]]; then
    "$here/container/start" || say 'warning: not all that the container has beside the engines was started'
fi
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

# From here on Ctrl-C is COMMAND's alone. A shell that hears it too may forget how the child that it waits for has ended.
trap '' INT
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
