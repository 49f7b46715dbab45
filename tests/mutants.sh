#!/usr/bin/env bash
# Puts one bug after another into what keeps and runs tasks, and tells which of them no test notices:
# tests/mutants.sh [ARGUMENT ..], with arguments of `cargo mutants`, such as `--shard 0/8`, `--re 'worker/sweep'` or
# `--list`. A test that takes longer than a minute has noticed. Not a part of tests/run.sh: a bug takes some seconds, and
# there are more than a thousand; `--jobs 4` is faster, as most tests wait. Installs cargo-mutants if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants

output=$(realpath -m "${CARGO_TARGET_DIR:-target}/mutants")
# A copy of the tree is changed, and has a target folder of its own.
unset CARGO_TARGET_DIR
# What makes the next build fast, and nothing that nobody reads here.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0

missed=0

# search NAME TESTS BLIND FILE .. -- ARGUMENT ..: bugs in the files, looked for by the unit tests and the test binary TESTS,
# without those whose names contain BLIND: they take long and cannot see such a bug.
search() {
  local name=$1 tests=$2 blind=$3 files=() status=0
  shift 3
  while [ "$1" != -- ]; do
    files+=(--file "gae-tasks/src/$1")
    shift
  done
  shift
  # cargo-mutants would run only the tests of the package itself. They must pass within a minute, or all is "noticed".
  local test=(cargo test --quiet --package gae-tasks --package gae-tasks-tests --features gae-tasks/push --lib "--test=$tests")
  "${test[@]}" --no-run
  timeout 60 "${test[@]}" -- --skip "$blind" >/dev/null
  mkdir -p "$output/$name"
  # Without .gitignore, so that Cargo.lock is copied.
  cargo mutants --package gae-tasks "${files[@]}" --output "$output/$name" --gitignore=false --baseline=skip \
    --cap-lints=true --timeout 60 --build-timeout 600 --test-package gae-tasks,gae-tasks-tests --features gae-tasks/push \
    --cargo-arg=--lib --cargo-arg=--test="$tests" "$@" -- -- --skip "$blind" || status=$?
  case $status in
    0 | 3) ;; # 3: some were noticed by a test that never ended.
    2) missed=2 ;;
    *) exit "$status" ;;
  esac
}

search storage contract conformance::memory 'backend/sqlite/**' -- "$@"
search worker it sqlite::tests 'worker/**' 'dispatch.rs' 'dispatch/**' 'push/limits.rs' -- \
  --exclude '**/worker/signals.rs' "$@"
# Only a process of its own can be sent signals.
search signals processes kill:: 'worker/signals.rs' -- "$@"
exit "$missed"
