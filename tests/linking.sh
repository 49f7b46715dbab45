#!/usr/bin/env bash
# Checks that tasks stay registered with every build setting: builds tests/crates/program with each
# setting and each linker, and runs it. Installs LLD if it is missing; other missing linkers are
# skipped, with a message.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-target}/linking
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0
# Flags of the program only, for every build.
always=()
# The folder of the dynamic standard library.
export LD_LIBRARY_PATH=$(rustc --print target-libdir)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# Only this project's crates contain registrations, so the others are built once, without
# optimisation, where possible. With an explicit target, the macros are built once for all settings.
build=(
  rustc --quiet --package gae-tasks-tests-program --target "$host" --target-dir "$target"
  --config 'profile.release.package."*".opt-level=0'
  --config 'profile.release.package."*".codegen-units=16'
  --config 'profile.release.debug=false'
)

# check WHAT PROFILE LINKER [SETTING=VALUE ..]: the settings are those of the release profile.
check() {
  local what=$1 profile=$2 linker=$3 log=$scratch/log flags=("${always[@]}")
  shift 3
  if [ "$linker" != default ]; then
    flags=(-C "link-arg=-fuse-ld=$linker")
    # There the compiler uses its own linker, also an LLD, and offers no choice.
    [ "$host" != x86_64-unknown-linux-gnu ] || flags+=(-C linker-features=-lld)
  fi
  local program=$target/$host/${profile/dev/debug}/gae-tasks-tests-program
  if env "${@/#/CARGO_PROFILE_RELEASE_}" \
    cargo "${build[@]}" --profile "$profile" -- "${flags[@]}" >"$log" 2>&1 &&
    "$program" "$scratch" >>"$log" 2>&1 && grep -qx '3 of 3 ran' "$log"; then
    passed=$((passed + 1))
    echo "ok      $what, linker: $linker"
  else
    failed=$((failed + 1))
    echo "FAILED  $what, linker: $linker"
    cat "$log"
  fi
}

if ! command -v ld.lld >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "no LLD found: installing lld"
  (apt-get update -q && apt-get install -qy lld) >"$scratch/log" 2>&1 || cat "$scratch/log"
fi
linkers=(default)
for linker in bfd lld; do
  if command -v "ld.$linker" >/dev/null; then
    linkers+=("$linker")
  else
    echo "skipped all settings with the linker $linker: it is not installed"
  fi
done

# Only the program gets the linker's flags, so another linker costs one more link; but with LTO,
# linking is most of the work, and bfd then links the same code as without LTO.
all() {
  for linker in "${linkers[@]}"; do
    [[ $linker == bfd && $* == *LTO=* ]] || check "$1" "$2" "$linker" "${@:3}"
  done
}
all "debug" dev
all "release" release
always=(-C prefer-dynamic)
all "debug, prefer-dynamic" dev
always=()
all "codegen-units = 1" release CODEGEN_UNITS=1
# Unused code is dropped at any level above 0; the last line has all settings that users choose for
# a small program.
all "thin LTO" release LTO=thin OPT_LEVEL=1
all "fat LTO" release LTO=fat OPT_LEVEL=1
all "fat LTO, codegen-units = 1, strip, panic = abort" \
  release LTO=fat CODEGEN_UNITS=1 STRIP=symbols PANIC=abort

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
