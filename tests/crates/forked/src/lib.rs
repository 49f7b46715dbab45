//! A child that is forked from a running test, with all that the process had open and none of its other threads.
#![cfg(unix)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A forked process; dropped, it is killed.
#[derive(Debug)]
pub struct Child(Option<Pid>);

impl Child {
    /// Forks, and has the child do `work` and nothing else: it ends without leaving it.
    ///
    /// # Panics
    /// If there is no room for another process.
    pub fn new(work: impl FnOnce()) -> Self {
        // SAFETY: POSIX lets the child of a process with threads call only what is safe in a signal handler, as locks
        // may be held by threads that it does not have. glibc and musl make allocating safe besides; whether all else
        // that `work` calls keeps clear of such locks is what the tests are about, and they bound how long it may take.
        match unsafe { fork() }.expect("a process can be forked") {
            ForkResult::Parent { child } => Self(Some(child)),
            ForkResult::Child => {
                let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
                // SAFETY: it ends the process at once; what the parent would do at its own end is left to the parent.
                unsafe { nix::libc::_exit(i32::from(panicked)) }
            }
        }
    }

    /// Waits for the end; answers whether it came within `patience`, in order and without a panic.
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
