#!/usr/bin/env bash
# Runs the embedded queue with the oldest and the newest supported rusqlite: the oldest, which Cargo
# must choose by itself for a program that uses sqlx, and the newest. Both programs are outside of
# the workspace, because one program links only one SQLite.
set -euo pipefail
cd "$(dirname "$0")/.."

# Common dependencies are built once.
target=${CARGO_TARGET_DIR:-target}/sqlite

# run CRATE RUSQLITE: runs CRATE, which must use this release of rusqlite.
run() {
  local manifest=tests/sqlite/$1/Cargo.toml found
  cargo build --quiet --manifest-path "$manifest" --target-dir "$target"
  found=$(cargo tree --quiet --manifest-path "$manifest" --depth 0 --invert rusqlite |
    sed 's/^rusqlite v//')
  if [[ $found != "$2".* ]]; then
    echo "FAILED  $1: it uses rusqlite $found, not $2" >&2
    return 1
  fi
  printf '%s, rusqlite %s: ' "$1" "$found"
  cargo run --quiet --manifest-path "$manifest" --target-dir "$target"
}

run sqlx 0.39
run newest 0.43
