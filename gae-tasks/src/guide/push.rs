//! Push: Google Cloud Tasks calls this program over HTTP.
//!
//! With a `cloudtasks://` URL nothing polls. `defer` creates a task at Google; at its time the
//! queue sends `POST /_cb/deferred/{module.path}/{function}` to your own service. `PushService`
//! (feature `push`) is the tower service behind that route. It stands on your router, under your
//! middlewares, on axum, tower or actix-web.
//!
//! ```no_run
//! # #[cfg(all(feature = "cloud-tasks", feature = "oidc"))]
//! # mod example {
//! use axum::Router;
//! use gae_tasks::push::verify::Oidc;
//! use gae_tasks::{Client, QueueConfig, deferred};
//!
//! #[deferred(queue = "emails", max_attempts = 8)]
//! async fn send_welcome(user_id: u64) {}
//!
//! # pub
//! async fn router() -> Result<Router, gae_tasks::Error> {
//!     let account = "queue@shop-prod.iam.gserviceaccount.com";
//!     let url = "https://worker-abc.a.run.app";
//!     let queues = "cloudtasks://shop-prod/europe-west1?dead_letters=queues";
//!     let tasks = Client::open(&format!("{queues}&url={url}&service_account={account}")).await?;
//!     tasks.put_queue("emails", QueueConfig::new()).await?; // creates `emails-dead` too, paused
//!     tasks.install()?; // from now on `send_welcome::defer(42).await` stores the task at Google
//!
//!     let proof = Oidc::google().audience(url).service_account(account).build()?;
//!     let service = tasks.push_service().verify(proof).dead_letters(&tasks).build()?;
//!     Ok(Router::new().route_service("/_cb/deferred/{*kind}", service))
//! }
//! # }
//! ```
//!
//! The parameters of the URL are listed at `CloudTasks::open` (feature `cloud-tasks`). Complete
//! services for Cloud Run and App Engine, with the commands that deploy them, are in the examples
//! `cloud_run` and `app_engine`; `-- --local` runs them with a small Cloud Tasks server in the same
//! process.
//!
//! # Who is believed
//!
//! Nothing of a body is read before a verifier believes the head of the request. Without a verifier
//! the service does not build.
//!
//! | verifier | where |
//! |---|---|
//! | `Oidc` (feature `oidc`) | anywhere: Google signs each request with a token of a service account |
//! | `AppEngine` | App Engine, whose front end strips its headers from strangers' requests |
//! | `PlatformAuthenticated` | Cloud Run that checks the caller itself and replaces the signature of the token |
//! | `SharedSecret` | queues of your own, over HTTPS. Cloud Tasks would store the secret with each task |
//! | your own `Verify` | all else |
//!
//! The headers `X-CloudTasks-*` prove nothing: anybody can send them. Refused requests are counted
//! and logged once a minute at most.
//!
//! # Answers
//!
//! The queue forgets a task that is answered with 200: it is done, or its dead letter is safe.
//! Every other answer brings it back. Two of them are not failures of the task: 404, where its kind
//! or its bytes are unknown here, and 503, where there is no room, which also slows the queue down.
//! An application's failure is never answered with 429 or 503. The module `push` lists all answers.
//!
//! A rolling deploy loses nothing: an instance that does not know a task yet answers 404, and an
//! instance that does runs it. After a week a task that nobody could run is a dead letter.
//!
//! # Limits
//!
//! Google ends a task at the queue's own limits without telling anybody. So give queues **unlimited
//! attempts**, as [`put_queue`](crate::Client::put_queue) does; the service warns of others when it
//! starts. The limits of the task travel in its body, and the handler keeps them: a task that
//! reaches them becomes a dead letter first, then it is answered with 200.
//!
//! **On Cloud Tasks `max_attempts` counts deliveries**, except where refused ones can be
//! distinguished. The queue numbers its requests and does not say what became of them, so a request
//! that was answered with 403, 404 or 503 by another instance is counted too. On HTTP targets (not
//! on App Engine) a second header counts those answered with another status than 5xx, and these
//! refusals are subtracted. A task that was only refused is attempted nevertheless, and once more
//! if that fails. So real attempts exceed the cap by one at most, with these exceptions:
//!
//! - The attempt that is granted is a copy of the task, which carries that it was granted. A
//!   [named](super::deferring#names) task is not copied, nor is one whose copy cannot be stored:
//!   the answer 510 stands for the grant. If the platform itself then answers a delivery, with 503
//!   for example, the grant is forgotten, and another one may follow.
//! - The service cannot distinguish a 503 of its own from one that the platform answers for an
//!   instance that crashed, as Cloud Run does. No refusal buries a task, so a task that kills its
//!   instances there is run again, whatever its cap, until the end of its life.
//! - On HTTP targets, [`SingularTaskFailure`](crate::SingularTaskFailure) is answered with 408,
//!   which the second header counts like a refusal. It is subtracted from the moment at which
//!   another status follows, so a task that fails both ways is attempted up to once more for each
//!   408: nearly twice its cap.
//!
//! **Google keeps a task for 31 days** after it was created, whatever its limits. Half a day before
//! that, a failure becomes a dead letter, and so does a task that was sent before, without another
//! attempt.
//!
//! | | |
//! |---|---|
//! | schedule time | at most 30 days ahead |
//! | deadline | 15 seconds to 30 minutes, on App Engine up to a day; a shorter one is kept by the handler |
//! | payload | 100,000 bytes with its schema; larger ones need a [payload store](crate::payload_store) |
//! | names | blocked for up to 24 hours after the end of their task, 9 days in queues that `queue.yaml` made |
//!
//! # A time that the handler chose
//!
//! Cloud Tasks takes the time of the next attempt from no answer. After
//! [`TaskFailure::retry_after`](crate::TaskFailure::retry_after) the service stores a *copy* of the
//! task with that schedule time and answers 200. The copy has the task's id and counts its attempts
//! on, so `max_attempts = 3` ends after three. **After a lost answer both may run**, the task and
//! its copy. A [named](super::deferring#names) task is not copied, as its name keeps it single: it
//! gets the backoff of its queue.
//!
//! # Dead letters
//!
//! The queue forgets a task once it is answered with 200, so the service keeps the dead letter
//! before. If it cannot be kept, the answer is 500 and the task comes again.
//!
//! | sink | keeps them |
//! |---|---|
//! | `.dead_letters(&tasks)`, the service's own client | at Google, in a paused queue `NAME-dead` beside each queue, if its URL says `dead_letters=queues`. **Google keeps them for 31 days at most** |
//! | `.dead_letters(&other)` | in the storage of another client, such as a `sqlite:` file on a disk that stays |
//! | `.dead_letters_in(&letters)` | in a payload store, such as a bucket, until they are replayed or deleted |
//! | `.dead_letters_to(async fn)` | wherever your function puts them |
//! | `.log_dead_letters()` | nowhere: as errors in the log |
//!
//! [`list`](crate::Client::list) and [`replay`](crate::Client::replay) find the letters of a
//! client. [`put_queue`](crate::Client::put_queue) creates a queue of dead letters together with
//! its queue; one that is missing is an error of `build`. A push service never runs a letter, also
//! if somebody resumes that queue: it answers 404.
//!
//! **The disk of a container does not outlive it**: a `sqlite:` file there loses the letters. A
//! dead letter can come twice, if the answer was lost; its id is the same.
//!
//! # Large payloads
//!
//! Each task carries the schema of its args, and the paths that `sensitive` names. They count in
//! its size: a schema of a few parameters has some ten bytes, one of a large struct some hundred. A
//! task whose schema alone is above the limit is refused by `defer`, whatever its payload: raise
//! `max_payload` in the URL, or make the largest parameter a `Json<T>`.
//!
//! A payload that does not fit beside them goes to the client's
//! [payload store](crate::payload_store); the task carries its key. The attempt that succeeds
//! overwrites the payload with a marker, so that a repeated delivery runs nothing.
//! [`Client::sweep_payloads`](crate::Client::sweep_payloads) deletes markers 32 days later.
//!
//! # Memory
//!
//! The service holds at most 64 MiB of bodies and stored payloads at a time, counted from before
//! they are read until their attempt ends; what does not fit is answered with 503. A larger attempt
//! runs while there is no other. After a refusal it waits for that, for half of its deadline: it
//! may be refused again where other attempts take longer than this. The builder sets both this
//! budget and the largest stored payload.
//!
//! A body counts once. While it is opened, its payload is in memory twice.
//!
//! # Mounting
//!
//! axum's `route_service("/_cb/deferred/{*kind}", service)` leaves the path as it is, which the
//! service expects. `nest_service("/_cb/deferred", service)` strips the prefix: there the builder
//! needs `.nested()`. For actix-web, `App::new().service(service.actix())`, and
//! `HttpServer::h1_allow_half_closed(false)`, or a handler goes on when the queue has hung up.
//!
//! Middlewares ask `push::is_from_task_queue` whether a response or request was proven to be the
//! queue's.
//!
//! A local Cloud Tasks server is named by `CLOUD_TASKS_EMULATOR_HOST`, or by `endpoint` in the URL.
