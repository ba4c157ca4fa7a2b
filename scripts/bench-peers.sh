#!/bin/sh
# Footfall, as it is released, beside what a user would pick instead: benches/peers/run.py, which takes the arguments. Gets
# PostgreSQL with PostGIS as root with apt-get, and the Python libraries into a folder beside what cargo builds. Servers
# listen on loopback or a local socket, and neither they nor their files outlast the run.
set -eu

# Of Debian 12. Another release of Debian has another: PEERS_POSTGRES=17 takes that.
postgres=${PEERS_POSTGRES:-15}
programs=/usr/lib/postgresql/$postgres/bin
here=benches/peers
target=${CARGO_TARGET_DIR:-target}
dir=$target/peers
mkdir -p "$dir"

missing=
[ -x "$programs/initdb" ] || missing="$missing postgresql-$postgres"
[ -e "/usr/share/postgresql/$postgres/extension/postgis.control" ] || missing="$missing postgresql-$postgres-postgis-3"
command -v python3 > /dev/null || missing="$missing python3"
python3 -c 'import ensurepip' 2> /dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "Missing:$missing. Install them (as root: apt-get install$missing), then try again." >&2
        exit 1
    fi
    echo "Installing$missing ..."
    # shellcheck disable=SC2086
    (
        # A first install of PostgreSQL makes a cluster and starts it. Nobody asked for one, so it is told not to.
        folder=/etc/postgresql-common/createcluster.d
        trap 'rm -f "$folder/footfall.conf"; rmdir --ignore-fail-on-non-empty "$folder"' EXIT
        trap 'exit 1' INT TERM
        mkdir -p "$folder"
        echo "create_main_cluster = false" > "$folder/footfall.conf"
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    ) > "$dir/apt.log" 2>&1 || {
        echo "apt-get failed: $dir/apt.log tells why" >&2
        exit 1
    }
fi

# A stamp of what was asked for: done once. Only wheels: that of MEOS brings the engine itself along.
wanted=$(cksum < "$here/requirements.txt")
if [ "$(cat "$dir/stamp" 2> /dev/null)" != "$wanted" ]; then
    echo "Fetching psycopg, MEOS and MovingPandas ..."
    rm -rf "$dir/venv"
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt" || {
        echo "The Python libraries could not be fetched: their pinned versions need CPython 3.11 or newer" >&2
        exit 1
    }
    echo "$wanted" > "$dir/stamp"
fi

# Not /tmp, which is memory on many systems: a commit that waits for no disk would prove nothing.
export TMPDIR="${TMPDIR:-/var/tmp}"
exec "$dir/venv/bin/python" -B "$here/run.py" --binary "$target/release/footfall" --postgres "$programs" "$@"
