//! `Debug` for structs with opaque bytes, such as payloads: only the length is shown, because the
//! content may be secret.

use std::fmt;
use std::sync::Arc;

use super::lease::LeasedTask;
use super::record::TaskRecord;
use super::request::NewTask;
use super::settle::ForgottenTask;
use crate::task::Redacted;

/// Opaque bytes as `Debug` shows them: the length, if they were read.
struct Shown<'a>(Option<&'a [u8]>);

impl<'a> From<&'a Vec<u8>> for Shown<'a> {
    fn from(payload: &'a Vec<u8>) -> Self {
        Self(Some(payload))
    }
}

impl<'a> From<&'a Option<Vec<u8>>> for Shown<'a> {
    fn from(payload: &'a Option<Vec<u8>>) -> Self {
        Self(payload.as_deref())
    }
}

impl<'a> From<&'a Arc<[u8]>> for Shown<'a> {
    fn from(schema: &'a Arc<[u8]>) -> Self {
        Self(Some(schema))
    }
}

impl<'a> From<&'a Option<Arc<[u8]>>> for Shown<'a> {
    fn from(schema: &'a Option<Arc<[u8]>>) -> Self {
        Self(schema.as_deref())
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(payload) => Redacted(payload).fmt(f),
            None => f.write_str("not read"),
        }
    }
}

/// Implements `Debug` for a struct with a payload: every field, but only the lengths of the fields
/// in the middle.
macro_rules! debug_without_payload {
    ($type:ident: $($before:ident)*, $($opaque:ident)*, $($after:ident)*) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Destructured, so that a new field cannot be forgotten here.
                let Self { $($before,)* $($opaque,)* $($after),* } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($before), $before))*
                    $(.field(stringify!($opaque), &Shown::from($opaque)))*
                    $(.field(stringify!($after), $after))*
                    .finish()
            }
        }
    };
}
debug_without_payload!(NewTask: spec, payload schema, sensitive schedule on_conflict);
debug_without_payload!(TaskRecord: spec, payload schema, sensitive state created schedule_time
    first_attempt attempts lost_leases lost_attempts refusals refused_by errors died);
debug_without_payload!(LeasedTask: lease spec, payload, schedule_time attempts standing lost_leases
    first_attempt retry alone at_once paid forced);

impl fmt::Debug for ForgottenTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, attributes } = self;
        f.debug_struct("ForgottenTask")
            .field("id", id)
            .field("attributes", &attributes.as_deref().map(Redacted))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Enqueue, LeaseRef, LeaseToken, Leased};
    use crate::queue::QueueName;
    use crate::task::{Kind, Shape, TaskId, TaskSpec};
    use crate::time::{Now, Timestamp};

    fn spec(attributes: Option<Vec<u8>>) -> TaskSpec {
        let (id, kind) = (TaskId::from_bytes([1; 16]), Kind::from_static("shop/send"));
        TaskSpec { attributes, ..TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT) }
    }

    fn leased(payload: &[u8], attributes: Option<Vec<u8>>) -> LeasedTask {
        let spec = spec(attributes);
        let lease = LeaseRef::new(spec.id, LeaseToken::from_bits(1));
        LeasedTask::new(lease, spec, payload.to_vec(), Timestamp::from_micros(0))
    }

    #[test]
    fn debug_tells_of_opaque_bytes_only_how_many() {
        let text = format!("{:?}", leased(&[201; 67], Some(vec![202; 3])));
        assert!(
            text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"),
            "{text}"
        );
        assert!(
            text.contains("shop/send") && !text.contains("201") && !text.contains("202"),
            "{text}"
        );
        let pretty = format!("{:#?}", Leased::new(vec![leased(&[201; 67], None)], None));
        assert!(pretty.contains("payload: 67 bytes") && !pretty.contains("201"), "{pretty}");
    }

    #[test]
    fn debug_of_what_was_forgotten_hides_bytes_too() {
        let mut swept = crate::backend::Swept::default();
        swept
            .forgotten_tasks
            .push(ForgottenTask::new(TaskId::from_bytes([1; 16]), Some(vec![202; 3])));
        let text = format!("{swept:?}");
        assert!(text.contains("attributes: Some(3 bytes)") && !text.contains("202"), "{text}");
    }

    #[test]
    fn debug_of_new_and_stored_tasks_hides_bytes_too() {
        let new = NewTask::new(spec(Some(vec![202; 3])), vec![201; 67], [203; 5]);
        let memory = crate::backend::memory::Memory::new();
        let request = Enqueue::new(Now::At(Timestamp::from_micros(0)), vec![new.clone()]);
        let texts = [format!("{new:?}"), format!("{request:?}"), {
            pollster::block_on(crate::backend::Backend::enqueue(&memory, request))
                .expect("memory stores it");
            format!(
                "{:?}",
                pollster::block_on(crate::backend::Backend::get(&memory, new.spec.id))
                    .expect("memory reads it")
            )
        }];
        for text in &texts {
            assert!(
                text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"),
                "{text}"
            );
            assert!(!text.contains("201") && !text.contains("202"), "{text}");
        }
        assert!(texts[0].contains("schema: 5 bytes") && !texts[0].contains("203"), "{texts:?}");
    }
}
