//! Schedules: whose declaration wins, which are due, and that each tick is made once, with its
//! tasks.

use std::sync::Arc;

use super::stage::{Stage, at, just_before, secs};
use crate::backend::{
    ChangeSchedule, Due, DueSchedules, NewSchedule, NewTask, PutSchedules, ScheduleChange,
    ScheduleChanged, ScheduleKey, SchedulePut, SchedulesPut, StoredSchedule, Tick, TickMove,
};
use crate::time::{Now, Timestamp};
use crate::version;

const MINUTE: i64 = 60;

/// The definitions of the cases' schedules.
fn definition() -> Vec<u8> {
    vec![version::KNOWN, 201, 0, 255]
}

fn key(name: &str) -> ScheduleKey {
    ScheduleKey::new("shop", name)
}

fn news(schedules: &[(&str, &str)]) -> Vec<NewSchedule> {
    schedules.iter().map(|(name, cron)| NewSchedule::new(*name, *cron, definition())).collect()
}

/// Makes schedules of the program `shop` at run time.
async fn make(on: &Stage, now: Timestamp, schedules: &[(&str, &str)]) -> SchedulesPut {
    let request = PutSchedules::new(Now::At(now), "shop", news(schedules));
    on.backend.put_schedules(request).await.expect("put answers")
}

/// Declares the schedules of a revision of a program.
async fn declare(
    on: &Stage,
    now: Timestamp,
    (program, revision): (&str, i64),
    schedules: &[(&str, &str)],
) -> SchedulesPut {
    let schedules: Arc<[_]> = news(schedules).into();
    let request = PutSchedules::declared(Now::At(now), program, revision, schedules);
    on.backend.put_schedules(request).await.expect("put answers")
}

async fn all(on: &Stage) -> Vec<StoredSchedule> {
    on.backend.schedules(None).await.expect("schedules answers")
}

/// The names and expressions of the stored schedules of `shop`.
async fn shown(on: &Stage) -> Vec<(String, String)> {
    let stored = on.backend.schedules(Some("shop".to_owned())).await.expect("schedules answers");
    stored.into_iter().map(|schedule| (schedule.key.name, schedule.cron)).collect()
}

fn pairs(schedules: &[(&str, &str)]) -> Vec<(String, String)> {
    schedules.iter().map(|(name, cron)| ((*name).to_owned(), (*cron).to_owned())).collect()
}

async fn one(on: &Stage, name: &str) -> StoredSchedule {
    let found = all(on).await.into_iter().find(|schedule| schedule.key == key(name));
    found.expect("the schedule is stored")
}

async fn due(on: &Stage, now: Timestamp) -> Due {
    on.backend.due_schedules(DueSchedules::new(Now::At(now), 100)).await.expect("due answers")
}

async fn due_names(on: &Stage, now: Timestamp) -> Vec<String> {
    due(on, now).await.schedules.into_iter().map(|schedule| schedule.key.name).collect()
}

async fn change(on: &Stage, now: Timestamp, name: &str, change: ScheduleChange) -> ScheduleChanged {
    let request = ChangeSchedule::new(Now::At(now), key(name), change);
    on.backend.change_schedule(request).await.expect("change answers")
}

async fn tick(on: &Stage, now: Timestamp, moves: Vec<TickMove>) -> Vec<bool> {
    let answers = on.backend.tick(Tick::new(Now::At(now), moves)).await.expect("tick answers");
    answers.into_iter().map(|answer| answer.expect("nothing is against it")).collect()
}

/// The move of a schedule that makes this task at `tick`, and is due again at `next`.
fn making(schedule: &StoredSchedule, tick: Timestamp, next: Timestamp, task: NewTask) -> TickMove {
    TickMove {
        since: tick,
        last_tick: Some(tick),
        tasks: vec![task],
        ..TickMove::new(schedule, Some(next))
    }
}

/// Makes a schedule that is due next at this moment, without a tick before.
async fn waiting(on: &Stage, name: &str, next: Timestamp) -> StoredSchedule {
    make(on, at(0), &[(name, "x")]).await;
    let looked = TickMove::new(&one(on, name).await, Some(next));
    assert_eq!(tick(on, at(0), vec![looked]).await, [true]);
    one(on, name).await
}

