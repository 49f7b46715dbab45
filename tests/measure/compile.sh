#!/usr/bin/env bash
# Measures the compile time of a task: a crate of 500 tasks with three parameters compared with a
# crate of 500 such functions without the attribute, in a debug build, in milliseconds per task.
#
#   tests/measure/compile.sh [TASKS] [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
tasks=${1:-500} rounds=${2:-5}
root=$PWD crate=$PWD/target/measure/compile
mkdir -p "$crate/src"

cat >"$crate/Cargo.toml" <<TOML
[package]
name = "measured"
edition = "2024"

[dependencies]
gae-tasks = { path = "$root/gae-tasks", default-features = false }

[workspace]
TOML

# `generate ATTRIBUTE COUNT` writes COUNT functions.
generate() {
  {
    echo '#![allow(dead_code, unused_variables)]'
    for number in $(seq 1 "$2"); do
      echo "$1 pub async fn task_$number(user_id: u64, to: String, subject: String) {}"
    done
  } >"$crate/src/lib.rs"
}

# Compiles the crate alone and prints the milliseconds of CPU and of wall time.
compile() {
  touch "$crate/src/lib.rs"
  local TIMEFORMAT='%U %S %R'
  {
    time cargo build --quiet --manifest-path "$crate/Cargo.toml" \
      --target-dir "$crate/target" 2>/dev/null
  } 2>&1 |
    awk '{printf "%.0f %.0f\n", ($1 + $2) * 1000, $3 * 1000}'
}

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

generate '' 1
cargo build --quiet --manifest-path "$crate/Cargo.toml" --target-dir "$crate/target"
cpu=() wall=()
for what in none functions tasks; do
  case $what in
    none) generate '' 0 ;;
    functions) generate '' "$tasks" ;;
    tasks) generate '#[gae_tasks::deferred]' "$tasks" ;;
  esac
  times=$(for _ in $(seq "$rounds"); do compile; done)
  cpu+=("$(cut -d' ' -f1 <<<"$times" | median)")
  wall+=("$(cut -d' ' -f2 <<<"$times" | median)")
done
each() { awk -v a="$1" -v b="$2" -v n="$tasks" 'BEGIN {printf "%.2f", (a - b) / n}'; }
echo "milliseconds each of $tasks, medians of $rounds builds:"
printf '%-28s %8s %8s\n' '' CPU wall
printf '%-28s %8s %8s\n' 'an empty async function' \
  "$(each "${cpu[1]}" "${cpu[0]}")" "$(each "${wall[1]}" "${wall[0]}")"
printf '%-28s %8s %8s\n' 'a task of three parameters' \
  "$(each "${cpu[2]}" "${cpu[0]}")" "$(each "${wall[2]}" "${wall[0]}")"
