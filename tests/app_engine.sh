#!/usr/bin/env bash
# Tests the example `app_engine` with Google's own task queue: a Python service on App Engine's
# development server enqueues tasks for the service `worker`, which is the example. Checks each
# header, a retry, the background service and the refusal of strangers. All programs listen on
# loopback, and write into one temporary folder, which is deleted at the end. Prints "skipped" if
# the development server, or the Python for its services, is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: $*"; exit 0; }
server=$(command -v dev_appserver.py) ||
  skip "App Engine's development server (dev_appserver.py) is not installed"
python=$(command -v python3.11) || skip "there is no python3.11, which it runs services with"
"$python" -c '' 2>/dev/null || skip "python3.11 does not start"

folder=$(mktemp -d)
stop() {
  # The server has a process for each service.
  [ -z "${pid:-}" ] || kill -TERM -- "-$pid" 2>/dev/null || true
  sleep 1
  [ -z "${pid:-}" ] || kill -KILL -- "-$pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

# The programs' own files go into the folder too. Cargo and pip keep the settings of the machine.
export CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
settings="${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}"
if [ -f "$settings" ]; then export PIP_CONFIG_FILE="$settings"; fi
mkdir "$folder/home" "$folder/tmp"
export HOME="$folder/home" TMPDIR="$folder/tmp"
export XDG_CONFIG_HOME="$folder/home" XDG_CACHE_HOME="$folder/home"

# The server makes a virtual environment for each service; its own environment must not contain
# conflicting libraries.
"$python" -m venv "$folder/venv" 2>/dev/null || skip "python3.11 makes no virtual environment"
"$folder/venv/bin/pip" install -q --disable-pip-version-check virtualenv \
  2>"$folder/pip.log" || skip "virtualenv cannot be had: $(tail -n 1 "$folder/pip.log")"

cargo build --quiet -p gae-tasks-examples-push --example app_engine
target=$(cargo metadata --format-version 1 --no-deps |
  sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
mkdir "$folder/default" "$folder/worker"
cp "$target/debug/examples/app_engine" "$folder/worker/"
for word in apple flaky; do
  cargo run --quiet -p gae-tasks-tests-push --bin envelope -- "$word" >"$folder/default/$word"
done

cat >"$folder/worker/worker.yaml" <<'YAML'
service: worker
runtime: python311
entrypoint: ./app_engine --development
env_variables:
  GAE_TASKS_URL: cloudtasks://local/here?target=app-engine&endpoint=http://127.0.0.1:1&credentials=anonymous
YAML
: >"$folder/worker/requirements.txt"
cat >"$folder/default/app.yaml" <<'YAML'
runtime: python311
entrypoint: gunicorn -b 127.0.0.1:$PORT main:app
app_engine_apis: true
YAML
cat >"$folder/default/queue.yaml" <<'YAML'
queue:
- name: counting
  rate: 20/s
  retry_parameters:
    min_backoff_seconds: 0.2
YAML
printf 'appengine-python-standard\nflask\ngunicorn\n' >"$folder/default/requirements.txt"
cat >"$folder/default/main.py" <<'PYTHON'
from flask import Flask
from google.appengine.api import taskqueue, wrap_wsgi_app

app = Flask(__name__)
app.wsgi_app = wrap_wsgi_app(app.wsgi_app)


@app.route("/enqueue/<word>")
def enqueue(word):
    with open(word, "rb") as body:
        task = taskqueue.add(
            queue_name="counting",
            url="/_cb/deferred/app_engine/count",
            target="worker",
            payload=body.read(),
            headers={"Content-Type": "application/octet-stream"},
        )
    return task.name
PYTHON

free() {
  "$python" - <<'PYTHON'
import socket

s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
PYTHON
}
port=$(free)
# In its own process group, so that all its processes can be stopped.
set -m
PATH="$folder/venv/bin:$PATH" CLOUDSDK_PYTHON="$folder/venv/bin/python" PYTHONNOUSERSITE=1 \
  timeout 240 "$server" --host 127.0.0.1 --port "$port" \
  --admin_host 127.0.0.1 --admin_port "$(free)" --api_host 127.0.0.1 --api_port "$(free)" \
  --storage_path "$folder/storage" --support_datastore_emulator false \
  --enable_host_checking false --application gae-tasks \
  "$folder/default/app.yaml" "$folder/worker/worker.yaml" \
  >"$folder/log" 2>&1 &
pid=$!
set +m
# Suppresses the shell's message about the end of the process.
disown "$pid"

wait_for() {
  for _ in $(seq 150); do
    if eval "$1" >/dev/null 2>&1; then return 0; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 1
  done
  tail -n 60 "$folder/log"
  echo "FAILED: $2"
  exit 1
}

wait_for "grep -q 'the push service is ready' '$folder/log'" "the worker does not start"
wait_for "curl -fsS -o '$folder/apple' http://127.0.0.1:$port/enqueue/apple" "the Python service does not enqueue"
wait_for "curl -fsS -o '$folder/flaky' http://127.0.0.1:$port/enqueue/flaky" "the Python service does not enqueue"
task="/_cb/deferred/app_engine/count from the task queue"
wait_for "grep -q '$task: 200' '$folder/log'" "no task came to the worker"
# The first attempt fails only if the queue's headers show no retry.
wait_for "grep -q '$task: 500' '$folder/log'" "the first attempt was taken for a retry"
wait_for "[ \$(grep -c '$task: 200' '$folder/log') -eq 2 ]" "the retry was not counted"
# No other service answers tasks: the tasks of `default` went to the background service.
wait_for "grep -q 'worker: \"POST /_cb/deferred/app_engine/count' '$folder/log'" \
  "another service answered"

fail() {
  tail -n 60 "$folder/log"
  echo "FAILED: $*"
  exit 1
}

# The headers that the worker received: twice for a first attempt, once for a retry.
header() {
  [ "$(grep -c "x-appengine-$1: $2\$" "$folder/log")" -eq "$3" ] ||
    fail "not $3 times: x-appengine-$1: $2"
}
header queuename counting 3
header taskname "$(cat "$folder/apple")" 1
header taskname "$(cat "$folder/flaky")" 2
header taskretrycount 0 2
header taskretrycount 1 1
header taskexecutioncount 0 2
header taskexecutioncount 1 1
header taskpreviousresponse 500 1
header tasketa '[0-9]*\.[0-9]*' 3

# The worker's own port, without the server in front that would add the headers.
worker=$(sed -n 's/.*running at: http:\/\/[^:]*:\([0-9]*\).*/\1/p' "$folder/log" | tail -n 1)
stranger() { curl -sS -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$worker/_cb/deferred/$1"; }
for kind in app_engine/count no/such/kind; do
  [ "$(stranger "$kind")" = 403 ] || fail "a stranger is not refused: $kind"
done

# Sockets of the server's processes that listen elsewhere than on 127.0.0.1 or ::1.
exposed=$("$folder/venv/bin/python" - "$pid" <<'PYTHON'
import os, sys

group, sockets = int(sys.argv[1]), set()
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.getpgid(int(process)) == group:
            files = f"/proc/{process}/fd"
            links = [os.readlink(f"{files}/{fd}") for fd in os.listdir(files)]
            sockets.update(link[8:-1] for link in links if link.startswith("socket:["))
    except OSError:
        pass
loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
found = 0
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for row in list(open(table))[1:]:
        address, state, inode = (row.split()[column] for column in (1, 3, 9))
        if state == "0A" and inode in sockets:
            found += 1
            if address.split(":")[0] not in loopback:
                print(address)
if not found:
    print("no socket found: the check is broken")
PYTHON
)
[ -z "$exposed" ] || fail "the server listens on other addresses than loopback: $exposed"

echo "ok: Google's task queue pushed into the background service, and retried a failed task"
