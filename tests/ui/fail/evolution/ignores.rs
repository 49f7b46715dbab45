use gae_tasks::deferred;

#[deferred(ignores = [
    "transfer",
    "sum",
    "note",
    "note",
    "note.text",
    "trasfer.note",
    "transfer..note",
    "",
    "transfer.lines[].note",
    "my note",
    "transfer.note",
])]
async fn send(transfer: (u64, u64), #[alias("sum")] cents: u64) {
    _ = (transfer, cents);
}

fn main() {}
