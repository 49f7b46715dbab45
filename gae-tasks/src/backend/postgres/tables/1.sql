-- Times are microseconds since 1970. A task that is not dead has exactly one row in one of two
-- narrow tables: waiting or lease. So its own row, with the payload, is written once, changed by a
-- failure, and deleted, however often the task is leased.

-- One row: the version of these tables, a digest of their text, what tells them from others, and
-- the number of changes of any queue: a program that has read the queues at this number knows
-- their current state.
CREATE TABLE gae_tasks.version (
    version bigint PRIMARY KEY,
    digest bigint NOT NULL,
    -- A random number: no other tables have it, unless they are a copy.
    identity bigint NOT NULL,
    queue_changes bigint NOT NULL DEFAULT 0
);

CREATE TABLE gae_tasks.queue (
    name text COLLATE "C" PRIMARY KEY,
    -- Fields that are not set are not stored.
    config bytea NOT NULL,
    paused boolean NOT NULL
);

CREATE FUNCTION gae_tasks.queue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gae_tasks.version SET queue_changes = queue_changes + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER queue_changed AFTER INSERT OR UPDATE OR DELETE ON gae_tasks.queue
    FOR EACH STATEMENT EXECUTE FUNCTION gae_tasks.queue_changed();

-- The schemas of payloads: a row for each shape, committed before the first task of the shape, and
-- never deleted.
CREATE TABLE gae_tasks.schemas (
    shape bigint PRIMARY KEY,
    schema bytea NOT NULL
);

-- The paths of args that are never shown, such as `card.number`: committed before the first task of
-- the kind that brings them, and never deleted.
CREATE TABLE gae_tasks.sensitive (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL
);

-- Kinds have no longest length, and entries of other indexes have. Rows are added under an advisory
-- lock, which keeps them unique.
CREATE INDEX sensitive_kind ON gae_tasks.sensitive USING hash (kind);

-- A queue together with a route, a version, a priority, the readers that refused, and whether made
-- due by hand: what a worker can or cannot lease, as one number, and what is leased in the order of
-- time alone. Lanes are committed before their first task, and never deleted.
CREATE TABLE gae_tasks.lane (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    shape bigint NOT NULL,
    -- The version that a program must know to run the tasks: the version of their attributes and
    -- own retry settings.
    version smallint NOT NULL,
    -- The queue's place in the order of turns: the order in which queues received their
    -- first tasks.
    turn bigint NOT NULL,
    -- The ids of the readers that refused the values of the tasks, 8 bytes each, in ascending
    -- order; one byte more if there are others. Only these readers wait for the times of the tasks.
    refusers bytea NOT NULL,
    priority smallint NOT NULL DEFAULT 0,
    -- Whether the tasks were made due by hand, and no attempt was answered since: they are leased
    -- even while their queue is paused.
    forced boolean NOT NULL DEFAULT false
);

-- Rows are added under the same advisory lock.
CREATE INDEX lane_queue ON gae_tasks.lane (queue);

-- Numbers that are zero for nearly all tasks are null then, which costs no room.
CREATE TABLE gae_tasks.task (
    id uuid PRIMARY KEY,
    lane bigint NOT NULL,
    created bigint NOT NULL,
    -- What the task waits for; while it is leased or dead, what it waited for before. A task that
    -- is not timed is due whatever the clock says. A pause after a failure was chosen at `since`.
    schedule_time bigint NOT NULL,
    since bigint,
    attempts bigint,
    lost_leases bigint,
    lost_attempts bigint,
    refusals bigint,
    died bigint,
    first_attempt bigint,
    max_attempts bigint,
    -- Nanoseconds.
    deadline bigint,
    timed boolean,
    name text COLLATE "C",
    retry bytea,
    attributes bytea,
    -- The last errors, oldest first.
    errors bytea,
    payload bytea NOT NULL
);

ALTER TABLE gae_tasks.task ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE INDEX task_dead ON gae_tasks.task (lane, died) WHERE died IS NOT NULL;

