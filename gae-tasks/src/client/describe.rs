//! Shows what a stored task holds, without its handler.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, LazyLock};

use super::Client;
use crate::attributes::Spilled;
use crate::backend::TaskRecord;
use crate::backend::record::unshown;
use crate::error::Error;
use crate::outcome::chain;
use crate::payload::{SensitivePaths, UnreadableError};
use crate::payload_store::{Loaded, load, task_of};
use crate::registry::Registry;
use crate::task::{Kind, Shape, TaskId};
use crate::unwind;

/// The largest payload in a payload store that is loaded to be shown, in bytes.
const MOST: u64 = 1024 * 1024;

/// All tasks of this program, whichever of them a client has: each may mark what is sensitive.
static LINKED: LazyLock<Registry> = LazyLock::new(Registry::linked);

/// A stored task and what it holds, as [`Client::describe`] returns them.
///
/// `Debug` does not show the args.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// The task.
    pub task: TaskRecord,
    /// Its args as JSON, as [`TaskRecord::args_json`] shows them, or why they cannot be shown.
    pub args: Result<String, UnreadableError>,
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description").field("task", &self.task).finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a stored task with its args as JSON, for people; `None` after its end. The function
    /// of the task is not needed, nor any task of this program: the names and the structure of the
    /// args are stored.
    ///
    /// A payload in a payload store is loaded if it has at most 1 MiB. Do not log what is returned:
    /// only what is [marked](macro@crate::deferred#older-payloads) as sensitive is hidden.
    ///
    /// # Errors
    /// [`Error::Storage`]. Why args cannot be shown is [`Description::args`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, deferred};
    ///
    /// #[deferred]
    /// async fn pay(order: u64, #[sensitive] card: String) {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let task = pay::defer(42, "4111 1111 1111 1111").on(&tasks).await?;
    /// let described = tasks.describe(task.id).await?.expect("it waits");
    /// assert_eq!(described.args.as_deref(), Ok(r#"{"order":42,"card":"(sensitive)"}"#));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn describe(&self, id: TaskId) -> Result<Option<Description>, Error> {
        let Some(task) = self.get(id).await? else { return Ok(None) };
        let args = match task.spilled() {
            Some(spilled) => match self.loaded(id, &spilled).await {
                Ok(payload) => task.json_of(&payload),
                Err(error) => Err(error),
            },
            None => task.args_json(),
        };
        Ok(Some(Description { task, args }))
    }

    /// Loads a payload to be shown.
    async fn loaded(&self, id: TaskId, spilled: &Spilled) -> Result<Vec<u8>, UnreadableError> {
        if spilled.length > MOST {
            let (length, key) = (spilled.length, &spilled.key);
            return Err(unshown(format_args!(
                "it has {length} bytes, and at most {MOST} are loaded from a payload store, where \
                 it is `{key}`"
            )));
        }
        // On Cloud Tasks a named task is shown under an id that is made of its name.
        let id = task_of(&spilled.key).unwrap_or(id);
        let store = self.shelf().map(|shelf| &*shelf.store);
        // The store may be user code.
        let loaded = unwind::caught(pin!(Some(load(store, spilled, id, MOST)))).await;
        match loaded {
            Ok(Ok(Loaded::Payload(payload))) => Ok(payload),
            Ok(Ok(Loaded::Done)) => Err(unshown("an attempt has done the task and overwritten it")),
            Ok(Err(error)) => Err(unshown(chain(&error))),
            Err(panic) => Err(unshown(format_args!("the payload store panicked: {panic}"))),
        }
    }

    /// Adds to each record with a payload its schema and the paths of its sensitive values, so that
    /// its args can be shown.
    pub(super) async fn complete(&self, records: &mut [TaskRecord]) -> Result<(), Error> {
        let mut records: Vec<_> =
            records.iter_mut().filter(|record| record.payload.is_some()).collect();
        if records.is_empty() {
            return Ok(());
        }
        let shapes = records.iter().filter(|record| record.schema.is_none());
        let schemas = self.schemas(shapes.map(|record| record.spec.shape).collect()).await?;
        let kinds = records.iter().map(|record| record.spec.kind.clone()).collect();
        let paths = self.sensitive(kinds).await?;
        for record in &mut records {
            if record.schema.is_none() {
                record.schema = schemas.get(&record.spec.shape).cloned();
            }
            let of_kind = paths.get(&record.spec.kind).cloned().unwrap_or_default();
            record.sensitive = Some(union([record.sensitive.take().unwrap_or_default(), of_kind]));
        }
        Ok(())
    }

    /// The schemas of these shapes that are stored.
    async fn schemas(
        &self,
        mut shapes: BTreeSet<Shape>,
    ) -> Result<HashMap<Shape, Arc<[u8]>>, Error> {
        let mut schemas = self.0.schemas.known(&shapes);
        shapes.retain(|shape| !schemas.contains_key(shape));
        if !shapes.is_empty() {
            let shapes: Vec<_> = shapes.into_iter().collect();
            let stored = self.backend().schemas(shapes.clone()).await?;
            let stored = shapes.into_iter().zip(stored);
            let found = stored.filter_map(|(shape, schema)| Some((shape, schema?)));
            let found: HashMap<_, _> = found.collect();
            self.0.schemas.remember(&found);
            schemas.extend(found);
        }
        Ok(schemas)
    }

    /// What is sensitive in tasks of these kinds: as other programs have stored, and as this one
    /// says.
    async fn sensitive(
        &self,
        kinds: BTreeSet<Kind>,
    ) -> Result<HashMap<Kind, SensitivePaths>, Error> {
        let kinds: Vec<_> = kinds.into_iter().collect();
        let stored = self.backend().sensitive(kinds.clone()).await?;
        let both = |(kind, stored): (Kind, SensitivePaths)| {
            let of = |registry: &Registry| {
                let registration = registry.by_kind(kind.as_str());
                registration.map(|task| task.sensitive_paths().clone()).unwrap_or_default()
            };
            let paths = union([stored, of(&LINKED), of(self.registry())]);
            (kind, paths)
        };
        Ok(kinds.into_iter().zip(stored).map(both).collect())
    }
}

fn union<const N: usize>(paths: [SensitivePaths; N]) -> SensitivePaths {
    let all: BTreeSet<_> = paths.iter().flat_map(|paths| paths.iter().cloned()).collect();
    all.into_iter().collect()
}
