#!/usr/bin/env bash
# A bundle that unpacks itself: this header, then the archive, then pixi-unpack, both in base64.
set -euo pipefail

usage="usage: $0 [-o DIR] [-e NAME] [-s SHELL] [-v] [-q] [-h]

  -o, --output-directory DIR  where the environment goes (default: here)
  -e, --env-name NAME         its name (default: env)
  -s, --shell SHELL           the shell to write an activation script for
  -v, --verbose               say more
  -q, --quiet                 say less
  -h, --help                  show this"

for argument in "$@"; do
    case $argument in
        -h | --help)
            printf '%s\n' "$usage"
            exit 0
            ;;
    esac
done

folder=$(mktemp -d)
header=$(grep -anm 1 '^@@END_HEADER@@$' "$0" | awk -F: '{ print $1 }')
archive=$(grep -anm 1 '^@@END_ARCHIVE@@$' "$0" | awk -F: '{ print $1 }')
sed -n "$((header + 2)),$((archive - 1))p" "$0" | base64 -d >"$folder/archive.tar"
sed -n "$((archive + 1)),\$p" "$0" | base64 -d >"$folder/pixi-unpack"
chmod +x "$folder/pixi-unpack"
"$folder/pixi-unpack" "$@" "$folder/archive.tar"
rm -r "$folder"
exit 0
