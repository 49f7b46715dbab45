//! Postgres: URL, rights, poolers, failover, housekeeping, backups.
//!
//! With the feature `postgres` the queue is a schema in a PostgreSQL database, and workers run on
//! any number of machines. Where your own data is in the same database, a task [commits with
//! it](super::transactions).
//!
#![cfg_attr(feature = "postgres", doc = "```no_run")]
#![cfg_attr(not(feature = "postgres"), doc = "```ignore")]
//! # async fn open() -> Result<(), gae_tasks::Error> {
//! use gae_tasks::Client;
//!
//! let tasks = Client::open("postgres://shop:s3cret@db.internal/shop?max_connections=4").await?;
//! # Ok(())
//! # }
//! ```
//!
//! PostgreSQL 13 or newer is needed; the tests run with version 15. The threads of the backend are
//! its own, so a handler that blocks its runtime does not delay the storage.
//!
//! # The URL
//!
//! ```text
//! postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE&..
//! ```
//!
//! Special characters of user and password are percent-encoded. What is left out is taken from the
//! environment (`PGHOST`, `PGUSER`, `PGPASSWORD`, ..) and from `~/.pgpass`, as in other clients of
//! PostgreSQL. No password is in an error, a log line or a `Debug` text.
//!
//! | parameter | meaning |
//! |---|---|
//! | `schema` | the schema of the tables: 1 to 63 lowercase letters, digits and underscores, no digit first; `gae_tasks` by default |
//! | `max_connections` | how many connections a client makes at most, from 2; 8 by default. [See below](#connections) |
//! | `pooler=transaction` | a [pooler](#poolers) stands before the server and gives each transaction another connection |
//! | `listen_url` | the URL of a direct connection, percent-encoded, on which a worker behind a pooler [hears of new tasks](#wake-ups) |
//! | `sslmode` | `disable`, `allow`, `prefer` (default), `require`, `verify-ca`, `verify-full`. [See below](#encryption) |
//! | `sslrootcert` | a file with certificates that are believed beside the built-in ones of Mozilla |
//! | `sslcert`, `sslkey` | files with the client's certificate and key |
//! | `host`, `port`, `dbname`, `user`, `password` | in place of the parts before the `?`. A folder as `host` is that of a socket: `postgres:///shop?host=/var/run/postgresql` |
//! | `application_name` | what the server's views show; `gae-tasks` by default |
//! | `options` | settings of each connection, such as `-c statement_timeout=30s` |
//!
//! A parameter or a value that is not known is an error, not ignored.
//!
//! # Encryption
//!
//! With `prefer` a connection is encrypted if the server offers TLS, with `require` it is encrypted
//! or fails. Both believe whoever answers. `verify-ca` checks that the server's certificate comes
//! from an authority in `sslrootcert` or from one that Mozilla lists, and `verify-full` also that
//! the certificate names the host. `disable` and `allow` encrypt nothing.
//!
//! The checks are those of rustls, which are stricter than OpenSSL's: the host must be among the
//! certificate's `subjectAltName`, and the certificate must not be that of an authority itself
//! (`CA:TRUE`), as those are that `openssl req -x509` makes by default. One that passes, and that
//! `sslrootcert` may name:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
//!   -subj /CN=db.internal -addext basicConstraints=critical,CA:FALSE \
//!   -addext subjectAltName=DNS:db.internal -keyout server.key -out server.crt
//! ```
//!
//! A server that asks for a certificate of the client (`cert`, or `clientcert=verify-full` beside a
//! password, in `pg_hba.conf`) gets that of `sslcert`, with the key of `sslkey`: files in the form
//! of PEM, of which the URL has the paths. All connections are made alike, those of the listener
//! too; a `listen_url` has parameters of its own.
//!
//! # Connections
//!
//! A client has a pool of up to `max_connections`, which it makes when it needs them, and for its
//! worker two connections more: one hears of new tasks, one renews leases, which must not wait for
//! anything else. Each `Client::open` is a pool of its own; clones of a client share one. While a
//! client is opened, or a pool finds out why the server gives it none, there is one more for a
//! moment. So plan for **processes × (`max_connections` + 3)** below the server's own
//! `max_connections`.
//!
//! Few are enough: concurrent calls of `defer` are gathered into common statements, and at most two
//! of those run at a time. A handler holds no connection of the client while it runs. A call that
//! gets no connection for 10 seconds fails, and its error names the parameter.
//!
//! # Roles and rights
//!
//! The first client that opens a database makes the schema and its tables. Concurrent first starts
//! wait for each other. That takes a role with `CREATE` on the database, or with `CREATE` on a
//! schema that is there already.
//!
//! Where programs have no right to create anything, print the statements and have the owner of the
//! database run them:
//!
#![cfg_attr(feature = "postgres", doc = "```")]
#![cfg_attr(not(feature = "postgres"), doc = "```ignore")]
//! # fn main() -> Result<(), gae_tasks::Error> {
//! println!("{}", gae_tasks::backend::postgres::migrations("gae_tasks")?);
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! shop --print-migrations > tables.sql
//! psql --single-transaction -v ON_ERROR_STOP=1 -f tables.sql 'postgres://owner@db/shop'
//! psql 'postgres://owner@db/shop' <<SQL
//! GRANT USAGE ON SCHEMA gae_tasks TO shop;
//! GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA gae_tasks TO shop;
//! SQL
//! ```
//!
//! A program then finds its tables and needs nothing else. It checks their version when it opens
//! them: tables of a newer version of this crate, and tables that another program has made, are
//! errors that say so, and are left as they are.
//!
//! In [a transaction of your own](super::transactions) it is your connection's role that writes the
//! task, so that role needs the same rights.
//!
//! # Several services in one database
//!
//! Programs that share a schema share its queues: each runs the tasks that it knows, and leaves the
//! others to those that know them. Services that have nothing to do with each other take a schema
//! each, `?schema=billing` and `?schema=mails`: then neither sees the tasks of the other, nor waits
//! for them, nor wakes the other's workers.
//!
//! # Poolers
//!
//! PgBouncer and others that give each *transaction* another connection need `?pooler=transaction`.
//! Each statement is then part of an explicit transaction, nothing is prepared for longer, settings
//! are `SET LOCAL`, and no lock outlives its transaction. That costs round trips, so connect
//! directly where you can: the pool of a client is small anyway.
//!
//! `options` cannot be given then, because the pooler refuses them: `ALTER ROLE .. SET ..` does the
//! same. A pooler that gives each *session* a connection works without the parameter if it passes
//! `options` on, and with it otherwise.
//!
//! `LISTEN` does not work through such a pooler. Name a direct connection, and workers behind the
//! pooler are woken like others:
//!
//! ```text
//! postgres://shop@pooler:6432/shop?pooler=transaction&listen_url=postgres%3A%2F%2Fshop%40db%3A5432%2Fshop
//! ```
//!
//! # Wake-ups
//!
//! After a commit a client notifies the others (`NOTIFY`, on a channel with the name of the
//! schema), in a statement of its own and at most once in 5 milliseconds. A notification that
//! fails, or a full notification queue of the server, delays and fails no `defer`. Nothing depends
//! on one that is lost: workers also look for tasks once a second, and a listener that has lost its
//! connection makes another one and says so in the log.
//!
//! # Fairness and order
//!
//! Queues take turns, however long the backlog of one is, and each gives its tasks in the order of
//! their schedule times as far as possible. Workers never wait for each other's tasks: what one has
//! locked the next one skips. Neither tasks that a worker cannot run nor tasks of the future stand
//! in anybody's way.
//!
//! # Limits of queues
//!
//! A queue with [limits](super::limits) has a row in the table `bucket`. A lease that takes its
//! tasks holds the row's lock until it commits, so rate and concurrency are exact however many
//! machines there are, and time is that of the server. A worker that finds the row locked serves
//! other queues and comes back after some milliseconds. One such queue therefore gives a few
//! hundred leases a second, each with as many tasks as runners are free: a queue that needs no
//! limit should have none. If the end of a task frees a place for which others wait, all processes
//! are notified. A process that is killed just when it gives back tasks that it has not attempted
//! may lose their tokens: the queue is a little slower once, never faster.
//!
//! **Do not lock or change these rows**: while your transaction holds one, nothing of its queue
//! starts. A row that is gone is made again, with an empty bucket. After a failover that has lost
//! commits, tokens that were taken and leases that were given in the last moment may be forgotten,
//! as the tasks themselves may.
//!
//! # What is promised
//!
//! - **Durability is the server's.** With `fsync` and `synchronous_commit` on, as they are by
//!   default, a task whose `defer` has returned survives a crash of the server and a loss of power.
//!   With `synchronous_commit = off` the last ones may be lost.
//! - **A connection that is lost in the midst of a commit** leaves open whether the commit
//!   happened. The client asks the server on another connection (`pg_xact_status`): a transaction
//!   that was committed is not sent again, one that was not is. If the server does not answer
//!   within 10 seconds, or does not remember, `defer` fails with an error that says so. **Deferring
//!   once more may then run the task twice**, unless the call has a [name](super::deferring#names).
//! - **A call that meets a restart** of the server, a deadlock or a lost connection is tried again
//!   for 10 seconds, unless it may have happened already. Only what workers do by themselves at
//!   intervals (taking tasks, renewing leases, sweeping) waits for its next turn instead. Workers
//!   never end because of the storage.
//! - **The clock is the server's** for all that is stored. Whether a worker is lost is decided by
//!   no clock that can be set: a lease must be seen unchanged for its whole duration, by a worker's
//!   own monotonic clock, or its worker must be [seen to be gone](#when-a-worker-dies). So no
//!   restart, no failover and no jump of the clock takes a live lease.
//! - **An application's open transaction** delays nobody but those who want the same
//!   [name](super::transactions#postgres-many-writers): they wait for two seconds, and get
//!   [`Error::Busy`](crate::Error::Busy) then.
//!
//! # When a worker dies
//!
//! Its tasks run again when their leases are over, 30 seconds after they were last renewed, and
//! mostly before. While it works, a process holds an advisory lock of a random number on the
//! session on which it listens, and its leases name that number. A killed process leaves its
//! session, and its lock is free. That alone proves nothing, because a session can be lost while
//! the process lives; a living process makes another one and locks again within 3 seconds. So a
//! lease is taken early only by a worker that has seen the lock free, in looks about a second
//! apart, for 15 seconds (for half of the lease, if that is more), and no lease of the process
//! renewed, taken or ended in that time. After a restart, a failover, an error of a look or a jump
//! of the server's clock nothing is taken early for one lease time.
//!
//! What needs the whole lease: a machine that is gone without a word, whose sessions the server
//! keeps until its TCP keepalive finds out; workers behind a [pooler](#poolers), or with a
//! `listen_url`; a worker whose role may not call `pg_try_advisory_lock_shared`, or where nobody
//! may read `pg_locks`.
//!
//! **A worker that lives and is cut off** while the server drops its sessions, as by a proxy in
//! between that has ended, looks like one that is dead. After 15 seconds without any connection its
//! tasks may be run elsewhere while it still works on them, until it reaches the server again or
//! gives up its leases by itself. What it records later changes nothing. As everywhere, handlers
//! are to be [idempotent](super::idempotency).
//!
//! # Failover
//!
//! A standby is refused when a client is opened: the URL must lead to the primary, through an
//! address that moves with it. When a server turns read-only or is gone, the client checks its
//! connections before it uses them again, and closes those that lead to the wrong server. Workers
//! go on by themselves after the promotion.
//!
//! **With asynchronous replication a promoted standby may lack the last commits.** Tasks that were
//! acknowledged in that moment are then lost, as your own rows are; tasks that had just ended may
//! run again. Only `synchronous_standby_names` on the server prevents that. Whatever a client
//! remembers to have stored, such as the schemas of tasks, it looks up again, so tasks that are
//! deferred from then on run. `in_tx` is refused while your transaction is on another server than
//! the client's own connections.
//!
//! # Vacuum
//!
//! A queue writes and deletes all the time, and PostgreSQL removes deleted rows only when it
//! vacuums. The tables of a queue have settings of their own for that: autovacuum starts after some
//! thousand changed rows, whatever the size of the table, and does not pause. Leave autovacuum on,
//! and give it enough workers (`autovacuum_max_workers`) if other tables keep it busy for hours.
//!
//! **A snapshot that stays open keeps vacuum from removing anything** that was deleted since. A
//! report, a dump, a forgotten `psql`, a prepared transaction, or the slot of a replica that is
//! gone: each lets the tables grow for as long as it lasts. Workers notice how much of the order of
//! waiting tasks is gone, and begin to look behind it. A task that comes to wait further ahead is
//! found all the same: one that is released, replayed, run by hand or recovered, and one whose
//! transaction was open for long. Whoever puts it there tells all workers that
//! [listen](#wake-ups). Where nobody tells, because a process was killed just then or workers do
//! not listen, the next sweep finds the task: within a second, or, where sweeps take longer than 50
//! milliseconds, within ten times of that, and at most 5 seconds more than one takes. Later tasks
//! may start before it. The tasks of [dead workers](#when-a-worker-dies) may have to wait for the
//! end of their leases then, and for some sweeps. A queue with `max_concurrent_dispatches` becomes
//! slower with each task that it has started since, because each of its leases reads past all that
//! have ended.
//!
//! So do not let it last for hours. Set `idle_in_transaction_session_timeout` (to a second or more:
//! a client keeps a transaction that has read nothing open for some milliseconds), run long reports
//! on a replica (without `hot_standby_feedback`), and drop slots that nobody uses.
//!
//! # Watching
//!
//! [`stats`](crate::Client::stats) and [`list`](crate::Client::list) show the tasks, as
//! [operating](super::operating) says. The names and columns of the tables may change with any
//! release. What the server itself shows is worth an alert:
//!
//! ```text
//! -- Deleted rows that wait for vacuum, and when it came last.
//! SELECT relname, n_live_tup, n_dead_tup, last_autovacuum,
//!        pg_size_pretty(pg_total_relation_size(relid)) AS size
//! FROM pg_stat_user_tables WHERE schemaname = 'gae_tasks' ORDER BY n_dead_tup DESC;
//!
//! -- What holds an old snapshot, oldest first; and slots that do.
//! SELECT pid, application_name, state, now() - xact_start AS since FROM pg_stat_activity
//! WHERE backend_xmin IS NOT NULL ORDER BY age(backend_xmin) DESC LIMIT 5;
//! SELECT slot_name, active, age(xmin) FROM pg_replication_slots WHERE xmin IS NOT NULL;
//!
//! -- The connections of each program, if each has an `application_name` of its own.
//! SELECT application_name, client_addr, count(*) FROM pg_stat_activity GROUP BY 1, 2;
//!
//! -- How full the notification queue is. It fills if a listener stays in one transaction.
//! SELECT pg_notification_queue_usage();
//! ```
//!
//! # Backups, replication
//!
//! The queue is tables like others: `pg_dump`, base backups and archived logs contain it, and a
//! backup of the database has your data and their tasks as of one moment. `pg_dump
//! --schema=gae_tasks` copies the queue alone. After a restore, tasks that ended since run again,
//! and tasks that were running are recovered when their leases are over. Restore while no program
//! is connected: a client looks up what it remembers when it connects again, not before. Payloads
//! in a [payload store](crate::payload_store) are [not in
//! it](super::backup#what-else-belongs-to-it).
//!
//! Every table has a primary key, so the schema may be part of a publication `FOR ALL TABLES`. A
//! subscriber is no second queue, though: run no worker there.
//!
//! # Errors
//!
//! A server that is not reached, a certificate or a password that is refused, a missing database,
//! missing rights, a standby, a full disk, no connection left: each is one error that says what was
//! tried, as whom, and what to do. The text of the database follows as its source, without the rows
//! that it may quote.
