# shellcheck shell=sh
# Give a login by SSH the variables that the container's first process has. The entry writes the file, without secrets.
if [ -r /run/infer-dev.env ]; then
    # shellcheck source=/dev/null
    . /run/infer-dev.env
fi
