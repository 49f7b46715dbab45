//! What is to happen to the answer to one message.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// What becomes of one message's answer, once. Dropping it releases the answer.
#[derive(Debug)]
#[must_use = "the answer is released when this is dropped"]
pub struct Fault {
    stage: Arc<watch::Sender<Stage>>,
}

impl Fault {
    /// Waits until the server has answered the message: what it asked for has happened, and
    /// the client does not know.
    pub async fn answered(&self) {
        let mut stage = self.stage.subscribe();
        stage.wait_for(|stage| *stage >= Stage::Answered).await.expect("the sender is here");
    }

    /// Passes the answer, and from then on everything. An answer that has not come yet is not
    /// withheld any more.
    pub fn release(&self) {
        self.end(Stage::Released);
    }

    /// Cuts the connection instead: the answer is lost.
    pub fn cut(&self) {
        self.end(Stage::Cut);
    }

    fn end(&self, end: Stage) {
        self.stage.send_if_modified(|stage| {
            let goes_on = *stage < Stage::Released;
            *stage = if goes_on { end } else { *stage };
            goes_on
        });
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.release();
    }
}

/// How far a fault is, in order.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Stage {
    Waiting,
    Answered,
    Released,
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Withhold,
    CutAnswer,
}

/// The faults that wait for their messages.
#[derive(Default)]
pub(super) struct Faults {
    waiting: Mutex<Vec<(IsMeant, Met)>>,
}

type IsMeant = Box<dyn FnMut(&[u8]) -> bool + Send>;

impl Faults {
    pub(super) fn withhold(&self, is_meant: impl FnMut(&[u8]) -> bool + Send + 'static) -> Fault {
        self.add(Box::new(is_meant), Kind::Withhold)
    }

    pub(super) fn cut_answer(&self, is_meant: impl FnMut(&[u8]) -> bool + Send + 'static) -> Fault {
        self.add(Box::new(is_meant), Kind::CutAnswer)
    }

    fn add(&self, is_meant: IsMeant, kind: Kind) -> Fault {
        let stage = Arc::new(watch::Sender::new(Stage::Waiting));
        let met = Met { kind, stage: stage.clone() };
        self.waiting.lock().expect("predicates do not panic").push((is_meant, met));
        Fault { stage }
    }

    /// Returns the fault that a message meets, which no other message meets then.
    pub(super) fn meet(&self, message: &[u8]) -> Option<Met> {
        let mut waiting = self.waiting.lock().expect("predicates do not panic");
        waiting.retain(|(_, met)| *met.stage.borrow() == Stage::Waiting);
        let at = waiting.iter_mut().position(|(is_meant, _)| is_meant(message))?;
        Some(waiting.remove(at).1)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

/// A fault whose message has been seen.
#[derive(Clone, Debug)]
pub(super) struct Met {
    kind: Kind,
    stage: Arc<watch::Sender<Stage>>,
}

impl Met {
    /// Holds an answer of so many bytes. Returns how many of them are passed, and nothing if all
    /// are and the connection goes on.
    pub(super) async fn answer(self, bytes: usize) -> Option<usize> {
        self.stage.send_if_modified(|stage| {
            let is_first = *stage < Stage::Answered;
            *stage = if is_first { Stage::Answered } else { *stage };
            is_first
        });
        if self.kind == Kind::CutAnswer {
            return Some(bytes / 2);
        }
        let mut stage = self.stage.subscribe();
        let end = stage.wait_for(|stage| *stage >= Stage::Released).await;
        (*end.expect("the sender is here") == Stage::Cut).then_some(0)
    }
}
