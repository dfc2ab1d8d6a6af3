#!/usr/bin/env bash
# SGLang's variables, and what makes a pixi started by hand use its cache, offline. Sourced, this exports them; run, it
# prints the commands that do, for eval, and takes ienv's options, --online for one.
#
#   . sglang-env.sh
#   exports=$(sglang-env.sh --online) && eval "$exports"
if (return 0 2>/dev/null); then
    # The words of $@ are the sourcing shell's own, and so is everything that this would leave behind.
    eval "$(ienv --export sglang || printf 'return %d\n' "$?")"
else
    exec ienv --export sglang "$@"
fi
