//! Attempts at tasks whose payload is in a payload store: it is loaded first, under the attempt's deadline.

use std::pin::pin;
use std::sync::Arc;

use super::{DeadlineMissed, Dispatcher, Permit, caught};
#[cfg(feature = "push")]
use crate::attributes::Attributes;
use crate::attributes::Spilled;
use crate::context::TaskContext;
use crate::log;
use crate::outcome::Outcome;
use crate::payload_store::load;
use crate::registration::Registration;

impl Dispatcher {
    /// One attempt, loading included in its deadline.
    pub(super) async fn attempt_spilled(
        &self,
        registration: &Registration,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        caught(pin!(Some(self.load_and_attempt(registration, spilled, context, permit)))).await
    }

    async fn load_and_attempt(
        &self,
        registration: &Registration,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let begun = self.clock.monotonic();
        let store = self.payloads.as_ref().map(|shelf| &*shelf.store);
        let loaded = tokio::select! {
            biased;
            loaded = load(store, spilled) => loaded,
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

    /// Deletes the payload of a task that is over, where no wrapper of a backend does.
    #[cfg(feature = "push")]
    pub(crate) async fn forget(&self, attributes: Option<&[u8]>) {
        if let (Some(shelf), Some(spilled)) = (&self.payloads, Attributes::spilled_in(attributes)) {
            shelf.forget(&[spilled.key]).await;
        }
    }
}
