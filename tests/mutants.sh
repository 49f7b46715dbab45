#!/usr/bin/env bash
# Puts one bug after another into the code that stores and runs tasks, and lists the bugs that no
# test notices: tests/mutants.sh [ARGUMENT ..], with arguments of `cargo mutants`, such as
# `--shard 0/8`, `--re 'worker/sweep'` or `--list`. A test that takes longer than a minute counts as
# noticing the bug. Not part of tests/run.sh: each of more than a thousand bugs takes some seconds;
# `--jobs 4` is faster, because most tests wait. Installs cargo-mutants if missing.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

output=$(realpath -m "${CARGO_TARGET_DIR:-target}/mutants")
# cargo-mutants changes a copy of the tree, with its own target folder.
unset CARGO_TARGET_DIR
# Faster builds: incremental, and without debug information.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0

missed=0

# search NAME TESTS BLIND FILE .. -- ARGUMENT ..: puts bugs into the files and runs the unit tests
# and the test binary TESTS, without tests whose names contain BLIND, which are slow and cannot
# notice such a bug.
search() {
  local name=$1 tests=$2 blind=$3 files=() status=0
  shift 3
  while [ "$1" != -- ]; do
    files+=(--file "gae-tasks/src/$1")
    shift
  done
  shift
  # By itself, cargo-mutants runs only the package's own tests. Without bugs, the tests must pass
  # within a minute.
  local test=(cargo test --quiet --package gae-tasks --package gae-tasks-tests
    --features gae-tasks/push --lib "--test=$tests")
  "${test[@]}" --no-run
  timeout 60 "${test[@]}" -- --skip "$blind" >/dev/null
  mkdir -p "$output/$name"
  # Without .gitignore, so that Cargo.lock is copied.
  cargo mutants --package gae-tasks "${files[@]}" --output "$output/$name" --gitignore=false \
    --baseline=skip --cap-lints=true --timeout 60 --build-timeout 600 \
    --test-package gae-tasks,gae-tasks-tests --features gae-tasks/push \
    --cargo-arg=--lib --cargo-arg=--test="$tests" "$@" -- -- --skip "$blind" || status=$?
  case $status in
    0 | 3) ;; # 3: tests noticed some bugs by running into the time limit.
    2) missed=2 ;;
    *) exit "$status" ;;
  esac
}

search storage contract conformance::memory 'backend/sqlite/**' -- "$@"
search worker it sqlite::tests 'worker/**' 'dispatch.rs' 'dispatch/**' 'push/limits.rs' -- \
  --exclude '**/worker/signals.rs' "$@"
# A test of signals needs its own process.
search signals processes kill:: 'worker/signals.rs' -- "$@"
exit "$missed"
