#!/usr/bin/env bash
# Checks `assert_lock!()` as a package outside of the workspace uses it: edits a copy of tests/lock
# step by step, runs its tests, and compares what they say and what is in its tasks.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-target}/lock
mkdir -p "$target"
target=$(cd "$target" && pwd)
shop=$target/shop
rm -rf "$shop"
# New times, so that Cargo builds what the last run had edited.
cp -R tests/lock "$shop"
sed -i.before "s|\.\./\.\./gae-tasks|$root/gae-tasks|" "$shop/Cargo.toml"
cd "$shop"
unset GAE_TASKS_LOCK
export RUST_BACKTRACE=0
passed=0

# fail WHAT: ends the script with what the last test said.
fail() {
  echo "FAILED  $1" >&2
  cat "$target/said" >&2
  exit 1
}

# run [ARGUMENT ..]: runs the tests and keeps what they say.
run() {
  cargo test --quiet --target-dir "$target/built" "$@" -- --nocapture >"$target/said" 2>&1
}

# passes WHAT [ARGUMENT ..]
passes() {
  run "${@:2}" || fail "$1"
  passed=$((passed + 1))
}

# refused WHAT TEXT [ARGUMENT ..]: the tests fail, and say TEXT.
refused() {
  ! run "${@:3}" || fail "$1: the tests pass"
  grep -qF "$2" "$target/said" || fail "$1: not said: $2"
  passed=$((passed + 1))
}

# listed WHAT LINE ..: tasks.lock has these lines.
listed() {
  for line in "${@:2}"; do
    grep -qxF -- "$line" tasks.lock || {
      cp tasks.lock "$target/said"
      fail "$1: not listed: $line"
    }
  done
  passed=$((passed + 1))
}

# edit FILE EXPRESSION
edit() {
  sed -i.before -E "$2" "$1"
  ! cmp -s "$1" "$1.before" || fail "this edit of $1 changes nothing: $2"
}

refused "no file" "run this test with GAE_TASKS_LOCK=write"
[ ! -e tasks.lock ] || fail "a file came into being"
GAE_TASKS_LOCK=write passes "the file is made" --test outside
listed "the tasks of the library" "task lock_shop/transfer" "task lock_shop.mail/send_welcome" \
  "    transfer: {from: u64, to: u64, cents: u32}" "task lock_shop/Invoice.send" \
  "    self: {number: u64}"
! grep -q 'of_the_' tasks.lock || fail "tasks of tests are listed"
passes "both tests find it right"
cp tasks.lock "$target/committed"

edit src/mail.rs 's/customer: u64/customer: u64, template: Option<String>/'
refused "a new optional parameter" "compatible: parameter \`template\` is new"
cmp -s tasks.lock "$target/committed" || fail "written without the variable"
GAE_TASKS_LOCK=write passes "it is written" --lib
listed "the older schema is accepted" "    template: Option<String>" "  accepts 01138b54a788f5ff"
passes "both tests find it right"

edit src/lib.rs 's/^( *)number: u64,$/\1number: u64,\n\1note: String,/'
new="needs an attribute: field \`self.note\` is new, and tasks that wait have no value for it:"
refused "a new field of a receiver" "$new write \`#[serde(default)]\` on it" --test outside
cp src/lib.rs.before src/lib.rs
edit src/lib.rs 's/pub fn send\(&self, to: String\)/pub fn send(to: String)/'
refused "a receiver is gone" "write \`ignores = [\"self\"]\` in the attribute" --test outside
cp src/lib.rs.before src/lib.rs
passes "the receiver is back" --test outside

edit src/lib.rs 's/^( *)from: u64,$/\1SWAP/; s/^( *)to: u64,$/\1from: u64,/; s/SWAP/to: u64,/'
refused "fields change places" \
  "changes the meaning: fields of \`transfer\` of one type have changed places"
GAE_TASKS_LOCK=write passes "it is confirmed" --test outside

edit src/lib.rs 's/cents: u32/cents: String/'
refused "another type" "strands: field \`transfer.cents\`: was \`u32\`, is \`String\`"
GAE_TASKS_LOCK=write refused "a write does not take it" "needs more than a write" --test outside
edit src/lib.rs 's/cents: String/cents: u64/'
refused "a wider type" "compatible" --test outside
GAE_TASKS_LOCK=write passes "a wider type is written" --test outside

