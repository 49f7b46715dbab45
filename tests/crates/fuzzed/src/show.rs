//! Fuzzes what people are shown of a payload: the first byte is the length of its schema, then come
//! the schema and the payload.

use gae_tasks::{Kind, QueueName, Schema, TaskId, TaskRecord, TaskSpec, Timestamp};

pub(super) fn check(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let Some((schema, payload)) = rest.split_at_checked(usize::from(*length)) else { return };
    let Ok(read) = Schema::from_bytes(schema) else { return };
    let kind = Kind::new("fuzzed/task").expect("a kind");
    let spec = TaskSpec::new(TaskId::from_bytes([1; 16]), kind, read.shape(), QueueName::DEFAULT);
    let mut record = TaskRecord::new(spec, Some(payload.to_vec()), Timestamp::from_micros(0));
    record.schema = Some(schema.into());
    for paths in [&[][..], &["a", "card.number"], &[""]] {
        record.sensitive = Some(paths.iter().map(|path| Box::from(*path)).collect());
        if let Ok(json) = record.args_json() {
            assert!(json.len() <= 100_000 + 300 * bytes.len(), "{} bytes", json.len());
            let read: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            assert!(read.is_object());
        }
    }
}
