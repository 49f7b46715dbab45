//! The synced content of the disk, and what a loss of power may make of the rest.

use std::fs;
use std::io::{Read, Seek};
use std::mem;
use std::path::{Path, PathBuf};

use proptest::prelude::Rng;
use rusqlite::Connection;

use super::Dice;
use super::check::state;

/// The unit that a disk writes atomically.
const SECTOR: usize = 512;

/// The length of the log's header, which changes only when the log is begun anew.
const HEADER: usize = 32;

/// The contents of both files.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) database: Vec<u8>,
    pub(super) log: Vec<u8>,
}

/// The files as a loss of power may leave them.
pub(super) struct Image {
    pub(super) files: Files,
    /// The shared memory file, if it still exists.
    pub(super) shared: Option<Vec<u8>>,
    /// The states that opening the files may show; `None` if not all of them are known.
    pub(super) states: Option<Vec<u64>>,
    /// Whether the call of the step had been answered before the loss.
    pub(super) is_answered: bool,
    /// Whether a worker must show that it can drain the queue.
    pub(super) is_drained: bool,
}

/// The files of a program, observed step by step.
pub(super) struct Disk {
    // Never closed while the file is in use, because closing drops the locks of this process.
    opened: [fs::File; 2],
    reader: Connection,
    now: Files,
    state: u64,
    /// The synced contents.
    synced: Files,
    /// The states since the last sync, the synced one first; `None` stands for states that were not
    /// observed.
    states: Vec<Option<u64>>,
    /// How often power was lost while the log was written, while the log was copied, and after the
    /// step.
    pub(super) losses: [usize; 3],
}

impl Disk {
    pub(super) fn new(file: PathBuf) -> Self {
        let reader = Connection::open(&file).unwrap();
        let mut opened = [&file, &beside(&file, "-wal")].map(|path| fs::File::open(path).unwrap());
        let now = read(&mut opened);
        let state = state(&reader);
        Self {
            opened,
            reader,
            synced: now.clone(),
            now,
            state,
            states: vec![Some(state)],
            losses: [0; 3],
        }
    }

    /// Copies the log into the database, as far as possible without waiting.
    pub(super) fn copy_log(&self) {
        self.reader.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    }

    /// Observes what a step did to the files, and simulates losses of power within the step and
    /// after it.
    pub(super) fn images(
        &mut self,
        dice: &mut Dice,
        is_one_commit: bool,
        is_synced: bool,
    ) -> Vec<Image> {
        let before = mem::replace(&mut self.now, read(&mut self.opened));
        let state_before = mem::replace(&mut self.state, state(&self.reader));
        let begun_anew = before.log.get(..HEADER) != self.now.log.get(..HEADER);
        let copied = before.database != self.now.database;
        let mut images = Vec::new();
        if begun_anew && is_one_commit {
            images.extend(
                (dice.roll(2) == 0).then(|| torn_header(dice, &before, &self.now, state_before)),
            );
            // Everything in the log is in the database, and the new header is synced.
            self.synced = before.clone();
            self.synced.log[..HEADER].copy_from_slice(&self.now.log[..HEADER]);
            self.states = vec![Some(state_before)];
        }
        if !is_one_commit {
            self.states.push(None);
        }
        self.states.push(Some(self.state));
        // With more than one commit, the log may have been begun anew or copied in between, and
        // those files were not observed.
        let is_seen = is_one_commit || !(begun_anew || copied);
        if is_seen && self.synced.log != self.now.log && dice.roll(3) > 0 {
            images.push(self.lost_in_the_log(dice));
        }
        if copied && is_one_commit {
            images.push(self.lost_in_the_copy(dice, &before));
        }
        // A transaction that wrote nothing syncs nothing.
        if copied || is_synced && before.log != self.now.log {
            self.synced = self.now.clone();
            self.states = vec![Some(self.state)];
        }
        if dice.roll(4) == 0 {
            images.push(self.lost_afterwards(dice));
        }
        images
    }

