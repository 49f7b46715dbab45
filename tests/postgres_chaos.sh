#!/usr/bin/env bash
# Runs the chaos tests of the Postgres backend, which take some minutes: workers, producers,
# applications and servers are killed, stopped and cut off at random. Arguments select tests.
# CHAOS_TASKS (10,000) says how many tasks the longest one drains.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test -p gae-tasks-tests-postgres --features backend --test chaos -- --test-threads 2 "$@"
