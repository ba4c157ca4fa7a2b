#!/bin/sh
# Gets what tests/it/postgres_clients.rs runs against the server: psql, psycopg and SQLAlchemy, node-postgres, the JDBC
# driver. Into .clients/ where it can; system packages only as root with apt-get. What cannot be had is said, and its test
# says that it is skipped.
set -u

dir=.clients
here=tests/clients
mkdir -p "$dir"

missing=
command -v psql > /dev/null || missing="$missing postgresql-client"
command -v javac > /dev/null || missing="$missing default-jdk-headless"
[ -e /usr/share/java/postgresql.jar ] || missing="$missing libpostgresql-jdbc-java"
command -v python3 > /dev/null || missing="$missing python3"
python3 -c 'import ensurepip' 2> /dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        echo "Installing$missing ..."
        # shellcheck disable=SC2086
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } > "$dir/apt.log" 2>&1 ||
            echo "apt-get failed ($dir/apt.log tells why); the clients that need$missing are not tested" >&2
    else
        echo "Not installed, so not tested:$missing" >&2
    fi
fi

# A stamp of what was asked for: done once.
wanted=$(cat "$here/requirements.txt" "$here/package-lock.json" | cksum)
[ "$(cat "$dir/stamp" 2> /dev/null)" = "$wanted" ] && exit 0
echo "Fetching PostgreSQL clients for Python and Node.js ..."
failed=
{ python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"; } ||
    { failed=1 && echo "psycopg and SQLAlchemy could not be fetched, so they are not tested" >&2; }
{ cp "$here/package.json" "$here/package-lock.json" "$dir/" && npm ci --silent --no-audit --no-fund --prefix "$dir" > /dev/null; } ||
    { failed=1 && echo "node-postgres could not be fetched, so it is not tested" >&2; }
[ -n "$failed" ] || echo "$wanted" > "$dir/stamp"
