#!/usr/bin/env bash
# Checks that a program can use two versions of gae-tasks: makes a copy with the next version number
# and the matching name of the slice (a house rule keeps the two equal), and runs tests/versions
# with both.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}/versions
mkdir -p "$target"
target=$(cd "$target" && pwd)

# copy NAME: copies the two crates into their own workspace.
copy() {
  rm -rf "${target:?}/$1"
  mkdir "$target/$1"
  cp -Rp gae-tasks gae-tasks-macros README.md "$target/$1"
  # Only these members of the workspace, and no excludes, because no other folder is copied.
  sed -E '/^members = \[$/,/^\]$/ {
      s/^members = \[$/&"gae-tasks", "gae-tasks-macros"/
      /^    "/d
    }
    s/^(default-members) = .*/\1 = ["gae-tasks", "gae-tasks-macros"]/
    /^exclude = /d' Cargo.toml >"$target/$1/Cargo.toml"
}

copy now
copy next
sed -i.before -E 's/^(version = ")0\.1\.0"/\10.2.0"/; s/"=0\.1\.0"/"=0.2.0"/' \
  "$target/next/Cargo.toml"
sed -i.before 's/GAE_TASKS_REGISTRATIONS_0_1/GAE_TASKS_REGISTRATIONS_0_2/' \
  "$target/next/gae-tasks/src/registration.rs"
if grep -rq 'GAE_TASKS_REGISTRATIONS_0_1' "$target/next/gae-tasks/src" --include='*.rs'; then
  echo "the name of the slice occurs in more than one file: update tests/versions.sh" >&2
  exit 1
fi
rm -rf "${target:?}/program"
cp -Rp tests/versions "$target/program"

cargo run --quiet --manifest-path "$target/program/Cargo.toml" --target-dir "$target/built"
