# fish's completions for infer-dev and infer-dev-entry.sh. The verbs are those of `infer-dev --help`; the words after a verb
# are those of the tool that it runs, and that is asked.

# What a tool offers for the word at the cursor, after these words.
function __infer_dev_ask
    INFER_DEV_COMPLETE=fish $argv[1] -- $argv (commandline --current-token) 2>/dev/null
end

function __infer_dev
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l command $words[1]
    set -e words[1]
    set -l show (test "$words[1]" = --show; and echo yes)
    if test -n "$show"
        set -e words[1]
    end
    set -l verb $words[1]
    if test -z "$verb"
        $command --help 2>/dev/null | string replace --filter --regex '^  ([a-z]+) .*  (.*)$' '$1\t$2'
        if test -z "$show"
            printf '%s\t%s\n' --show 'Print the pipeline, and run nothing' --help 'Print help' --version 'Print version'
        end
        return
    end
    set -e words[1]
    switch $verb
        case up restart doctor verify
            if contains -- "$words[-1]" -c --config -m --model
                __fish_complete_path (commandline --current-token)
            else
                if test $verb = restart
                    __infer_dev_ask istop $words
                else
                    __infer_dev_ask iplan --flags
                end
                printf '%s\n' --config --model
            end
        case down
            __infer_dev_ask istop $words
        case ps
            __infer_dev_ask istat $words
        case logs
            __infer_dev_ask istat --log $words
        case chat
            __infer_dev_ask ichat $words
        case report
            __infer_dev_ask ireport $words
        case run
            __fish_complete_subcommand --fcs-skip=2
    end
end

# A command and its arguments.
function __infer_dev_entry
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    if test (count $words) -eq 1
        printf '%s\n' --keep --help
    end
    __fish_complete_subcommand
end

complete --keep-order --exclusive --command infer-dev --arguments '(__infer_dev)'
complete --keep-order --exclusive --command infer-dev-entry.sh --arguments '(__infer_dev_entry)'
