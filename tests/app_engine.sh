#!/usr/bin/env bash
# Has Google's own task queue push tasks into the example `app_engine`: a Python service of App Engine's development
# server enqueues them for the service `worker`, which is our program. Headers, a retry and the background service are
# checked. Says that it was skipped where the development server, or the Python that it runs services with, is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: $*"; exit 0; }
server=$(command -v dev_appserver.py) || skip "App Engine's development server (dev_appserver.py) is not installed"
python=$(command -v python3.11) || skip "there is no python3.11, which it runs services with"
"$python" -c '' 2>/dev/null || skip "python3.11 does not start"

folder=$(mktemp -d)
stop() {
  # It has a process for each service.
  [ -z "${pid:-}" ] || kill -TERM -- "-$pid" 2>/dev/null || true
  sleep 1
  [ -z "${pid:-}" ] || kill -KILL -- "-$pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

# The server makes one for each service; its own must have nothing that its libraries would mistake for theirs.
"$python" -m venv "$folder/venv" 2>/dev/null || skip "python3.11 makes no virtual environment"
"$folder/venv/bin/pip" install -q --disable-pip-version-check virtualenv \
  2>"$folder/pip.log" || skip "virtualenv cannot be had: $(tail -n 1 "$folder/pip.log")"

cargo build --quiet -p gae-tasks-examples-push --example app_engine
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
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
entrypoint: gunicorn -b :$PORT main:app
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

free() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free)
# In a group of its own, so that all of it can be stopped.
set -m
PATH="$folder/venv/bin:$PATH" CLOUDSDK_PYTHON="$folder/venv/bin/python" PYTHONNOUSERSITE=1 timeout 240 "$server" \
  --host 127.0.0.1 --port "$port" --admin_host 127.0.0.1 --admin_port "$(free)" --api_host 127.0.0.1 \
  --api_port "$(free)" --storage_path "$folder/storage" --support_datastore_emulator false \
  --enable_host_checking false --application gae-tasks "$folder/default/app.yaml" "$folder/worker/worker.yaml" \
  >"$folder/log" 2>&1 &
pid=$!
set +m

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
wait_for "curl -fsS http://127.0.0.1:$port/enqueue/apple" "the Python service does not enqueue"
wait_for "curl -fsS http://127.0.0.1:$port/enqueue/flaky" "the Python service does not enqueue"
task="/_cb/deferred/app_engine/count from the task queue"
wait_for "grep -q '$task: 200' '$folder/log'" "no task came to the worker"
# It fails only while the queue's headers tell of no retry.
wait_for "grep -q '$task: 500' '$folder/log'" "the first attempt was taken for a retry"
wait_for "[ \$(grep -c '$task: 200' '$folder/log') -eq 2 ]" "the retry was not counted"
# Nobody else answers tasks: those of `default` went to the background service.
wait_for "grep -q 'worker: \"POST /_cb/deferred/app_engine/count' '$folder/log'" "another service answered"
echo "ok: Google's task queue pushed into the background service, and tried a failed task again"
