-- Times are microseconds since 1970. A task that is not dead is in exactly one of two small tables:
-- waiting or lease. So its own row, with the payload, is written once and deleted once, however
-- often the task is leased.

-- One row: the version of these tables, a digest of this text, and the number of changes of any
-- queue: a program that has read the queues at this number knows their current state.
CREATE TABLE gae_tasks_version (
    version INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    queue_changes INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE gae_tasks_queue (
    name TEXT NOT NULL PRIMARY KEY,
    -- Fields that are not set are not stored; nor is a backoff.
    config BLOB NOT NULL,
    paused INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER gae_tasks_queue_added AFTER INSERT ON gae_tasks_queue
BEGIN UPDATE gae_tasks_version SET queue_changes = queue_changes + 1; END;

CREATE TRIGGER gae_tasks_queue_changed AFTER UPDATE ON gae_tasks_queue
BEGIN UPDATE gae_tasks_version SET queue_changes = queue_changes + 1; END;

CREATE TRIGGER gae_tasks_queue_removed AFTER DELETE ON gae_tasks_queue
BEGIN UPDATE gae_tasks_version SET queue_changes = queue_changes + 1; END;

-- The schemas of payloads: a row for each shape, written in the transaction of the first task of
-- the shape, and never deleted.
CREATE TABLE gae_tasks_schemas (
    shape INTEGER NOT NULL PRIMARY KEY CHECK (typeof(shape) = 'integer'),
    schema BLOB NOT NULL
) WITHOUT ROWID;

-- The paths of args that are never shown, such as `card.number`: written in the transaction of the
-- first task of the kind that brings them, and never deleted.
CREATE TABLE gae_tasks_sensitive (
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (kind, path)
) WITHOUT ROWID;

-- A queue together with a route, a version, a priority, the readers that refused, and whether made
-- due by hand: what a worker can or cannot lease, as one number, and what is leased in the order of
-- time alone.
-- Like all tables that `in_tx` writes it has no rowid, so that the application's
-- `last_insert_rowid()` stays what it was.
CREATE TABLE gae_tasks_lane (
    id INTEGER NOT NULL PRIMARY KEY CHECK (typeof(id) = 'integer'),
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    shape INTEGER NOT NULL,
    -- The version that a program must know to run the tasks: the version of their attributes and
    -- own retry settings.
    version INTEGER NOT NULL,
    -- The queue's place in the order of turns: the order in which queues received their first
    -- tasks.
    turn INTEGER NOT NULL,
    -- The ids of the readers that refused the values of the tasks, 8 bytes each, in ascending
    -- order; one byte more if there are others. Only these readers wait for the times of the tasks.
    refusers BLOB NOT NULL,
    priority INTEGER NOT NULL,
    -- Whether the tasks were made due by hand, and no attempt was answered since: they are leased
    -- even while their queue is paused.
    forced INTEGER NOT NULL,
    UNIQUE (queue, kind, shape, version, refusers, priority, forced)
) WITHOUT ROWID;

CREATE TABLE gae_tasks_task (
    id BLOB NOT NULL PRIMARY KEY,
    lane INTEGER NOT NULL,
    created INTEGER NOT NULL,
    schedule_time INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lost_leases INTEGER NOT NULL DEFAULT 0,
    lost_attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    died INTEGER,
    first_attempt INTEGER,
    max_attempts INTEGER,
    -- Nanoseconds.
    deadline INTEGER,
    name TEXT,
    retry BLOB,
    attributes BLOB,
    payload BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX gae_tasks_dead ON gae_tasks_task (lane, died) WHERE died IS NOT NULL;

-- The order in which tasks are leased. The standing is the number of lost leases: none, one, two,
-- more. A task that is not timed is due whatever the clock says. A pause after a failure was chosen
-- at the time `since`.
CREATE TABLE gae_tasks_waiting (
    lane INTEGER NOT NULL,
    standing INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    due INTEGER NOT NULL,
    task BLOB NOT NULL,
    since INTEGER,
    PRIMARY KEY (lane, standing, timed, due, task)
) WITHOUT ROWID;

-- The lanes that have waiting tasks, with the time at which the first task of each standing is due;
-- a lease reads this table first. The smallest integer marks a task that is due whatever the clock
-- says.
CREATE TABLE gae_tasks_ready (
    standing INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    due INTEGER NOT NULL,
    -- Whether readers refused the tasks of the lane, so that they are due at once for all others.
    refused INTEGER NOT NULL,
    PRIMARY KEY (standing, turn, lane)
) WITHOUT ROWID;

CREATE INDEX gae_tasks_ready_due ON gae_tasks_ready (standing, due);

CREATE INDEX gae_tasks_ready_refused ON gae_tasks_ready (standing, due) WHERE refused = 1;

CREATE INDEX gae_tasks_pause ON gae_tasks_waiting (since) WHERE since IS NOT NULL;

-- As many rows as leases in progress, so only one index is needed. Tasks that were leased together
-- share a row, but a task that has lost leases has its own, and so have the tasks of a queue with
-- limits.
CREATE TABLE gae_tasks_lease (
    -- The first row of a token has the token itself, a multiple of 256; a row that is split off has
    -- the next free one of the 255 numbers after it.
    id INTEGER PRIMARY KEY,
    expires INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    session INTEGER NOT NULL,
    -- Whether the only task of the row is a suspect that no other suspect may run beside.
    alone INTEGER NOT NULL,
    -- Whether the only task of the row was cancelled: it ends with its lease.
    cancelled INTEGER NOT NULL DEFAULT 0,
    -- 24 bytes for each task: its id, and how it waited, so that a release can restore this.
    tasks BLOB NOT NULL,
    -- The queue of the tasks, if it bounds how many of them run at a time: its place in the order
    -- of turns.
    queue INTEGER,
    -- Whether each lease took a token of its queue's bucket, which a release gives back.
    paid INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX gae_tasks_limited ON gae_tasks_lease (queue) WHERE queue IS NOT NULL;

-- The token buckets of queues with a rate; a queue without a row has a full one.
CREATE TABLE gae_tasks_bucket (
    -- The queue's place in the order of turns.
    queue INTEGER PRIMARY KEY,
    -- Millionths of a token, at the time `at`.
    millionths INTEGER NOT NULL,
    at INTEGER NOT NULL
);

CREATE TABLE gae_tasks_error (
    task BLOB NOT NULL,
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (task, n)
) WITHOUT ROWID;

-- Names in use: names of stored tasks and, until the time `until`, of tasks that are over.
CREATE TABLE gae_tasks_name (
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    task BLOB NOT NULL,
    until INTEGER,
    PRIMARY KEY (queue, name)
) WITHOUT ROWID;

CREATE INDEX gae_tasks_tombstone ON gae_tasks_name (until) WHERE until IS NOT NULL;

-- Calls of which a task is made at each tick. They belong to programs; a row is found by program and
-- name, and by the time at which a worker looks at it next.
CREATE TABLE gae_tasks_schedule (
    program TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The revision of the program that declares it so; null if it was made at run time.
    revision INTEGER,
    -- The version that a program must know to read the definition.
    version INTEGER NOT NULL,
    -- When it ticks, and what a tick stores.
    cron TEXT NOT NULL,
    definition BLOB NOT NULL,
    paused INTEGER NOT NULL,
    -- When it was stored so, and when a worker last declared it.
    declared INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    -- The ticks up to this time are decided; the last one of which a task was made.
    since INTEGER NOT NULL,
    last_tick INTEGER,
    -- Null: it never ticks again.
    next INTEGER,
    -- A number that every change makes another one, but for a note that a worker was seen.
    mark INTEGER NOT NULL,
    PRIMARY KEY (program, name)
) WITHOUT ROWID;

CREATE INDEX gae_tasks_schedule_next ON gae_tasks_schedule (next, program, name)
    WHERE next IS NOT NULL AND paused = 0;

CREATE INDEX gae_tasks_schedule_declared ON gae_tasks_schedule (program, revision)
    WHERE revision IS NOT NULL;

-- Processes that lease; each holds a lock on its own file beside the database for as long as it
-- lives.
CREATE TABLE gae_tasks_session (
    id INTEGER PRIMARY KEY,
    started INTEGER NOT NULL
);
