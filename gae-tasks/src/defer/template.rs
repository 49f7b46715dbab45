//! Turns a call into what a schedule stores: the task that each of its ticks makes.

use super::Defer;
use crate::attributes::{Attributes, checksum};
use crate::backend::NewTask;
use crate::client::Client;
use crate::error::Error;
use crate::time::Schedule;

impl Defer {
    /// Checks the options, and returns the task that each tick of the schedule `name` stores. It is
    /// the same whoever makes it, and when.
    pub(crate) fn template(mut self, client: &Client, name: &str) -> Result<NewTask, Error> {
        let refused = |option, problem: &str| {
            let (kind, problem) = (self.kind().to_owned(), problem.to_owned());
            Err(Error::InvalidOption { kind, option, problem })
        };
        if self.name.is_some() {
            return refused(".named(..)", "is refused in a schedule: each tick names its own task");
        }
        if self.must_be_new {
            return refused(".must_be_new()", "is refused in a schedule: each tick is a new task");
        }
        if self.schedule != Schedule::Now {
            let problem = "is refused in a schedule, which says when its tasks are due";
            return refused(".at(..)` or `.after(..)", problem);
        }
        if self.options.as_ref().is_some_and(|options| options.unique.is_some()) {
            return refused(
                ".unique(..)",
                "is refused in a schedule: each tick names its own task",
            );
        }
        // Of several queues, the schedule has always the same one.
        self.name = Some(format!("{:016x}", checksum(name.as_bytes())));
        let mut task = self.prepare(client)?.task;
        task.spec.name = None;
        task.spec.attributes = untraced(task.spec.attributes);
        if client.spills(&task) {
            return Err(too_large(client, name, &task));
        }
        Ok(task)
    }
}

/// The attributes without the trace of the code that makes the schedule: ticks are none of it.
fn untraced(attributes: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match Attributes::decode(attributes.as_deref()) {
        Some(known) => Attributes { traceparent: None, ..known }.encode(),
        None => attributes,
    }
}

fn too_large(client: &Client, name: &str, task: &NewTask) -> Error {
    let (size, kind) = (task.payload.len(), &task.spec.kind);
    let problem = format!(
        "has args of `{kind}` of {size} bytes, which the `{}` backend does not store with a task: \
         a tick puts nothing into a payload store, so store the data elsewhere and give the task a \
         reference to it",
        client.capabilities().backend
    );
    Error::Schedule { name: name.to_owned(), problem }
}