edit src/lib.rs 's/^( *)cents: u64,$/\1cents: u64,\n\1note: String,/'
new="field \`transfer.note\` is new, and tasks that wait have no value for it"
refused "a new field" "needs an attribute: $new: write \`#[serde(default)]\` on it"
GAE_TASKS_LOCK=write refused "a write does not take it" "needs more than a write" --test outside
edit src/lib.rs 's/^( *)note: String,$/\1#[serde(default)]\n\1note: String,/'
refused "its default makes it readable" "compatible: field \`transfer.note\` is new" --test outside
GAE_TASKS_LOCK=write passes "the new field is written" --test outside
edit src/lib.rs '/serde\(default\)/d'
refused "its default is gone" "is not accepted: field \`transfer.note\` is new" --test outside
cp src/lib.rs.before src/lib.rs
passes "its default is back" --test outside

edit src/lib.rs 's/reference: String/memo: String/'
refused "a renamed parameter" "write \`#[alias(\"reference\")] memo: String\`" --test outside
edit src/lib.rs 's/memo: String/#[alias("reference")] memo: String/'
GAE_TASKS_LOCK=write passes "with its alias it is written" --test outside
passes "its older name is read" --test outside

edit src/lib.rs 's/memo: String/memo: String, urgent: bool/'
refused "a new parameter" "write \`#[default] urgent: bool\`" --test outside
edit src/lib.rs 's/urgent: bool/#[default(true)] urgent: bool/'
GAE_TASKS_LOCK=write passes "with its default it is written" --test outside

edit src/lib.rs 's/, #\[alias\("reference"\)\] memo: String//'
refused "a parameter is removed" "write \`ignores = [\"memo\"]\` in the attribute" --test outside
edit src/lib.rs 's/queue = "payments"/queue = "payments", ignores = ["memo"]/'
refused "it had another name" "write \`ignores = [\"reference\"]\` in the attribute" --test outside
edit src/lib.rs 's/ignores = \["memo"\]/ignores = ["memo", "reference"]/'
GAE_TASKS_LOCK=write passes "what is ignored may be gone" --test outside

edit src/mail.rs 's/customer: u64/customer: String/'
refused "a parameter of another type" \
  "strands: parameter \`customer\`: was \`u64\`, is \`String\`" --test outside
edit src/mail.rs 's/queue = "emails"/queue = "emails", upgrade = of_number/'
cat >>src/mail.rs <<'END'

/// Customers had numbers.
#[derive(serde::Deserialize)]
struct OfNumber {
    customer: u64,
    template: Option<String>,
}

fn of_number(old: OfNumber) -> SendWelcomeArgs {
    SendWelcomeArgs { customer: old.customer.to_string(), template: old.template }
}
END
refused "an upgrade converts it" \
  "compatible: tasks that wait are converted by the upgrade \`of_number\`" --test outside
GAE_TASKS_LOCK=write passes "what is converted is written" --test outside
passes "both tests find it right"

edit src/lib.rs 's/pub mod mail;/pub mod emails;/'
mv src/mail.rs src/emails.rs
refused "a task moves" 'alias = ["lock_shop.mail/send_welcome"]'
edit src/emails.rs 's/queue = "emails"/queue = "emails", alias = ["lock_shop.mail\/send_welcome"]/'
GAE_TASKS_LOCK=write passes "with its alias it is written" --test outside
listed "the alias" "task lock_shop.emails/send_welcome" "  alias lock_shop.mail/send_welcome"
passes "both tests find it right"

GAE_TASKS_LOCK=write passes "a build with a feature adds its tasks" --features reports
passes "that build finds it right" --features reports
refused "another build has not that task" \
  "strands: the program does not have this task" --test outside
GAE_TASKS_LOCK=write passes "it marks the task" --test outside
listed "a task that may be gone" "  retired"
GAE_TASKS_LOCK=write passes "the build with the feature has it" --features reports
listed "a task of some builds" "  optional"
passes "both builds find it right" --features reports
passes "both builds find it right"

printf '<<<<<<< HEAD\n' >>tasks.lock
refused "a merge conflict" "a merge conflict: keep the lines of both sides" --test outside
GAE_TASKS_LOCK=maybe refused "an unknown value" "GAE_TASKS_LOCK=maybe is unknown" --test outside

echo "$passed passed"