    /// Power is lost while the log is written: the database is as at the last sync of the log, the
    /// log is written in part.
    fn lost_in_the_log(&mut self, dice: &mut Dice) -> Image {
        self.losses[0] += 1;
        let log = written_in_part(dice, &self.synced.log, &self.now.log);
        self.image(dice, Files { database: self.synced.database.clone(), log }, false)
    }

    /// Power is lost while the log is copied: the log is synced, the database is written in part.
    fn lost_in_the_copy(&mut self, dice: &mut Dice, before: &Files) -> Image {
        self.losses[1] += 1;
        let database = written_in_part(dice, &before.database, &self.now.database);
        let image = self.image(dice, Files { database, log: self.now.log.clone() }, false);
        Image { states: Some(vec![self.state]), ..image }
    }

    /// Power is lost after the step: the synced content is there, with a part of the rest of the
    /// log, and of what the next step would have written.
    fn lost_afterwards(&mut self, dice: &mut Dice) -> Image {
        self.losses[2] += 1;
        let mut log = written_in_part(dice, &self.synced.log, &self.now.log);
        let more = dice.roll(3) * dice.roll(10_000);
        log.extend(garbage(dice, more));
        self.image(dice, Files { database: self.synced.database.clone(), log }, true)
    }

    fn image(&self, dice: &mut Dice, files: Files, is_answered: bool) -> Image {
        let shared = (dice.roll(2) == 0).then(|| garbage(dice, 32 * 1024));
        let (states, is_drained) = (self.states.iter().copied().collect(), dice.roll(4) == 0);
        Image { files, shared, states, is_answered, is_drained }
    }
}

/// The header of the new log is written in part, and nothing after it.
fn torn_header(dice: &mut Dice, before: &Files, now: &Files, state: u64) -> Image {
    let mut files = before.clone();
    let written = dice.roll(HEADER + 1);
    files.log[..written].copy_from_slice(&now.log[..written]);
    Image { files, shared: None, states: Some(vec![state]), is_answered: false, is_drained: true }
}

/// Returns a mixture of `old` and `new`: any sector that differs may be either, or garbage.
fn written_in_part(dice: &mut Dice, old: &[u8], new: &[u8]) -> Vec<u8> {
    let differs =
        |place: &usize| old.get(*place..place + SECTOR) != new.get(*place..place + SECTOR);
    let sectors: Vec<_> = (0..new.len()).step_by(SECTOR).filter(differs).collect();
    let (grouping, kept) = (dice.roll(6), dice.roll(sectors.len() + 1));
    let mut file = new.to_vec();
    for (number, place) in sectors.iter().copied().enumerate() {
        let end = new.len().min(place + SECTOR);
        let is_kept = match grouping {
            // Sectors are written in any order, or one is torn, or all up to some place.
            0 | 1 => dice.roll(2) == 0,
            2 => number != kept,
            _ => number < kept,
        };
        let rest = match grouping {
            _ if is_kept => continue,
            0 | 3 => garbage(dice, end - place),
            4 => vec![0; end - place],
            _ => (place..end).map(|at| old.get(at).copied().unwrap_or(0)).collect(),
        };
        // Bytes that were not written stay unchanged, even in a torn sector.
        let written = |at: &usize| old.get(*at) != new.get(*at);
        (place..end).filter(written).for_each(|at| file[at] = rest[at - place]);
    }
    // The new length may not be on the disk either.
    let shortest = sectors.get(kept).copied().unwrap_or(new.len()).max(old.len()).min(new.len());
    if grouping > 2 && dice.roll(2) == 0 {
        file.truncate(shortest + dice.roll(new.len() - shortest + 1));
    }
    file
}

fn garbage(dice: &mut Dice, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    dice.0.fill_bytes(&mut bytes);
    bytes
}

fn read(files: &mut [fs::File; 2]) -> Files {
    let [database, log] = files.each_mut().map(|file| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
        bytes
    });
    Files { database, log }
}

/// Returns the path of SQLite's file beside the database.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
