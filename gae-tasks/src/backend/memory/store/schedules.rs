//! Schedules: put, changed by hand, looked at, and ticked.

use super::Store;
use crate::backend::ownership::{self, Change, Plan};
use crate::backend::{
    ChangeSchedule, Due, DueSchedules, PutSchedules, ScheduleChanged, ScheduleKey, SchedulesPut,
    StoredSchedule, TickMove,
};
use crate::time::Timestamp;
use crate::version;

impl Store {
    pub(in crate::backend::memory) fn put_schedules(
        &mut self,
        request: &PutSchedules,
        now: Timestamp,
    ) -> SchedulesPut {
        let plan = Plan::of(request, self.schedules_of(Some(&request.program)), now);
        for name in &plan.answer.stopped {
            self.schedules.remove(&ScheduleKey::new(&request.program, name));
        }
        for written in plan.written {
            self.schedules.insert(written.key.clone(), written);
        }
        plan.answer
    }

    /// Returns the schedules of a program, or all.
    pub(in crate::backend::memory) fn schedules_of(
        &self,
        program: Option<&str>,
    ) -> Vec<StoredSchedule> {
        let all = self.schedules.values();
        all.filter(|stored| program.is_none_or(|program| stored.key.program == program))
            .cloned()
            .collect()
    }

    pub(in crate::backend::memory) fn change_schedule(
        &mut self,
        request: &ChangeSchedule,
        now: Timestamp,
    ) -> ScheduleChanged {
        let stored = self.schedules.get(&request.key).cloned();
        match ownership::change(stored, request, now) {
            Change::None(answer) => return answer,
            Change::Written(written) => _ = self.schedules.insert(request.key.clone(), written),
            Change::Deleted => _ = self.schedules.remove(&request.key),
        }
        ScheduleChanged::Done
    }

    pub(in crate::backend::memory) fn due_schedules(
        &self,
        request: &DueSchedules,
        now: Timestamp,
    ) -> Due {
        let is_ready =
            |stored: &&StoredSchedule| !stored.paused && stored.version() <= version::KNOWN;
        let ready = self.schedules.values().filter(is_ready);
        let mut ready: Vec<_> =
            ready.filter_map(|stored| Some(((stored.next?, &stored.key), stored))).collect();
        ready.sort_unstable_by_key(|(place, _)| *place);
        let is_after = |place: &(Timestamp, &ScheduleKey)| {
            request.after.as_ref().is_none_or(|(at, key)| *place > (*at, key))
        };
        let next = ready.iter().map(|((next, _), _)| *next).find(|next| *next > now);
        let due = ready.iter().filter(|(place, _)| place.0 <= now && is_after(place));
        let due = due.take(request.limit).map(|(_, stored)| (*stored).clone()).collect();
        Due::new(now, due, next)
    }

    /// Makes a move, unless the schedule has changed since it was read.
    pub(in crate::backend::memory) fn tick(&mut self, made: TickMove, now: Timestamp) -> bool {
        let stored = self.schedules.get(&made.key);
        let Some(after) = stored.and_then(|stored| ownership::moved(stored, &made)) else {
            return false;
        };
        self.schedules.insert(made.key, after);
        for task in made.tasks {
            // A task whose name is in use is stored already.
            self.enqueue(task, now);
        }
        true
    }
}
