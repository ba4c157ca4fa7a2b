#!/bin/sh
# Puts the official prebuilt libduckdb into .libduckdb/, from DuckDB's own npm package for this platform.
# Does nothing when the wanted version is already there.
set -eu

version=1.5.6-r.1
lib_dir=${1:-.libduckdb}

# SHA-256 of each platform's package. Where none is pinned the package is held to the checksum that the registry
# itself states, and the script says so: pin it from a machine of that platform.
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)
        platform=linux-x64 library=libduckdb.so
        checksum=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff ;;
    Linux-aarch64 | Linux-arm64) platform=linux-arm64 library=libduckdb.so checksum= ;;
    Darwin-x86_64) platform=darwin-x64 library=libduckdb.dylib checksum= ;;
    Darwin-arm64) platform=darwin-arm64 library=libduckdb.dylib checksum= ;;
    *)
        echo "There is no prebuilt libduckdb for $(uname -s) on $(uname -m)." >&2
        echo "Compile it instead (over half an hour): cargo build --release --features bundled" >&2
        exit 1 ;;
esac

stamp="$lib_dir/$version-$platform"
if [ -e "$stamp" ] && [ -e "$lib_dir/$library" ]; then
    exit 0
fi

if ! command -v npm > /dev/null; then
    echo "npm is missing: it fetches DuckDB's prebuilt library. Install Node.js 20 or newer (https://nodejs.org," >&2
    echo "or your system's package nodejs with npm), or compile DuckDB: cargo build --release --features bundled" >&2
    exit 1
fi

sum() {
    if command -v sha256sum > /dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

package="@duckdb/node-bindings-$platform@$version"
echo "Fetching $package (24 MB) ..."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package" > /dev/null) || {
    echo "npm could not fetch $package: is the npm registry reachable? (npm ping)" >&2
    exit 1
}
archive=$(echo "$work"/*.tgz)
found=$(sum "$archive")
if [ -z "$checksum" ]; then
    echo "No checksum is pinned for $platform yet; npm has checked the registry's own. SHA-256: $found"
elif [ "$found" != "$checksum" ]; then
    echo "$package is not what it should be: SHA-256 $found, expected $checksum. Nothing was installed." >&2
    exit 1
fi
mkdir -p "$lib_dir"
tar -xzf "$archive" -C "$lib_dir" --strip-components=1 "package/$library"
if [ "$(uname -s)" = Darwin ]; then
    # Let it be found by name wherever it lies.
    install_name_tool -id "@rpath/$library" "$lib_dir/$library"
fi
touch "$stamp"
echo "libduckdb is in $lib_dir"
