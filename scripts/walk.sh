#!/bin/sh
# Walks through the page with the built program, where there is a browser; says so loudly where there is none.
set -eu

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && found=$(command -v "$name"); then
        CHROMIUM=$found
        export CHROMIUM
        target=$(cargo metadata --no-deps --format-version 1 --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
        exec node dashboard/walk/walk.mjs "$target/debug/footfall" "$@"
    fi
done
echo "SKIPPED: the page was not walked through, since there is no Chromium (set CHROMIUM to one)" >&2
