//! Forks a child from a running test, with the process's open files and without its other threads.
#![cfg(unix)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A forked process, killed on drop.
#[derive(Debug)]
pub struct Child(Option<Pid>);

impl Child {
    /// Forks a child that only does `work` and then ends.
    ///
    /// # Panics
    /// Panics if the system refuses another process.
    pub fn new(work: impl FnOnce()) -> Self {
        // SAFETY: POSIX lets the child of a process with threads call only functions that are safe
        // in a signal handler, because threads that the child does not have may hold locks. glibc
        // and musl also make allocation safe. The tests check that no other function called by
        // `work` waits for such a lock, and limit the time `work` may take.
        match unsafe { fork() }.expect("a process can be forked") {
            ForkResult::Parent { child } => Self(Some(child)),
            ForkResult::Child => {
                let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
                // SAFETY: `_exit` ends the process at once, without the exit handlers, which belong
                // to the parent.
                unsafe { nix::libc::_exit(i32::from(panicked)) }
            }
        }
    }

    /// Waits for the child's end; returns whether it ended within `patience`, normally and without
    /// a panic.
    pub fn has_succeeded_within(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while let Some(child) = self.0 {
            match waitpid(child, Some(WaitPidFlag::WNOHANG)).expect("the child is ours") {
                WaitStatus::StillAlive if begun.elapsed() > patience => return false,
                WaitStatus::StillAlive => thread::sleep(Duration::from_millis(1)),
                status => {
                    self.0 = None;
                    return matches!(status, WaitStatus::Exited(_, 0));
                }
            }
        }
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            _ = kill(child, Signal::SIGKILL);
            _ = waitpid(child, None);
        }
    }
}
