//! Schedules: when a task is deferred by itself, again and again.
//!
//! With the feature `cron` the attribute says when a task is deferred, by whose clocks, and with
//! which arguments:
//!
#![cfg_attr(feature = "cron", doc = "```")]
#![cfg_attr(not(feature = "cron"), doc = "```ignore")]
//! use gae_tasks::deferred;
//!
//! #[deferred(
//!     queue = "reports",
//!     cron = "0 9 * * MON-FRI",
//!     timezone = "Europe/Paris",
//!     cron_args(office = "Paris"),
//! )]
//! async fn send_report(office: String, #[default] year: u32, note: Option<String>) {}
//! ```
//!
//! A literal is checked when the attribute is compiled: the schedule, and the name of the zone.
//! `cron` and `timezone` may also be constants; these are checked when a worker or a push service
//! is built. Without `timezone` the zone is UTC. `cron_args` gives the parameters that are sent
//! their values, each an expression that is evaluated when a schedule is stored; a parameter
//! without a value has its `#[default]`, or is `None` if it is an `Option`. The receiver of a
//! method is given as `self = ..`.
//!
//! At run time the same schedules are values: `Cron` reads them, computes their ticks, and writes
//! them in a canonical form.
//!
#![cfg_attr(feature = "cron", doc = "```")]
#![cfg_attr(not(feature = "cron"), doc = "```ignore")]
//! use gae_tasks::{Cron, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cron = Cron::parse("30 2 * * *")?.in_zone("America/New_York")?;
//! let saturday: Timestamp = "2026-03-07T12:00:00Z".parse()?;
//! let ticks: Vec<_> =
//!     cron.ticks_between(saturday, Timestamp::MAX).take(2).map(|tick| tick.to_string()).collect();
//! // There is no 02:30 on that Sunday: the clocks are set from 02:00 to 03:00.
//! assert_eq!(ticks, ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Five fields
//!
//! Minute, hour, day of the month, month and weekday, as POSIX has them, with what Vixie's cron and
//! others added:
//!
//! | field | values | more |
//! |---|---|---|
//! | minute | 0 to 59 | |
//! | hour | 0 to 23 | |
//! | day of the month | 1 to 31 | `L`: the last day |
//! | month | 1 to 12 | `JAN` to `DEC` |
//! | weekday | 0 to 7, where 0 and 7 are Sunday | `SUN` to `SAT`; `MON#2`: the second Monday; `FRIL`, `5L`: the last Friday |
//!
//! A field is `*`, a value, a range `9-17`, a range with a step `9-17/2`, all values with a step
//! `*/5`, or a list of these with commas. Names are three letters, in capitals or not. A range that
//! ends with `SUN` ends with the Sunday after Saturday: `SAT-SUN`.
//!
//! **Days.** If both day fields name days, a day that one of them names is enough: `0 12 13 * FRI`
//! is each 13th and each Friday. If one of them begins with `*`, both must match, so `0 12 1-7 *
//! */7` is the first Sunday of a month. `0 12 * * SUN#1` says that better.
//!
//! **Refused** are seconds and years (six or seven fields), `?`, `W`, and days that never come,
//! such as 30 February.
//!
//! `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight` and `@hourly` stand for
//! five fields. `@reboot` is refused: defer the task where the program starts.
//!
//! # When clocks are set
//!
//! - **Times of the day** are meant once a day. Where the hour field is a list of hours or ranges,
//!   a time that the clock is set past comes right after the gap; several such times are one tick.
//!   A time that the clock shows twice comes once, when it is shown first.
//! - **Hours that are `*` or have a step** are what the clock shows: `0 * * * *` comes each hour
//!   that really passes, and `*/15 * * * *` each quarter of it. What the clock is set past does not
//!   come, and what it shows twice comes twice.
//!
//! Zones are those of the IANA database, which is compiled in: `CRON_TZDB_VERSION` is its version.
//! Its rules reach the year 2099; the last of them holds later. There are no ticks from the year
//! 5000 on.
//!
//! # App Engine's words
//!
//! All forms that App Engine documents for its `cron.yaml` are read wherever a schedule is:
//!
//! | form | meaning |
//! |---|---|
//! | `every 12 hours`, `every 5 minutes` | this long after the tick before |
//! | `every 5 minutes from 10:00 to 14:00` | each day at 10:00, 10:05, .. 14:00 |
//! | `every 2 hours synchronized` | each day at 00:00, 02:00, .. 22:00; the interval divides a day |
//! | `every day 00:00`, `every mon,wed 09:00` | on these days at this time |
//! | `1st monday of sep,oct,nov 17:00`, `2nd,third mon,wed,thu of march 17:00` | on the first Monday of these months, .. |
//! | `1st day of month 10:00`, `1,8,15 of month 04:00`, `1 of jan,july 00:00` | on these days of the month |
//! | `first sunday of quarter 00:00`, `1 of 2nd month of quarter 00:00` | in the first or another month of each quarter |
//!
//! Weekdays, months and ordinals are written in full or in short.
//!
//! **Intervals.** On App Engine `every 5 minutes` is counted from the end of the request before.
//! Here it is counted from the tick before, however long the task takes: tasks of two ticks may run
//! at the same time, if they take longer than the interval. The next tick is a whole minute. An
//! interval with `from` or `synchronized` begins anew each day, and is elapsed time: on a day on
//! which clocks are set, `every 2 hours synchronized` still comes every two hours that pass until
//! midnight. `from` and `synchronized` exclude each other, as on App Engine.
//!
//! **Days and times** are those of five fields: App Engine leaves out a time that is skipped when
//! clocks are set, and here it comes right after the gap.
//!
//! # `cron.yaml`
//!
//! With the features `cron` and `yaml`, `CronFile` reads App Engine's file:
//!
#![cfg_attr(all(feature = "cron", feature = "yaml"), doc = "```")]
#![cfg_attr(not(all(feature = "cron", feature = "yaml")), doc = "```ignore")]
//! use gae_tasks::CronFile;
//!
//! let text = r#"
//! cron:
//! - description: "daily summary job"
//!   url: /_cb/deferred/shop.reports/daily
//!   schedule: every day 04:00
//!   timezone: Europe/Paris
//! - url: /tasks/summary
//!   task: shop.reports/summary
//!   schedule: every 24 hours
//! "#;
//! let file = CronFile::parse(text)?;
//! let kinds: Vec<_> = file.entries().iter().map(|entry| entry.kind().as_str()).collect();
//! assert_eq!(kinds, ["shop.reports/daily", "shop.reports/summary"]);
//! # Ok::<(), gae_tasks::Error>(())
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `url` | the task: `/_cb/deferred/` and its kind. `CronFile::parse_with_prefix` takes another prefix |
//! | `task` | the kind by itself, in place of a `url` or beside it; App Engine does not have this key, so it is for files that only this crate reads |
//! | `schedule` | App Engine's words, or five fields in quotes: YAML takes a `*` at the beginning for something else |
//! | `timezone` | UTC if there is none |
//! | `description` | for people |
//! | `target` | the service of App Engine that is called; elsewhere it means nothing |
//! | `retry_parameters` | `job_retry_limit` (up to 5, which is also what applies if it is left out), `job_age_limit` (`2d`), `min_backoff_seconds`, `max_backoff_seconds`, `max_doublings`. Without them the settings of the task and its queue apply, where App Engine does not retry |
//!
//! The tasks get no arguments, as App Engine sends none: each of their parameters has a default or
//! is an `Option`.
//!
//! Every mistake of the file is told at once (`Error::ConfigFile`), with its line, its column and
//! what to write.
//!
//! # Running schedules
//!
//! A worker stores the schedules of its program when it starts, and from then on every worker makes
//! the tasks of those that are due, of its own program and of others. There is no leader: the
//! storage lets one of them make each tick, in the transaction that stores the tick's task, so
//! there is one task a tick however many workers there are, whichever of them are killed, and
//! whatever their clocks say. What is due is decided by the storage's clock; on SQLite that is the
//! machine's. Workers sleep until the next tick, and look once a second besides. A worker without
//! the feature `cron` ticks nothing.
//!
//! At run time schedules are made, listed, paused and removed by the client:
//!
#![cfg_attr(feature = "cron", doc = "```")]
#![cfg_attr(not(feature = "cron"), doc = "```ignore")]
//! use gae_tasks::{Client, Missed, deferred};
//!
//! #[deferred(queue = "reports")]
//! async fn send_report(customer: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let call = send_report::defer(7).max_attempts(3);
//! let nightly = tasks.schedule("nightly-7", "0 3 * * *".parse()?, call);
//! nightly.zone("Europe/Paris").missed(Missed::Skip).await?;
//!
//! for schedule in tasks.schedules().await? {
//!     println!("{} of {}: next {:?}", schedule.name, schedule.program, schedule.next_tick);
//! }
//! tasks.pause_schedule("nightly-7").await?;
//! tasks.resume_schedule("nightly-7").await?;
//! tasks.remove_schedule("nightly-7").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The task of a tick is an ordinary one, due at once, with the settings of the call. Its name is
//! made of the schedule's and of the tick's time, so a tick is not stored twice while that name is
//! remembered, and no tick blocks another one, whatever becomes of its task. The names of finished
//! tasks are kept for as long as the queue says, by default 24 hours: for ten thousand schedules
//! that tick each minute, fourteen million; give their queue a shorter time. The args are stored
//! with the schedule: they must fit into a task without a payload store.
//!
//! `ClientBuilder::cron_file` declares the schedules of a `cron.yaml` beside those of attributes.
//!
//! ## Ticks that were missed
//!
//! A tick is missed if it is more than a minute ago when a worker looks: no worker ran, or none
//! reached the storage.
//!
//! | `Missed::` | missed ticks |
//! |---|---|
//! | `Once` (default, and what attributes declare) | one task for all of them, that of the last one |
//! | `Skip` | no task |
//! | `All(n)` | a task each, for the last `n` of them |
//!
//! Ticks of a pause are not made up for; nor are those before a schedule was made, or before its
//! expression was changed. If the storage's clock is set back, no tick is made again; if it was far
//! ahead before, schedules wait until it is there again, unless they are paused and resumed.
//!
//! Ticks are stored in a queue that is paused or behind, too, and in one that was deleted, which
//! comes into being again. A schedule whose tasks the storage refuses is reported and tried again
//! every ten seconds; it holds up no other.
//!
//! ## Programs and revisions
//!
//! A schedule belongs to the program that declares or makes it: by default the name of the
//! executable, which Cargo names after its crate. `Client::builder().program("shop")` states
//! another one. State it if two executables are one program; otherwise both declare the schedules
//! of tasks that they share, and each of them ticks. State it if the name of the executable is that
//! of another program too, or changes from deploy to deploy (a version at its end, as in
//! `shop-1.4.0`, does not count): a new name is a new program, and the schedules of the old one go
//! on. Programs tick each other's schedules, and never change them.
//!
//! A declared schedule carries the revision of its program: by default the time at which the
//! executable was written, or the number of `Client::builder().revision(..)`.
//!
//! - **While two revisions run side by side**, a schedule is as the newer one declares it,
//!   whichever worker starts or looks last.
//! - **A schedule that the newer revision does not declare** goes on until no worker that declares
//!   it was seen for 10 minutes. Workers are noted every two minutes.
//! - **A rollback** to an older build brings back what only that declares. Everything else stays as
//!   the newest revision has it, until a deploy states a higher number.
//! - **A schedule that is paused** stays paused through deploys. One that workers declare cannot be
//!   removed by hand; pause it.
//! - **Workers of one revision that declare differently**, because args come from the environment,
//!   or because reproducible images give all builds one time, keep what was stored first, and say
//!   so in the log. Once no worker that declares it so was seen for 10 minutes, another one
//!   replaces it. A schedule that such a build does not declare any more goes on: state a revision.
//!
//! A program that only defers declares nothing: a worker, a relay, or `Client::tick_schedules`
//! does. That call does once what workers do all the time; tests use it with a clock of their own.
//!
//! ## Where no worker runs
//!
//! Cloud Tasks stores no schedules, and a service that is scaled to zero has no worker that could
//! tick. There Cloud Scheduler ticks: `Client::cloud_scheduler_jobs` returns the schedules that the
//! program declares as jobs, and prints each as the line of `gcloud` that creates it.
//!
//! ```text
//! gcloud scheduler jobs create http shop-reports-daily --location='europe-west1' \
//!     --schedule='0 9 * * MON-FRI' --time-zone='Europe/Paris' \
//!     --uri='https://worker-abc.a.run.app/_cb/deferred/shop.reports/daily' --http-method=POST \
//!     --max-retry-attempts=5 \
//!     --oidc-service-account-email='queue@shop.iam.gserviceaccount.com' \
//!     --oidc-token-audience='https://worker-abc.a.run.app'
//! ```
//!
//! A job calls the push service at the URL of its task. The service believes it as it believes the
//! queue, by its token, and stores the task of the tick in the queue, under the tick's name; a
//! repeated request stores none. The queue then runs and retries it like any other task. The
//! request says only which tick it is: what the task is made of is what the program that answers
//! declares. Cloud Scheduler has its own rules for days on which clocks are set, and neither `L`,
//! `#` nor, for this purpose, App Engine's words: such schedules are refused with their names. By
//! default it sends a request once, whatever the answer: the printed jobs send it again up to five
//! times.
//!
//! On App Engine its own cron service ticks, by the `cron.yaml` that is deployed: it calls `GET` at
//! the URL of the entry. A push service that is verified by `AppEngine` stores the task of the tick
//! then, made of what the program declares: by the attribute, or by the same file
//! (`ClientBuilder::cron_file`). The request does not say which tick it is, so that is the last one
//! of the task's schedules by the program's clock, at most an hour ago; for `every 5 minutes` it is
//! the minute of the request.
