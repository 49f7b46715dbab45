#!/usr/bin/env bash
# Fuzzes the code that takes bytes from outside: tests/fuzz.sh [TARGET ..], by default each target
# in turn, FUZZ_SECONDS (60) for each. Inputs that reach new code, or break a target, are added to
# tests/fuzz/corpus, which tests/tests/it/fuzz.rs replays. Installs a C++ compiler, which libFuzzer
# needs, if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
if ! command -v c++ >/dev/null; then
  echo "no C++ compiler found: installing g++"
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $sudo apt-get update -q
  $sudo apt-get install -qy g++
fi

# Coverage by stable options of the compiler, so any toolchain works without cargo-fuzz. An address
# sanitizer, which is not stable, would find little: the project forbids unsafe code.
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(-C passes=sancov-module -C codegen-units=1)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  coverage+=(-C "llvm-args=-sanitizer-coverage-$option")
done
# With an explicit target, build scripts and macros are built without the counters.
RUSTFLAGS="${coverage[*]}" cargo build --quiet --release --manifest-path tests/fuzz/Cargo.toml \
  --target "$host" --target-dir target/fuzz
program=$PWD/target/fuzz/$host/release/gae-tasks-fuzz

# The targets' files need no disk.
[ -d /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm}

# The limits of one input: memory in MiB, seconds, bytes.
limits=(-rss_limit_mb=512 -timeout=10 -max_len=512)
failed=0
fuzz() {
  local kept=tests/fuzz/corpus/$1 found=target/fuzz/corpus/$1 log=target/fuzz/$1.log
  mkdir -p "$kept" "$found"
  export FUZZ_TARGET=$1
  if "$program" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$kept/" "$found" "$kept" >"$log" 2>&1; then
    # Keeps only inputs that reach code that no kept input reaches, so the corpus stays small.
    "$program" "${limits[@]}" -set_cover_merge=1 -use_counters=0 "$kept" "$found" >"$log.merge" 2>&1
    echo "ok      $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
      "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log") a second, $(ls "$kept" | wc -l) kept"
  else
    failed=1
    echo "FAILED  $1"
    tail -n 60 "$log"
  fi
}

if [ $# -eq 0 ]; then
  for folder in tests/fuzz/corpus/*/; do
    set -- "$@" "$(basename "$folder")"
  done
fi
for target; do
  fuzz "$target"
done
exit "$failed"
