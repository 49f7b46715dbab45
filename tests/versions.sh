#!/usr/bin/env bash
# Whether a program may use two versions of gae-tasks: makes a copy with the next version's number,
# and of the slice's name that goes with it (the house rules keep the two together), and runs
# tests/versions with both.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}/versions
mkdir -p "$target"
target=$(cd "$target" && pwd)

# copy NAME: the two crates, as a workspace of their own.
copy() {
  rm -rf "${target:?}/$1"
  mkdir "$target/$1"
  cp -Rp gae-tasks gae-tasks-macros README.md "$target/$1"
  # Of the members of the workspace only these; nothing is left out, as nothing else is there.
  sed -E 's/^(default-members|members) = .*/\1 = ["gae-tasks", "gae-tasks-macros"]/; /^exclude = /d' Cargo.toml \
    >"$target/$1/Cargo.toml"
}

copy now
copy next
sed -i.before -E 's/^(version = ")0\.1\.0"/\10.2.0"/; s/"=0\.1\.0"/"=0.2.0"/' "$target/next/Cargo.toml"
sed -i.before 's/GAE_TASKS_REGISTRATIONS_0_1/GAE_TASKS_REGISTRATIONS_0_2/' "$target/next/gae-tasks/src/registration.rs"
if grep -rq 'GAE_TASKS_REGISTRATIONS_0_1' "$target/next/gae-tasks/src" --include='*.rs'; then
  echo "the name of the slice stands in more than one file: mend tests/versions.sh" >&2
  exit 1
fi
rm -rf "${target:?}/program"
cp -Rp tests/versions "$target/program"

cargo run --quiet --manifest-path "$target/program/Cargo.toml" --target-dir "$target/built"
