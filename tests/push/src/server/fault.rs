//! Faults planned by a test.

use std::collections::{HashMap, VecDeque};

/// How a call to the server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The call is not carried out, and answered with this status in Google's form.
    Refuse(u16),
    /// The call is not carried out, and answered with this status by a server that is not Google's.
    Proxy(u16),
    /// The call is carried out, but the connection ends before the response.
    LoseAnswer,
    /// The call is carried out, but the response never comes.
    NeverAnswer,
}

/// The planned faults, by call.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: HashMap<&'static str, VecDeque<Fault>>,
    always: HashMap<&'static str, Fault>,
    /// The number of calls by name, including failed ones.
    calls: HashMap<&'static str, usize>,
}

impl Faults {
    pub(super) fn push(&mut self, call: &'static str, fault: Fault) {
        self.next.entry(call).or_default().push_back(fault);
    }

    pub(super) fn always(&mut self, call: &'static str, fault: Fault) {
        self.always.insert(call, fault);
    }

    /// Counts the call and returns its fault.
    pub(super) fn take(&mut self, call: &'static str) -> Option<Fault> {
        *self.calls.entry(call).or_default() += 1;
        let next = self.next.get_mut(call).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(call).copied())
    }

    pub(super) fn calls(&self, call: &str) -> usize {
        self.calls.get(call).copied().unwrap_or_default()
    }
}
