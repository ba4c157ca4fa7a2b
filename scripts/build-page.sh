#!/bin/sh
# Builds the page into dashboard/dist, from where cargo puts it into the binary. Does nothing when nothing has changed.
set -eu

cd dashboard
stamp=node_modules/.stamp
wanted=$(cksum < package-lock.json)
if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
    echo "Fetching what the page is built with ..."
    npm ci --silent --no-audit --no-fund
    echo "$wanted" > "$stamp"
fi
built=dist/index.html
if [ ! -e "$built" ] || [ -n "$(find src index.html openapi.json package-lock.json tsconfig.json vite.config.ts -newer "$built" ! -path 'src/api/*' | head -1)" ]; then
    echo "Building the page ..."
    npm run --silent build > dist.log 2>&1 || { cat dist.log >&2; exit 1; }
    rm -f dist.log
fi
