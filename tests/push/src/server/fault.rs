//! What goes wrong on demand.

use std::collections::{HashMap, VecDeque};

/// How a call to the server goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not carried out, and answered with this status in Google's words.
    Refuse(u16),
    /// It is not carried out, and answered with this status by something that is not Google.
    Proxy(u16),
    /// It is carried out, but the connection ends before the answer.
    LoseAnswer,
    /// It is carried out, but the answer never comes.
    NeverAnswer,
}

/// What goes wrong with which calls.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: HashMap<&'static str, VecDeque<Fault>>,
    always: HashMap<&'static str, Fault>,
    /// How often each call was made, faults included.
    calls: HashMap<&'static str, usize>,
}

impl Faults {
    pub(super) fn push(&mut self, call: &'static str, fault: Fault) {
        self.next.entry(call).or_default().push_back(fault);
    }

    pub(super) fn always(&mut self, call: &'static str, fault: Fault) {
        self.always.insert(call, fault);
    }

    /// Counts the call, and says what goes wrong with it.
    pub(super) fn take(&mut self, call: &'static str) -> Option<Fault> {
        *self.calls.entry(call).or_default() += 1;
        let next = self.next.get_mut(call).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(call).copied())
    }

    pub(super) fn calls(&self, call: &str) -> usize {
        self.calls.get(call).copied().unwrap_or_default()
    }
}
