//! Hears of writes to the log as they happen, those of other processes among them: a worker that rests costs nothing.
//!
//! The kernel tells of them on Linux. Elsewhere nobody listens, and the writer looks for [news](super::news) at intervals.

#[cfg(target_os = "linux")]
pub(super) use self::linux::Listener;
#[cfg(not(target_os = "linux"))]
pub(super) use self::none::Listener;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

    use super::super::inbox::Inbox;
    use super::super::opened::Opened;

    /// The least time between two rings: a writer that is busy writes all the time.
    const LEAST: Duration = Duration::from_millis(5);

    /// A thread that listens; it ends when this is dropped.
    #[derive(Debug)]
    pub(in super::super) struct Listener {
        inotify: Arc<Inotify>,
        log: WatchDescriptor,
    }

    impl Listener {
        /// Rings at the writer whenever the log is written; nobody listens if the system refuses that.
        /// It waits for `deaf` milliseconds before it does.
        pub(in super::super) fn start(opened: &Opened, inbox: &Inbox, deaf: Arc<AtomicU64>) -> Option<Self> {
            let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
            let log = inotify.add_watch(opened.log_path(), AddWatchFlags::IN_MODIFY).ok()?;
            let (heard, inbox) = (Arc::clone(&inotify), inbox.clone());
            thread::Builder::new()
                .name("gae-tasks-hear".to_owned())
                .spawn(move || listen(&heard, &inbox, &deaf))
                .ok()?;
            Some(Self { inotify, log })
        }

        /// Leaves alone what a child has in common with its parent.
        pub(in super::super) fn forget(self) {
            std::mem::forget(self);
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            // The kernel tells of that too, which ends the thread.
            _ = self.inotify.rm_watch(self.log);
        }
    }

    fn listen(inotify: &Inotify, inbox: &Inbox, deaf: &AtomicU64) {
        let mut rung = None;
        while let Ok(events) = inotify.read_events() {
            if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) {
                break;
            }
            let pause = Duration::from_millis(deaf.load(Ordering::Relaxed));
            let is_early = rung.is_some_and(|rung: Instant| rung.elapsed() < LEAST);
            // A commit is heard of before it is done, and what is written meanwhile is heard of afterwards.
            thread::sleep(if is_early { pause.max(LEAST) } else { pause });
            rung = Some(Instant::now());
            inbox.ring();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::super::inbox::Inbox;
    use super::super::opened::Opened;

    /// Nobody.
    #[derive(Debug)]
    pub(in super::super) struct Listener;

    impl Listener {
        pub(in super::super) fn start(_: &Opened, _: &Inbox, _: Arc<AtomicU64>) -> Option<Self> {
            None
        }

        pub(in super::super) fn forget(self) {}
    }
}