pub(super) async fn a_schedule_is_stored_as_it_is_put(on: Stage) {
    assert_eq!(make(&on, at(5), &[("a", "0 9 * * *")]).await.schedules, [SchedulePut::Created]);
    let stored = one(&on, "a").await;
    assert_eq!((stored.cron.as_str(), &stored.definition), ("0 9 * * *", &definition()));
    assert_eq!((stored.revision, stored.paused, stored.last_tick), (None, false, None));
    assert_eq!((stored.declared, stored.seen, stored.since), (at(5), at(5), at(5)));
    declare(&on, at(6), ("shop", i64::MAX), &[("b", "x")]).await;
    assert_eq!(one(&on, "b").await.revision, Some(i64::MAX));
}

pub(super) async fn schedules_are_listed_by_program_and_name(on: Stage) {
    make(&on, at(0), &[("b", "x"), ("B", "x"), ("a", "x")]).await;
    declare(&on, at(0), ("admin", 1), &[("c", "x")]).await;
    let listed: Vec<_> = all(&on).await.into_iter().map(|schedule| schedule.key).collect();
    let expected = [ScheduleKey::new("admin", "c"), key("B"), key("a"), key("b")];
    assert_eq!(listed, expected);
    assert_eq!(shown(&on).await, pairs(&[("B", "x"), ("a", "x"), ("b", "x")]));
    assert!(on.backend.schedules(Some("sho".to_owned())).await.expect("it answers").is_empty());
}

pub(super) async fn a_schedule_that_is_put_again_stays_as_it_is(on: Stage) {
    make(&on, at(0), &[("a", "x")]).await;
    let before = one(&on, "a").await;
    assert_eq!(make(&on, at(9), &[("a", "x")]).await.schedules, [SchedulePut::Kept]);
    assert_eq!(one(&on, "a").await, before);
}

pub(super) async fn another_expression_counts_from_now_on(on: Stage) {
    let before = waiting(&on, "a", at(100)).await;
    assert_eq!(make(&on, at(9), &[("a", "y")]).await.schedules, [SchedulePut::Changed]);
    let after = one(&on, "a").await;
    assert_eq!((after.since, after.next, after.cron.as_str()), (at(9), Some(at(9)), "y"));
    assert_ne!(after.mark, before.mark);
}

pub(super) async fn the_newest_revision_of_a_program_wins(on: Stage) {
    declare(&on, at(0), ("shop", 1), &[("a", "old"), ("b", "x")]).await;
    declare(&on, at(1), ("shop", 2), &[("a", "new"), ("b", "x")]).await;
    for second in 2..6 {
        let put = declare(&on, at(second), ("shop", 1), &[("a", "old"), ("b", "x")]).await;
        assert_eq!(put.schedules, [SchedulePut::Newer(2), SchedulePut::Newer(2)]);
        let put = declare(&on, at(second), ("shop", 2), &[("a", "new"), ("b", "x")]).await;
        assert_eq!(put.schedules, [SchedulePut::Kept, SchedulePut::Kept]);
        assert_eq!(shown(&on).await, pairs(&[("a", "new"), ("b", "x")]));
    }
    let put = declare(&on, at(9), ("shop", 2), &[("a", "other"), ("b", "x")]).await;
    assert_eq!(put.schedules[0], SchedulePut::Differs);
}

pub(super) async fn of_two_builds_of_a_revision_the_first_wins_while_it_is_seen(on: Stage) {
    declare(&on, at(0), ("shop", 1), &[("a", "one"), ("b", "x")]).await;
    let end = at(10 * MINUTE);
    let other = [("a", "other"), ("b", "x")];
    let put = declare(&on, just_before(end), ("shop", 1), &other).await;
    assert_eq!(put.schedules, [SchedulePut::Differs, SchedulePut::Kept]);
    let put = declare(&on, end, ("shop", 1), &other).await;
    assert_eq!(put.schedules, [SchedulePut::Changed, SchedulePut::Kept]);
    assert_eq!(shown(&on).await, pairs(&other));
    let put = declare(&on, end, ("shop", 1), &[("a", "one")]).await;
    assert_eq!(put.schedules, [SchedulePut::Differs], "they do not alternate");
}

