#!/bin/sh
# Checks licences, bans and sources of the dependencies; builds cargo-deny once, beside other builds, where it is not there.
# Advisories are not asked for here: they come from outside of the package registries.
set -eu

version=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools
deny=$tools/bin/cargo-deny
if ! "$deny" --version 2> /dev/null | grep -qF "$version"; then
    echo "Building cargo-deny $version ..."
    cargo install --quiet --locked --debug --root "$tools" --target-dir "$tools/build" --version "$version" cargo-deny
    rm -rf "$tools/build"
fi
# Where registries are mirrored, a lock file of the mirror would be another source; what counts is what is in ours.
"$deny" --log-level error check --hide-inclusion-graph bans licenses sources
