//! Fuzzes the reader of stored schemas: bytes are a schema, which keeps them and can be shown, or
//! are refused.

use gae_tasks::Schema;

pub(super) fn check(bytes: &[u8]) {
    let schema = match Schema::from_bytes(bytes) {
        Ok(schema) => schema,
        Err(error) => return assert!(error.to_string().starts_with("this is not a schema: ")),
    };
    assert_eq!(schema.as_bytes(), bytes);
    let again = Schema::from_bytes(schema.as_bytes()).expect("what was read can be read again");
    assert_eq!((&again, again.shape()), (&schema, schema.shape()));
    let text = schema.to_string();
    assert_eq!(again.to_string(), text);
    assert!(text.len() <= most(bytes.len()), "{} bytes show as {}", bytes.len(), text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// The longest text of a schema of this many bytes. An enum without variants takes two bytes, and a
/// character that cannot be shown as it is takes at least one.
fn most(len: usize) -> usize {
    16 * len + 16
}
