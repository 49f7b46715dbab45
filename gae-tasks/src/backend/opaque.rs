//! `Debug` of what holds a payload: it tells of opaque bytes only how many, as they may hold what nobody should see.

use std::fmt;

use super::lease::{LeasedTask, Swept};
use super::record::TaskRecord;
use super::request::NewTask;

/// Opaque bytes in a `Debug` text: their length only, as they may hold what nobody should see.
pub(crate) struct Hidden<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// `Debug` for a struct with a payload and attributes: every field, but of those two the length only.
macro_rules! debug_without_bytes {
    ($type:ident: $($before:ident)*, payload, $($after:ident)*, attributes $(, $last:ident)*) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Taken apart, so that a new field cannot be forgotten here.
                let Self { $($before,)* payload, $($after,)* attributes $(, $last)* } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($before), $before))*
                    .field("payload", &Hidden(payload))
                    $(.field(stringify!($after), $after))*
                    .field("attributes", &attributes.as_deref().map(Hidden))
                    $(.field(stringify!($last), $last))*
                    .finish()
            }
        }
    };
}
debug_without_bytes!(NewTask: id kind shape, payload, queue name schedule max_attempts retry deadline, attributes);
debug_without_bytes!(TaskRecord: id kind shape, payload, queue name state created schedule_time first_attempt attempts
    lost_leases lost_attempts max_attempts retry deadline, attributes, errors, died);
debug_without_bytes!(LeasedTask: lease kind shape, payload, queue name schedule_time attempts standing alone deadline,
    attributes);

impl fmt::Debug for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recovered, died, forgotten, shortened, attributes, more, held } = self;
        f.debug_struct("Swept")
            .field("recovered", recovered)
            .field("died", died)
            .field("forgotten", forgotten)
            .field("shortened", shortened)
            .field("attributes", &attributes.len())
            .field("more", more)
            .field("held", held)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Enqueue, LeaseRef, LeaseToken, Leased, Standing};
    use crate::queue::QueueName;
    use crate::task::{Kind, Shape, TaskId};
    use crate::time::{Now, Schedule, Timestamp};

    fn leased(payload: &[u8], attributes: Option<Vec<u8>>) -> LeasedTask {
        LeasedTask {
            lease: LeaseRef { id: TaskId::from_bytes([1; 16]), token: LeaseToken::from_bits(1) },
            kind: Kind::from_static("shop/send"),
            shape: Shape::from_bits(7),
            payload: payload.to_vec(),
            queue: QueueName::DEFAULT,
            name: None,
            schedule_time: Timestamp::from_micros(0),
            attempts: 0,
            standing: Standing::Clear,
            alone: false,
            deadline: None,
            attributes,
        }
    }

    #[test]
    fn debug_tells_of_opaque_bytes_only_how_many() {
        let text = format!("{:?}", leased(&[201; 67], Some(vec![202; 3])));
        assert!(text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"), "{text}");
        assert!(text.contains("shop/send") && !text.contains("201") && !text.contains("202"), "{text}");
        let pretty = format!("{:#?}", Leased::new(vec![leased(&[201; 67], None)], None));
        assert!(pretty.contains("payload: 67 bytes") && !pretty.contains("201"), "{pretty}");
    }

    #[test]
    fn debug_of_new_and_stored_tasks_hides_bytes_too() {
        let new = NewTask {
            id: TaskId::from_bytes([1; 16]),
            kind: Kind::from_static("shop/send"),
            shape: Shape::from_bits(7),
            payload: vec![201; 67],
            queue: QueueName::DEFAULT,
            name: None,
            schedule: Schedule::Now,
            max_attempts: None,
            retry: None,
            deadline: None,
            attributes: Some(vec![202; 3]),
        };
        let memory = crate::backend::memory::Memory::new();
        let request = Enqueue { now: Now::At(Timestamp::from_micros(0)), tasks: vec![new.clone()] };
        let texts = [format!("{new:?}"), format!("{request:?}"), {
            pollster::block_on(crate::backend::Backend::enqueue(&memory, request)).expect("memory stores it");
            format!("{:?}", pollster::block_on(crate::backend::Backend::get(&memory, new.id)).expect("memory reads it"))
        }];
        for text in texts {
            assert!(text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"), "{text}");
            assert!(!text.contains("201") && !text.contains("202"), "{text}");
        }
    }
}
