# shellcheck shell=sh
# Give a login by SSH the variables that the container's first process has, and show a person what runs. The entry writes the file,
# without secrets.
if [ -r /run/infer-dev.env ]; then
    # shellcheck source=/dev/null
    . /run/infer-dev.env
fi
# A person's shell begins with what runs: the first one of a terminal, and it holds nobody up.
case $- in
    *i*)
        if [ -t 1 ] && [ -z "${infer_dev_greeted-}" ] && command -v infer-dev >/dev/null; then
            export infer_dev_greeted=1
            timeout --foreground 5 infer-dev ps || printf 'infer-dev ps has failed: infer-dev doctor says more\n'
        fi
        ;;
esac