pub(super) async fn a_schedule_that_a_newer_revision_lacks_ends_when_nobody_declares_it(on: Stage) {
    declare(&on, at(0), ("shop", 1), &[("a", "x"), ("b", "x")]).await;
    declare(&on, at(5 * MINUTE), ("shop", 1), &[("a", "x"), ("b", "x")]).await;
    let end = at(15 * MINUTE);
    let put = declare(&on, just_before(end), ("shop", 2), &[("a", "x")]).await;
    assert!(put.stopped.is_empty(), "{put:?}");
    let put = declare(&on, end, ("shop", 2), &[("a", "x")]).await;
    assert_eq!(put.stopped, ["b"]);
    assert_eq!(shown(&on).await, pairs(&[("a", "x")]));
    let put = declare(&on, at(60 * MINUTE), ("shop", 3), &[]).await;
    assert_eq!((put.schedules, put.stopped), (Vec::new(), vec!["a".to_owned()]));
}

pub(super) async fn no_program_touches_the_schedules_of_another(on: Stage) {
    declare(&on, at(0), ("shop", 1), &[("a", "x")]).await;
    make(&on, at(0), &[("made", "x")]).await;
    declare(&on, at(60 * MINUTE), ("admin", 9), &[("a", "y")]).await;
    declare(&on, at(61 * MINUTE), ("admin", 10), &[]).await;
    declare(&on, at(61 * MINUTE), ("shop", 1), &[]).await;
    assert_eq!(shown(&on).await, pairs(&[("a", "x"), ("made", "x")]));
}

pub(super) async fn declared_schedules_and_others_keep_their_names(on: Stage) {
    make(&on, at(0), &[("a", "x")]).await;
    let put = declare(&on, at(1), ("shop", 1), &[("a", "y"), ("b", "y")]).await;
    assert_eq!(put.schedules, [SchedulePut::Taken, SchedulePut::Created]);
    assert_eq!(make(&on, at(2), &[("b", "x")]).await.schedules, [SchedulePut::Taken]);
    assert_eq!(shown(&on).await, pairs(&[("a", "x"), ("b", "y")]));
}

pub(super) async fn a_thousand_schedules_are_put_at_once(on: Stage) {
    let names: Vec<_> = (0..1_000).map(|number| format!("n{number:04}")).collect();
    let schedules: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let put = declare(&on, at(0), ("shop", 1), &schedules).await;
    assert_eq!(put.schedules, vec![SchedulePut::Created; 1_000]);
    assert_eq!(shown(&on).await, pairs(&schedules));
    let put = declare(&on, at(60 * MINUTE), ("shop", 2), &schedules[1..]).await;
    assert_eq!(
        (put.schedules, put.stopped),
        (vec![SchedulePut::Kept; 999], vec![names[0].clone()])
    );
}

pub(super) async fn a_new_schedule_is_looked_at_at_once(on: Stage) {
    make(&on, at(5), &[("a", "x")]).await;
    let found = due(&on, at(5)).await;
    assert_eq!((found.now, &found.schedules[..], found.next), (at(5), &all(&on).await[..], None));
}

pub(super) async fn a_schedule_is_due_from_its_time_on(on: Stage) {
    waiting(&on, "b", at(20)).await;
    waiting(&on, "a", at(10)).await;
    let early = due(&on, just_before(at(10))).await;
    assert_eq!((early.schedules.len(), early.next), (0, Some(at(10))));
    let found = due(&on, at(10)).await;
    assert_eq!((found.schedules[0].key.clone(), found.next), (key("a"), Some(at(20))));
    assert_eq!(due_names(&on, at(20)).await, ["a", "b"]);
}

pub(super) async fn due_schedules_come_page_by_page(on: Stage) {
    for (name, next) in [("c", 1), ("a", 2), ("b", 2), ("d", 3)] {
        waiting(&on, name, at(next)).await;
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let request = DueSchedules { after, ..DueSchedules::new(Now::At(at(9)), 2) };
        let page = on.backend.due_schedules(request).await.expect("due answers").schedules;
        assert!(page.len() <= 2, "{page:?}");
        let Some(last) = page.last() else { break };
        after = Some((last.next.expect("it is due"), last.key.clone()));
        names.extend(page.into_iter().map(|schedule| schedule.key.name));
    }
    assert_eq!(names, ["c", "a", "b", "d"]);
}

