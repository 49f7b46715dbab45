//! The known keys, and when to fetch them again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::KeySource;
use super::jwks::{KeySet, usable};
use super::unknown::Unknown;
use crate::clock::Clock;
use crate::log;
use crate::push::verify::Refused;

/// A fetch that takes longer has failed.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// How long keys are fresh if their source does not say.
const MAX_AGE: Duration = Duration::from_secs(3600);
const LEAST_MAX_AGE: Duration = Duration::from_secs(60);
const MOST_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The time after [`MAX_AGE`] in which stale keys are used while new keys are fetched; later, a
/// token waits for the fetch.
const GRACE: Duration = Duration::from_secs(3600);

/// How long keys are used at most while no new keys can be fetched.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The pause after a failed fetch, doubled each time.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(60);

/// The keys of one issuer. Fetches are separate tasks, so they end whether or not the caller waits.
pub(super) struct Keys(Arc<Shared>);

struct Shared {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    /// The least time from one fetch to the next.
    interval: Duration,
    /// Never held across an await.
    state: Mutex<State>,
}

/// All moments are on the monotonic clock.
#[derive(Default)]
struct State {
    /// The last good keys.
    keys: KeySet,
    fetched: Duration,
    fresh_until: Duration,
    /// No fetch begins before this moment.
    next_fetch: Duration,
    /// The number of failed fetches since the last good one.
    failures: u32,
    unknown: Unknown,
    /// Open as long as a fetch is running, however it ends.
    flight: Option<Flight>,
}

impl State {
    /// Whether there are keys that are not too old.
    fn has_keys(&self, now: Duration) -> bool {
        !self.keys.is_empty() && now < self.fetched + KEPT
    }
}

type Flight = watch::Receiver<()>;

enum Lookup {
    Known(Arc<DecodingKey>),
    /// A running fetch may bring the key.
    Wait(Flight),
    Refuse(Refused),
}

impl Keys {
    pub(super) fn new(
        source: Arc<dyn KeySource>,
        clock: Arc<dyn Clock>,
        interval: Duration,
    ) -> Self {
        Self(Arc::new(Shared { source, clock, interval, state: Mutex::default() }))
    }

    /// Returns the key with this id.
    pub(super) async fn find(&self, id: &str) -> Result<Arc<DecodingKey>, Refused> {
        // The running fetch may have begun before the key was published: one more fetch may follow.
        for has_waited in [false, true, true] {
            match self.0.look(id, has_waited) {
                Lookup::Known(key) => return Ok(key),
                Lookup::Refuse(refused) => return Err(refused),
                // Closed when the fetch ends: nothing is ever sent.
                Lookup::Wait(mut flight) => _ = flight.changed().await,
            }
        }
        Err(Refused::new("the issuer's keys are being fetched"))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.0.source).finish()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(self: &Arc<Self>, id: &str, has_waited: bool) -> Lookup {
        let now = self.clock.monotonic();
        let mut state = self.state();
        let Some(key) = state.keys.get(id).filter(|_| state.has_keys(now)).cloned() else {
            return self.look_for_unknown(&mut state, id, now, has_waited);
        };
        if now < state.fresh_until {
            return Lookup::Known(key);
        }
        let flight = self.flight(&mut state, now);
        // While fetches fail, tokens with known keys do not wait.
        let must_wait = now >= state.fresh_until + GRACE && state.failures == 0 && !has_waited;
        match flight {
            Some(flight) if must_wait => Lookup::Wait(flight),
            _ => Lookup::Known(key),
        }
    }

    fn look_for_unknown(
        self: &Arc<Self>,
        state: &mut State,
        id: &str,
        now: Duration,
        has_waited: bool,
    ) -> Lookup {
        if state.unknown.has(id, now) {
            return Lookup::Refuse(Refused::new("the issuer has no key with the token's key id"));
        }
        // While fetches fail and there are known keys, a token with an unknown key does not keep
        // its request open.
        let is_hopeless = state.failures > 0 && state.has_keys(now);
        match self.flight(state, now) {
            Some(flight) if !is_hopeless => return Lookup::Wait(flight),
            _ => {}
        }
        if state.failures > 0 || state.keys.is_empty() {
            return Lookup::Refuse(Refused::new("the issuer's keys could not be fetched"));
        }
        if has_waited {
            state.unknown.insert(id, now);
        }
        Lookup::Refuse(Refused::new(
            "the token's key is not among the issuer's keys, which were fetched just now",
        ))
    }

    /// The running fetch; starts one if none is running and one is allowed.
    fn flight(self: &Arc<Self>, state: &mut State, now: Duration) -> Option<Flight> {
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return Some(flight.clone());
        }
        if now < state.next_fetch {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let (open, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        // Set before the fetch begins: a source that panics is not asked again at once.
        state.next_fetch = now + self.interval;
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let fetched = shared.fetch().await;
            shared.land(fetched);
            drop(open);
        });
        Some(flight)
    }

    async fn fetch(&self) -> Result<(KeySet, Duration), String> {
        let fetched = tokio::select! {
            biased;
            fetched = self.source.fetch() => fetched.map_err(|error| format!("{error:?}"))?,
            () = self.clock.sleep(FETCH_LIMIT) => return Err(format!(
                "no answer within {FETCH_LIMIT:?}"
            )),
        };
        let max_age = fetched.max_age.unwrap_or(MAX_AGE).clamp(LEAST_MAX_AGE, MOST_MAX_AGE);
        Ok((usable(&fetched.jwks)?, max_age))
    }

    fn land(&self, fetched: Result<(KeySet, Duration), String>) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        match fetched {
            Ok((keys, max_age)) => {
                (state.keys, state.fetched, state.fresh_until) = (keys, now, now + max_age);
                (state.failures, state.next_fetch) = (0, now + self.interval);
            }
            Err(problem) => {
                state.failures = state.failures.saturating_add(1);
                let pause =
                    LEAST_PAUSE.saturating_mul(1 << (state.failures - 1).min(16)).min(MOST_PAUSE);
                state.next_fetch = now + pause;
                let known = state.keys.len();
                drop(state);
                log::say(|| {
                    tracing::warn!(
                        source = ?self.source, known,
                        "the issuer's keys could not be fetched: {problem}"
                    )
                });
            }
        }
    }
}
