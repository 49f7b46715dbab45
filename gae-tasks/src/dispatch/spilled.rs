//! Makes attempts at tasks whose payload is in a payload store: the payload is loaded first, within
//! the attempt's deadline.

use std::pin::pin;
use std::sync::Arc;

use super::{DeadlineMissed, Dispatcher, Permit, caught};
#[cfg(feature = "push")]
use crate::attributes::Attributes;
use crate::attributes::Spilled;
use crate::context::TaskContext;
use crate::log;
use crate::outcome::{Intent, Outcome};
use crate::payload_store::{Loaded, load};
use crate::routed::Routed;

impl Dispatcher {
    /// Makes one attempt, with loading included in its deadline.
    pub(super) async fn attempt_spilled(
        &self,
        routed: &Routed,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        caught(pin!(Some(self.load_and_attempt(routed, spilled, context, permit)))).await
    }

    async fn load_and_attempt(
        &self,
        routed: &Routed,
        spilled: &Spilled,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let begun = self.clock.monotonic();
        let store = self.payloads.as_ref().map(|shelf| &*shelf.store);
        let loaded = tokio::select! {
            biased;
            loaded = load(store, spilled, context.id(), self.max_stored_payload) => loaded,
            () = context.cancelled() => return Outcome::Released,
            () = self.clock.sleep(context.deadline()) => {
                context.cancel();
                return Outcome::failed(None, DeadlineMissed(context.deadline()).into());
            }
        };
        match loaded {
            Ok(Loaded::Payload(payload)) => {
                let left =
                    context.deadline().saturating_sub(self.clock.monotonic().saturating_sub(begun));
                self.attempt(routed, payload, context, left, permit).await
            }
            Ok(Loaded::Done) => {
                log::say(|| {
                    tracing::info!(
                        key = spilled.key,
                        store = spilled.store,
                        "an earlier attempt has done the task and its answer was lost, so the task \
                         is not run again"
                    );
                });
                Outcome::Done
            }
            Err(error) => {
                Outcome::failed(error.is_final().then_some(Intent::Permanent), error.into())
            }
        }
    }

    /// Overwrites the payload of a pushed task that is done with a marker, as the queue may deliver
    /// the task again.
    #[cfg(feature = "push")]
    pub(crate) async fn mark_done(&self, attributes: Option<&[u8]>) {
        if let (Some(shelf), Some(spilled)) = (&self.payloads, Attributes::spilled_in(attributes)) {
            shelf.mark_done(&spilled.key).await;
        }
    }
}