pub(super) async fn the_storages_own_clock_says_what_is_due(on: Stage) {
    let request = PutSchedules::new(Now::Storage, "shop", news(&[("a", "x")]));
    on.backend.put_schedules(request).await.expect("put answers");
    let request = DueSchedules::new(Now::Storage, 100);
    let found = on.backend.due_schedules(request).await.expect("due answers");
    assert_eq!(found.schedules.len(), 1);
    let since = found.schedules[0].since;
    assert!(since <= found.now && found.now.since(since) < secs(60), "{found:?}");
}

pub(super) async fn a_paused_schedule_is_not_due_until_it_goes_on(on: Stage) {
    waiting(&on, "a", at(10)).await;
    assert_eq!(change(&on, at(1), "a", ScheduleChange::Pause).await, ScheduleChanged::Done);
    let found = due(&on, at(100)).await;
    assert_eq!((found.schedules.len(), found.next), (0, None));
    assert!(one(&on, "a").await.paused);
    assert_eq!(change(&on, at(100), "a", ScheduleChange::Resume).await, ScheduleChanged::Done);
    let resumed = &due(&on, at(100)).await.schedules[0];
    assert_eq!((resumed.since, resumed.paused), (at(100), false), "the pause is not made up for");
}

pub(super) async fn a_schedule_of_a_newer_version_is_left_alone(on: Stage) {
    let newer = NewSchedule::new("a", "x", vec![version::KNOWN + 1, 7]);
    let request = PutSchedules::new(Now::At(at(0)), "shop", vec![newer]);
    on.backend.put_schedules(request).await.expect("put answers");
    let found = due(&on, at(9)).await;
    assert_eq!((found.schedules.len(), found.next), (0, None));
    assert_eq!(shown(&on).await, pairs(&[("a", "x")]), "it is listed");
}

pub(super) async fn a_schedule_without_a_next_time_is_never_due(on: Stage) {
    make(&on, at(0), &[("a", "x")]).await;
    let last = TickMove::new(&one(&on, "a").await, None);
    assert_eq!(tick(&on, at(0), vec![last]).await, [true]);
    assert_eq!(one(&on, "a").await.next, None);
    let found = due(&on, Timestamp::MAX).await;
    assert_eq!((found.schedules.len(), found.next), (0, None));
}

pub(super) async fn a_tick_moves_its_schedule_and_stores_its_tasks(on: Stage) {
    let read = waiting(&on, "a", at(10)).await;
    let task = on.named("tick-10");
    let moves = vec![making(&read, at(10), at(20), task.clone())];
    assert_eq!(tick(&on, at(11), moves).await, [true]);
    let after = one(&on, "a").await;
    let facts = (after.since, after.last_tick, after.next);
    assert_eq!(facts, (at(10), Some(at(10)), Some(at(20))));
    let record = on.record(task.spec.id).await;
    assert_eq!((record.created, record.spec), (at(11), task.spec.clone()));
    assert_eq!(on.lease_one(at(11)).await.payload, task.payload);
}

pub(super) async fn a_tick_is_made_once(on: Stage) {
    let read = waiting(&on, "a", at(10)).await;
    for (number, expected) in [true, false, false].into_iter().enumerate() {
        // Under another name each time, so that no name keeps it from being stored.
        let task = on.named(&format!("try-{number}"));
        let moves = vec![making(&read, at(10), at(20), task)];
        assert_eq!(tick(&on, at(11), moves).await, [expected]);
    }
    assert_eq!(on.all().await.len(), 1);
}

pub(super) async fn a_schedule_that_was_changed_is_read_anew(on: Stage) {
    let read = waiting(&on, "a", at(10)).await;
    let now = at(10);
    let stale = async |read: &StoredSchedule| {
        let moves = vec![making(read, at(10), at(20), on.task())];
        tick(&on, now, moves).await
    };
    make(&on, now, &[("a", "y")]).await;
    assert_eq!(stale(&read).await, [false], "it was replaced");
    let read = one(&on, "a").await;
    change(&on, now, "a", ScheduleChange::Pause).await;
    assert_eq!(stale(&read).await, [false], "it was paused");
    assert_eq!(stale(&one(&on, "a").await).await, [false], "it is paused");
    change(&on, now, "a", ScheduleChange::Resume).await;
    let read = one(&on, "a").await;
    change(&on, now, "a", ScheduleChange::Remove).await;
    assert_eq!(stale(&read).await, [false], "it is gone");
    assert!(on.all().await.is_empty(), "no tick has left a task");
}

