//! The test: processes tick the same schedules, are killed and replaced, and have their clocks set,
//! and each tick is stored once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::{Client, Cron, Missed, ScheduleRecord, TaskFilter, Timestamp};

use super::clock::FastClock;
use super::program::stamp;
use super::random::Random;

const PROCESSES: usize = 4;

/// How many times as fast as the machine's the clocks go: a minute passes in a second.
const SPEED: u32 = 60;

/// The expressions of the schedules; each is that of several.
const EXPRESSIONS: [&str; 4] =
    ["* * * * *", "*/2 * * * *", "every 3 minutes", "1-59/2 * * * * (Asia/Kathmandu)"];

const SCHEDULES: usize = 12;

/// Has processes of `program` tick the schedules of `url` for `seconds` of the machine's time.
///
/// # Panics
/// A tick was stored twice, or not at all.
pub async fn race(program: &str, url: &str, folder: &Path, seconds: u64) {
    let agreed = Timestamp::from(SystemTime::now());
    let clock = FastClock::new(agreed, SPEED, folder.join("own"));
    let tasks = Client::builder().program("race").clock(clock).open(url).await.expect("it opens");
    for number in 0..SCHEDULES {
        let expression = EXPRESSIONS[number % EXPRESSIONS.len()];
        let cron = Cron::parse(expression).expect("it is valid");
        let call = stamp::defer(u32::try_from(number).expect("it is small"));
        let schedule = tasks.schedule(format!("s{number}"), cron, call);
        schedule.missed(Missed::All(1_000)).await.expect("it is stored");
    }
    let mut crew = Crew::new(program, url, folder, agreed);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        crew.replace();
        tokio::time::sleep(Duration::from_millis(100 + crew.random.below(300))).await;
        crew.harm();
    }
    println!("{} kills, {} steps of clocks", crew.kills, crew.steps);
    drop(crew);
    let minutes = seconds * u64::from(SPEED) / 60;
    check(&tasks, minutes / 2).await;
}

/// The processes, killed on drop.
struct Crew {
    program: String,
    url: String,
    folder: PathBuf,
    agreed: Timestamp,
    random: Random,
    processes: Vec<Option<Child>>,
    kills: u32,
    steps: u32,
}

impl Crew {
    fn new(program: &str, url: &str, folder: &Path, agreed: Timestamp) -> Self {
        Self {
            program: program.to_owned(),
            url: url.to_owned(),
            folder: folder.to_owned(),
            agreed,
            random: Random::seeded(),
            processes: (0..PROCESSES).map(|_| None).collect(),
            kills: 0,
            steps: 0,
        }
    }

    fn steps_of(&self, place: usize) -> PathBuf {
        self.folder.join(format!("steps-{place}"))
    }

    fn replace(&mut self) {
        for place in 0..PROCESSES {
            if self.processes[place].is_none() {
                let mut command = Command::new(&self.program);
                command.args([&self.url, &self.agreed.as_micros().to_string()]);
                command.arg(SPEED.to_string()).arg(self.steps_of(place));
                self.processes[place] = Some(command.spawn().expect("the program starts"));
            }
        }
    }

    /// Kills a process, or sets the clock of one by at most 5 seconds.
    fn harm(&mut self) {
        let place = usize::try_from(self.random.below(PROCESSES as u64)).expect("it is small");
        if self.random.below(2) == 0 {
            let seconds = i64::try_from(self.random.below(11)).expect("it is small") - 5;
            FastClock::step(&self.steps_of(place), seconds).expect("the file is written");
            self.steps += 1;
        } else if let Some(mut victim) = self.processes[place].take() {
            victim.kill().expect("it can be killed");
            victim.wait().expect("it ends");
            self.kills += 1;
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            _ = process.kill();
            _ = process.wait();
        }
    }
}

/// Checks that each schedule has a task of each of its ticks, and no other.
async fn check(tasks: &Client, least: u64) {
    let stored = stored(tasks).await;
    let schedules = tasks.schedules().await.expect("the storage answers");
    assert_eq!(schedules.len(), SCHEDULES);
    for ScheduleRecord { name, cron, declared, last_tick, .. } in schedules {
        let last = last_tick.unwrap_or_else(|| panic!("{name} has never ticked"));
        let cron = Cron::parse(&cron).expect("it is valid");
        let expected: Vec<_> = cron.ticks_between(declared, last).collect();
        let mut ticks: Vec<_> =
            stored.iter().filter(|(of, _)| *of == name).map(|(_, tick)| *tick).collect();
        ticks.sort_unstable();
        assert_eq!(ticks, expected, "{name}: {cron}");
        let passed = last.since(declared).as_secs() / 60;
        assert!(passed >= least, "{name} has ticked for {passed} minutes only");
    }
    println!("{} ticks of {SCHEDULES} schedules", stored.len());
}

/// The schedules and ticks of all stored tasks, by their names.
async fn stored(tasks: &Client) -> Vec<(String, Timestamp)> {
    let (mut ticks, mut after) = (Vec::new(), None);
    loop {
        let page = tasks.list(TaskFilter::new(), after, 1_000).await.expect("it answers");
        let Some(last) = page.last() else { return ticks };
        after = Some(last.spec.id);
        let names = page.iter().map(|record| record.spec.name.as_ref());
        ticks.extend(names.map(|name| read(name.expect("a tick has a name").as_str())));
    }
}

/// Reads the name of a tick's task, such as `s1-0123456789abcdef-20260301T030000Z`.
fn read(name: &str) -> (String, Timestamp) {
    let (rest, time) = name.rsplit_once('-').expect("it ends with a time");
    let (schedule, _) = rest.rsplit_once('-').expect("a hash is before that");
    let (date, clock) = time.split_once('T').expect("it is a time");
    let (date, clock) = (
        format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
        format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..6]),
    );
    let fraction = clock_fraction(time);
    let time = format!("{date}T{clock}{fraction}Z");
    (schedule.to_owned(), time.parse().expect("it is a time"))
}

/// The part of a second, which intervals have that count from a moment between two seconds.
fn clock_fraction(time: &str) -> String {
    let digits = time.trim_end_matches('Z').get("20260301T030000".len()..).unwrap_or_default();
    if digits.is_empty() { String::new() } else { format!(".{digits}") }
}
