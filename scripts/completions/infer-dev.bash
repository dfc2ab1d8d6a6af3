# shellcheck shell=bash
# bash's completions for infer-dev and infer-dev-entry.sh. The verbs are those of `infer-dev --help`; the words after a verb
# are those of the tool that it runs, and that is asked.

# What a tool offers for the last of these words.
_infer_dev_ask() {
    mapfile -t COMPREPLY < <(
        INFER_DEV_COMPLETE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$(($# - 1)) "$1" -- "$@" 2>/dev/null
    )
    if [[ ${COMPREPLY[0]-} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

# Those of these words that begin as the current one.
_infer_dev_words() {
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

_infer_dev() {
    local current=$2 before=$3 at=1 verb words
    if [[ ${COMP_WORDS[1]} == --show && $COMP_CWORD -gt 1 ]]; then
        at=2
    fi
    if [[ $COMP_CWORD == "$at" ]]; then
        words=$("$1" --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p')
        [[ $at != 1 ]] || words+=' --show --help --version'
        _infer_dev_words "$current" "$words"
        return
    fi
    verb=${COMP_WORDS[at]}
    words=("${COMP_WORDS[@]:at+1:COMP_CWORD-at-1}" "$current")
    case $verb in
        up | restart | doctor | verify)
            case $before,$current in
                -c,* | --config,* | -m,* | --model,*) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
                *,-*) _infer_dev_words "$current" '--config --model -c -m' ;;
                *)
                    if [[ $verb == restart ]]; then
                        _infer_dev_ask istop "${words[@]}"
                    else
                        _infer_dev_ask iplan --flags "$current"
                    fi
                    ;;
            esac
            ;;
        down) _infer_dev_ask istop "${words[@]}" ;;
        ps) _infer_dev_ask istat "${words[@]}" ;;
        logs) _infer_dev_ask istat --log "${words[@]}" ;;
        chat) _infer_dev_ask ichat "${words[@]}" ;;
        report) _infer_dev_ask ireport "${words[@]}" ;;
        run) mapfile -t COMPREPLY < <(compgen -c -- "$current") ;;
    esac
}

# A command and its arguments.
_infer_dev_entry() {
    local current=$2
    if [[ $COMP_CWORD == 1 && $current == -* ]]; then
        _infer_dev_words "$current" '--keep --help'
    elif [[ $COMP_CWORD == 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -o bashdefault -F _infer_dev infer-dev
complete -o bashdefault -o filenames -F _infer_dev_entry infer-dev-entry.sh