-- Dead letters are listed by id, however many tasks wait.
CREATE INDEX task_dead_id ON gae_tasks.task (id) WHERE died IS NOT NULL;

-- The order in which tasks are leased. The standing is the number of lost leases: none, one, two,
-- more. The size is that of the payload.
CREATE TABLE gae_tasks.waiting (
    lane bigint NOT NULL,
    due bigint NOT NULL,
    task uuid NOT NULL,
    size integer NOT NULL,
    standing smallint NOT NULL,
    timed boolean NOT NULL,
    -- Whether the task has a name, which outlives it.
    named boolean NOT NULL,
    PRIMARY KEY (lane, standing, timed, due, task)
);

-- Pauses that began in the future, because the clock was set back, are looked for here.
CREATE INDEX task_paused ON gae_tasks.task (since) WHERE since IS NOT NULL;

-- A row for each leased task. It is changed only by renewals, and if the task is cancelled or its
-- queue gets limits, until it is deleted.
CREATE TABLE gae_tasks.lease (
    task uuid PRIMARY KEY,
    token bigint NOT NULL,
    expires bigint NOT NULL,
    duration bigint NOT NULL,
    -- Whether the task is a suspect that no other suspect may run beside.
    alone boolean NOT NULL,
    named boolean NOT NULL,
    -- The number of the process that has the lease, if the process shows by an advisory lock with
    -- this key that it lives.
    holder bigint,
    -- Whether the task was cancelled: it ends with its lease. Null for nearly all.
    cancelled boolean,
    -- The queue, if it has limits.
    queue text COLLATE "C",
    -- Whether the lease has taken a token of the queue's bucket.
    paid boolean
);

-- Holders look here for tasks of theirs that were cancelled.
CREATE INDEX lease_cancelled ON gae_tasks.lease (task) WHERE cancelled;

-- What runs in queues with limits is counted here.
CREATE INDEX lease_limited ON gae_tasks.lease (queue) WHERE queue IS NOT NULL;

-- The token bucket of each queue with limits, in millionths of a token, as of a time. Whoever
-- leases from such a queue has locked its row, so that nobody counts beside it. Rows are committed
-- with the configuration of their queue.
CREATE TABLE gae_tasks.bucket (
    queue text COLLATE "C" PRIMARY KEY,
    millionths bigint NOT NULL,
    at bigint NOT NULL
);

-- Names in use: names of stored tasks and, until the time `until`, of tasks that are over.
CREATE TABLE gae_tasks.name (
    queue text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    task uuid NOT NULL,
    until bigint,
    PRIMARY KEY (queue, name)
);

CREATE INDEX name_tombstone ON gae_tasks.name (until) WHERE until IS NOT NULL;

-- Calls of which a task is made at each tick. They belong to programs.
CREATE TABLE gae_tasks.schedule (
    program text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    -- The revision of the program that declares it so; null if it was made at run time.
    revision bigint,
    -- The version that a program must know to read the definition.
    version smallint NOT NULL,
    -- When it ticks, and what a tick stores.
    cron text NOT NULL,
    definition bytea NOT NULL,
    paused boolean NOT NULL,
    -- When it was stored so, and when a worker last declared it.
    declared bigint NOT NULL,
    seen bigint NOT NULL,
    -- The ticks up to this time are decided; the last one of which a task was made.
    since bigint NOT NULL,
    last_tick bigint,
    -- When a worker looks at it next. Null: it never ticks again.
    next bigint,
    -- A number that every change makes another one, but for a note that a worker was seen.
    mark bigint NOT NULL,
    PRIMARY KEY (program, name)
);

CREATE INDEX schedule_next ON gae_tasks.schedule (next, program, name)
    WHERE next IS NOT NULL AND NOT paused;

CREATE INDEX schedule_declared ON gae_tasks.schedule (program, revision)
    WHERE revision IS NOT NULL;

-- What is written and deleted all the time is cleaned all the time.
ALTER TABLE gae_tasks.task SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.2
);
ALTER TABLE gae_tasks.waiting SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE gae_tasks.lease SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE gae_tasks.schedule SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE gae_tasks.bucket SET (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
