//! A database that refuses what is written to the tables of tasks.

use crate::database::Database;

/// The triggers, and what tells them what to do. A sequence counts although its transaction is
/// rolled back.
const RULES: &str = "
CREATE TABLE public.refusing (code text PRIMARY KEY, most bigint NOT NULL);
CREATE SEQUENCE public.refusals;
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted public.refusing;
BEGIN
    SELECT * INTO wanted FROM public.refusing;
    IF FOUND AND nextval('public.refusals') <= wanted.most THEN
        RAISE EXCEPTION USING MESSAGE = 'refused by a test', ERRCODE = wanted.code;
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON gae_tasks.task
    FOR EACH ROW EXECUTE FUNCTION public.refuse();
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON gae_tasks.waiting
    FOR EACH ROW EXECUTE FUNCTION public.refuse();
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON gae_tasks.lease
    FOR EACH ROW EXECUTE FUNCTION public.refuse();
";

/// Refuses rows with an SQLSTATE, for as long as a test wants it to.
///
/// A server has many reasons to refuse what is written, from a full disk to a deadlock, of which
/// few can be had in a test.
#[derive(Clone, Debug)]
pub struct Refusal {
    database: Database,
}

impl Refusal {
    /// Prepares a database with the tables of tasks, in the default schema.
    ///
    /// # Panics
    ///
    /// If the server does not answer, or there are no such tables.
    pub async fn of(database: &Database) -> Refusal {
        let refusal = Self { database: database.clone() };
        refusal.execute(RULES).await;
        refusal
    }

    /// Refuses so many rows that are written, changed or deleted from now on.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn begin(&self, code: &str, rows: i64) {
        self.execute(&format!(
            "ALTER SEQUENCE public.refusals RESTART; DELETE FROM public.refusing; INSERT INTO \
             public.refusing VALUES ('{code}', {rows})"
        ))
        .await;
    }

    /// Refuses nothing any more.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn end(&self) {
        self.execute("DELETE FROM public.refusing").await;
    }

    /// Returns how many rows have been refused since the last beginning, and let through since then
    /// because enough were.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn met(&self) -> i64 {
        let met = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.refusals";
        self.database.value(met).await.expect("the server answers")
    }

    async fn execute(&self, sql: &str) {
        self.database.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
