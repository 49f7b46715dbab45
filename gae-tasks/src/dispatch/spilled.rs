//! Attempts at tasks whose payload is in a payload store: it is loaded before and deleted after.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::{DeadlineMissed, Dispatcher, Permit, caught};
use crate::attributes::{Attributes, Spilled};
use crate::context::TaskContext;
use crate::log;
use crate::outcome::Outcome;
use crate::payload_store::load;
use crate::registration::Registration;

/// How long deleting a payload may take that nobody needs any more: what is left is swept later.
const DELETE_LIMIT: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// One attempt, loading included in its deadline.
    pub(super) async fn attempt_spilled(
        &self,
        registration: &Registration,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let outcome = caught(pin!(Some(self.load_and_attempt(registration, spilled, context, permit)))).await;
        if matches!(outcome, Outcome::Done) {
            self.delete(spilled).await;
        }
        outcome
    }

    async fn load_and_attempt(
        &self,
        registration: &Registration,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let begun = self.clock.monotonic();
        let loaded = tokio::select! {
            biased;
            loaded = load(self.payloads.as_deref(), spilled) => loaded,
            () = context.cancelled() => return Outcome::Released,
            () = self.clock.sleep(context.deadline()) => {
                context.cancel();
                return Outcome::failed(None, DeadlineMissed(context.deadline()).into());
            }
        };
        match loaded {
            Ok(Some(payload)) => {
                let left = context.deadline().saturating_sub(self.clock.monotonic().saturating_sub(begun));
                self.attempt(registration, payload, context, left, permit).await
            }
            // It is deleted when an attempt has succeeded: that one's answer was lost, and this is the same task again.
            Ok(None) => {
                log::say(|| {
                    tracing::warn!(
                        key = spilled.key,
                        store = spilled.store,
                        "its payload is gone, as after an attempt that succeeded: taken for done, nothing is run"
                    );
                });
                Outcome::Done
            }
            Err(error) => Outcome::failed(None, error.into()),
        }
    }

    /// Deletes what was kept for a task that is over.
    pub(crate) async fn forget(&self, attributes: &[u8]) {
        if let Some(spilled) = Attributes::spilled_in(Some(attributes)) {
            self.delete(&spilled).await;
        }
    }

    async fn delete(&self, spilled: &Spilled) {
        let Some(store) = &self.payloads else { return };
        let delete = async {
            let deleted = tokio::select! {
                biased;
                deleted = store.delete(&spilled.key) => deleted,
                () = self.clock.sleep(DELETE_LIMIT) => Err("no answer".into()),
            };
            if let Err(error) = deleted {
                log::say(|| {
                    tracing::warn!(
                        key = spilled.key,
                        error = crate::outcome::chain(error.as_ref()),
                        "cannot delete the payload of a task that is over: it is left to a sweep of payloads"
                    );
                });
            }
            Outcome::Done
        };
        // The store may be the user's own code.
        _ = caught(pin!(Some(delete))).await;
    }
}
