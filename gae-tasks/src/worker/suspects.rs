//! How many suspects a worker runs at once: one at first, and twice as many with each that survives.
//!
//! A suspect may kill its worker, and every suspect that runs beside it is suspected more for it. So they begin one at a
//! time; and as one after the other turns out to be innocent, it is likelier that the next ones are.

/// More than this are no suspects any more.
const MOST: usize = 1 << 20;

/// How many suspects may run at once.
#[derive(Debug)]
pub(super) struct Window(usize);

/// The suspects that a worker has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suspects {
    pub(super) held: usize,
    /// Those of them beside which no other one may be leased.
    alone: usize,
}

impl Suspects {
    /// Counts a task in, if it is a suspect.
    pub(super) fn add(&mut self, suspect: bool, alone: bool) {
        self.held += usize::from(suspect);
        self.alone += usize::from(alone);
    }

    /// Counts a task out, if it is a suspect.
    pub(super) fn remove(&mut self, suspect: bool, alone: bool) {
        self.held -= usize::from(suspect);
        self.alone -= usize::from(alone);
    }
}

impl Default for Window {
    fn default() -> Self {
        Self(1)
    }
}

impl Window {
    /// How many more may be leased beside these.
    pub(super) const fn room(&self, suspects: Suspects) -> usize {
        if suspects.alone > 0 { 0 } else { self.0.saturating_sub(suspects.held) }
    }

    /// Notes that an attempt at a suspect has ended, in whatever way, and its worker lives.
    pub(super) fn survived(&mut self) {
        self.0 = self.0.saturating_mul(2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(window: &Window, held: usize, isolated: bool) -> usize {
        window.room(Suspects { held, alone: usize::from(isolated) })
    }

    #[test]
    fn suspects_begin_one_at_a_time() {
        let window = Window::default();
        assert_eq!((beside(&window, 0, false), beside(&window, 1, true), beside(&window, 1, false)), (1, 0, 0));
    }

    #[test]
    fn each_survivor_doubles_the_room() {
        let mut window = Window::default();
        for room in [2, 4, 8] {
            window.survived();
            assert_eq!((beside(&window, 0, false), beside(&window, 1, false)), (room, room - 1));
        }
        (0..100).for_each(|_| window.survived());
        assert_eq!(beside(&window, 0, false), MOST);
    }

    #[test]
    fn nothing_is_leased_beside_an_isolated_one() {
        let mut window = Window::default();
        (0..10).for_each(|_| window.survived());
        assert_eq!(beside(&window, 1, true), 0);
    }
}
