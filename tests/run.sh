#!/usr/bin/env bash
# Runs every test. Installs a C compiler, which the bundled SQLite needs, LLD, PostgreSQL,
# PgBouncer and OpenSSL, if missing.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cc >/dev/null; then
  echo "no C compiler found: installing gcc"
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $sudo apt-get update -q
  $sudo apt-get install -qy gcc libc6-dev
fi

# Debian has the server's programs outside the `PATH`, and PgBouncer in the superuser's.
servers=$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
if ! (PATH=$PATH:$servers:/usr/sbin
  command -v initdb && command -v pgbouncer && command -v openssl) >/dev/null; then
  echo "no PostgreSQL server, PgBouncer or OpenSSL found: installing them"
  sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
  # The tests start servers of their own; the package is not to start one for the machine.
  $sudo mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" |
    $sudo tee /etc/postgresql-common/createcluster.d/gae-tasks-tests.conf >/dev/null
  $sudo apt-get update -q
  $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends postgresql pgbouncer openssl
fi

# Nothing is built twice here, so incremental data is not kept.
export CARGO_INCREMENTAL=0
# As in Cargo.toml, for trybuild, which builds in its own workspace.
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-line-tables-only}

cargo test --workspace --all-features "$@"

# Only without arguments: arguments select tests, and the scripts below are not cargo tests.
if [ $# -eq 0 ]; then
  printf '\nlinking\n'
  tests/linking.sh
  printf '\ntwo versions\n'
  tests/versions.sh
  printf '\ntasks.lock\n'
  tests/lock.sh
  printf '\nbeside other users of SQLite\n'
  tests/sqlite.sh
fi
