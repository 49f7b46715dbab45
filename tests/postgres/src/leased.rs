//! The times at which tasks were leased, by the clock of the database.

use uuid::Uuid;

use crate::database::Database;

/// Notes each lease with the time at which it was given.
const NOTE: &str = "
CREATE TABLE public.leased (task uuid NOT NULL, at bigint NOT NULL);
CREATE FUNCTION public.note_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.leased VALUES (NEW.task, NEW.expires - NEW.duration);
    RETURN NULL;
END $$;
CREATE TRIGGER note_lease AFTER INSERT ON gae_tasks.lease
    FOR EACH ROW EXECUTE FUNCTION public.note_lease();
";

/// What a trigger notes of leases.
#[derive(Clone, Debug)]
pub struct LeaseTimes {
    database: Database,
}

impl LeaseTimes {
    /// Prepares a database with the tables of tasks, in the default schema.
    ///
    /// # Panics
    ///
    /// If the server does not answer, or there are no such tables.
    pub async fn of(database: &Database) -> Self {
        database.execute(NOTE).await.unwrap_or_else(|error| panic!("{NOTE}: {error}"));
        Self { database: database.clone() }
    }

    /// Returns the leased tasks, each with the time of its lease in microseconds since 1970, in
    /// the order of these times.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn all(&self) -> Vec<(Uuid, i64)> {
        const TASKS: &str =
            "SELECT coalesce(array_agg(task ORDER BY at, task), '{}') FROM public.leased";
        const TIMES: &str =
            "SELECT coalesce(array_agg(at ORDER BY at, task), '{}') FROM public.leased";
        let tasks: Vec<Uuid> = self.database.value(TASKS).await.expect("the server answers");
        let times: Vec<i64> = self.database.value(TIMES).await.expect("the server answers");
        tasks.into_iter().zip(times).collect()
    }
}

/// Checks that no window of time, however short or long, has more leases than a token bucket of
/// this size gives at this rate.
///
/// # Panics
///
/// If one has.
pub fn assert_rate(leased: &[(Uuid, i64)], per_second: f64, burst: usize) {
    for (first, (_, begin)) in leased.iter().enumerate() {
        for (last, (_, end)) in leased.iter().enumerate().skip(first) {
            let (tasks, micros) = (last - first + 1, end - begin);
            let most = per_second * micros as f64 / 1e6 + burst as f64;
            assert!(tasks as f64 <= most + 1e-6, "{tasks} tasks in {micros} microseconds");
        }
    }
}