pub(super) async fn a_tick_whose_name_is_in_use_is_made_already(on: Stage) {
    let read = waiting(&on, "a", at(10)).await;
    let first = on.store(at(5), on.named("tick-10")).await;
    let moves = vec![making(&read, at(10), at(20), on.named("tick-10"))];
    assert_eq!(tick(&on, at(11), moves).await, [true]);
    assert_eq!(one(&on, "a").await.last_tick, Some(at(10)), "it goes on");
    let stored: Vec<_> = on.all().await.into_iter().map(|record| record.spec.id).collect();
    assert_eq!(stored, [first]);
}

pub(super) async fn of_several_moves_those_are_made_that_can_be(on: Stage) {
    let (a, b) = (waiting(&on, "a", at(10)).await, waiting(&on, "b", at(10)).await);
    let (one_task, other) = (on.named("a-10"), on.named("b-10"));
    assert_eq!(tick(&on, at(10), vec![TickMove::new(&a, Some(at(10)))]).await, [true]);
    let moves =
        vec![making(&a, at(10), at(20), one_task), making(&b, at(10), at(20), other.clone())];
    assert_eq!(tick(&on, at(10), moves).await, [false, true]);
    let stored: Vec<_> = on.all().await.into_iter().map(|record| record.spec.id).collect();
    assert_eq!(stored, [other.spec.id]);
    assert_eq!(tick(&on, at(10), Vec::new()).await, [false; 0]);
}

pub(super) async fn a_move_without_a_tick_keeps_the_last_one(on: Stage) {
    let read = waiting(&on, "a", at(10)).await;
    tick(&on, at(10), vec![making(&read, at(10), at(20), on.task())]).await;
    let looked = TickMove::new(&one(&on, "a").await, Some(at(30)));
    assert_eq!(tick(&on, at(20), vec![looked]).await, [true]);
    let after = one(&on, "a").await;
    assert_eq!((after.since, after.last_tick, after.next), (at(10), Some(at(10)), Some(at(30))));
}

pub(super) async fn eight_concurrent_workers_make_each_tick_once(on: Stage) {
    let on = Arc::new(on);
    for name in ["a", "b", "c"] {
        waiting(&on, name, at(10)).await;
    }
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let on = Arc::clone(&on);
            tokio::spawn(async move {
                let found = due(&on, at(10)).await.schedules;
                let name = |of: &StoredSchedule| format!("{}-{number}", of.key.name);
                let making = |of| making(of, at(10), at(20), on.named(&name(of)));
                let made = tick(&on, at(10), found.iter().map(making).collect()).await;
                made.into_iter().filter(|made| *made).count()
            })
        })
        .collect();
    let mut made = 0;
    for worker in workers {
        made += worker.await.expect("a worker ends");
    }
    assert_eq!((made, on.all().await.len()), (3, 3));
}

pub(super) async fn a_declared_schedule_is_removed_once_nobody_declares_it(on: Stage) {
    declare(&on, at(0), ("shop", 1), &[("a", "x")]).await;
    let end = at(10 * MINUTE);
    let remove = ScheduleChange::Remove;
    assert_eq!(change(&on, just_before(end), "a", remove).await, ScheduleChanged::Declared);
    assert_eq!(change(&on, end, "a", remove).await, ScheduleChanged::Done);
    assert_eq!(change(&on, end, "a", remove).await, ScheduleChanged::Missing);
    assert!(all(&on).await.is_empty());
}

pub(super) async fn a_tick_wakes_workers_and_a_change_of_schedules_those_who_tick(on: Stage) {
    let (mut wakeups, mut changes) = (on.backend.wakeups(), on.backend.schedule_changes());
    wakeups.mark_unchanged();
    changes.mark_unchanged();
    let read = waiting(&on, "a", at(10)).await;
    assert!(changes.has_changed().expect("the backend is there"), "nobody looks at it");
    wakeups.mark_unchanged();
    tick(&on, at(10), vec![making(&read, at(10), at(20), on.task())]).await;
    assert!(wakeups.has_changed().expect("the backend is there"), "nobody runs its task");
    changes.mark_unchanged();
    change(&on, at(11), "a", ScheduleChange::Pause).await;
    change(&on, at(12), "a", ScheduleChange::Resume).await;
    assert!(changes.has_changed().expect("the backend is there"), "nobody looks at it again");
}
