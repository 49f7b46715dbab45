//! Listens for writes to the log as they happen, also by other processes, so that an idle worker
//! costs nothing.
//!
//! Linux reports such writes. On other systems the writer looks for [news](super::news) at
//! intervals.

use std::sync::atomic::{AtomicBool, AtomicU64};

#[cfg(target_os = "linux")]
pub(super) use self::linux::Listener;
#[cfg(not(target_os = "linux"))]
pub(super) use self::none::Listener;

/// The state that the writer and its listener share.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// Whether the listener runs; if not, the writer looks at intervals.
    pub(super) is_on: AtomicBool,
    /// How many milliseconds the listener waits before it rings.
    pub(super) pause: AtomicU64,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::errno::Errno;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

    use super::super::inbox::Inbox;
    use super::super::opened::Opened;
    use super::Listening;

    /// The minimum time between two rings: a busy writer writes all the time.
    const LEAST: Duration = Duration::from_millis(5);

    /// After this long without a ring, the next write is reported at once.
    const SILENCE: Duration = Duration::from_millis(250);

    /// A thread that listens for writes; dropping this ends the thread.
    #[derive(Debug)]
    pub(in super::super) struct Listener {
        inotify: Arc<Inotify>,
        log: WatchDescriptor,
    }

    impl Listener {
        /// Starts a thread that rings at the writer whenever the log is written; `None` if the
        /// system refuses a watch.
        pub(in super::super) fn start(
            opened: &Opened,
            inbox: &Inbox,
            listening: &Arc<Listening>,
        ) -> Option<Self> {
            let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
            let log = inotify.add_watch(opened.log_path(), AddWatchFlags::IN_MODIFY).ok()?;
            let (heard, inbox, of_thread) =
                (Arc::clone(&inotify), inbox.clone(), Arc::clone(listening));
            listening.is_on.store(true, Ordering::Relaxed);
            let run = move || {
                listen(&heard, &inbox, &of_thread);
                // From now on the writer looks at intervals.
                of_thread.is_on.store(false, Ordering::Relaxed);
                inbox.ring();
            };
            let started = thread::Builder::new().name("gae-tasks-hear".to_owned()).spawn(run);
            listening.is_on.fetch_and(started.is_ok(), Ordering::Relaxed);
            started.ok().map(|_| Self { inotify, log })
        }

        /// Leaks the resources that a forked child shares with its parent.
        pub(in super::super) fn forget(self) {
            std::mem::forget(self);
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // The kernel reports the removal as an event, which ends the thread.
            _ = self.inotify.rm_watch(self.log);
        }
    }

    fn listen(inotify: &Inotify, inbox: &Inbox, listening: &Listening) {
        let mut rung: Option<Instant> = None;
        loop {
            match inotify.read_events() {
                Ok(events)
                    if events
                        .iter()
                        .any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) =>
                {
                    return;
                }
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            }
            let pause = Duration::from_millis(listening.pause.load(Ordering::Relaxed));
            // The commit ends during the pause, and the kernel keeps reports of further writes for
            // the next round.
            thread::sleep(match rung.map(|rung| rung.elapsed()) {
                Some(since) if since < LEAST => pause.max(LEAST),
                Some(since) if since < SILENCE => pause,
                _ => Duration::from_millis(1),
            });
            rung = Some(Instant::now());
            inbox.ring();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::sync::Arc;

    use super::super::inbox::Inbox;
    use super::super::opened::Opened;
    use super::Listening;

    /// The listener of systems without support for listening.
    #[derive(Debug)]
    pub(in super::super) struct Listener;

    impl Listener {
        pub(in super::super) fn start(_: &Opened, _: &Inbox, _: &Arc<Listening>) -> Option<Self> {
            None
        }

        pub(in super::super) fn forget(self) {}
    }
}
