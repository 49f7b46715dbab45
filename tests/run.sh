#!/usr/bin/env bash
# Runs every test. Installs what is missing: a C compiler, which the bundled SQLite is built with, and LLD.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cc >/dev/null; then
  echo "no C compiler found: installing gcc"
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $sudo apt-get update -q
  $sudo apt-get install -qy gcc libc6-dev
fi

# Nothing is built twice here, so what would make that faster is not kept.
export CARGO_INCREMENTAL=0
# As in Cargo.toml; trybuild, which has a workspace of its own, reads it here.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only

cargo test --workspace --all-features "$@"

# Only whole runs: arguments choose some tests, and these are none of cargo's.
if [ $# -eq 0 ]; then
  printf '\nlinking\n'
  tests/linking.sh
  printf '\ntwo versions\n'
  tests/versions.sh
  printf '\nbeside other users of SQLite\n'
  tests/sqlite.sh
fi
