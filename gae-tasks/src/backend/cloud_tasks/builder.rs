//! The builder of the backend: where the queues are, and where their tasks are sent.

use std::env::var;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use google_cloud_auth::credentials::{Builder as DefaultCredentials, anonymous};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_tasks_v2::client::CloudTasks as Google;
use tokio::runtime::Builder;

use super::CloudTasks;
use super::error::failed;
use super::limits::{MAX_TASK_BYTES, NAME};
use super::name::Location;
use super::shared::Shared;
use super::target::{Http, Origin, Routing, Target, Token};
use crate::attributes::problem_of_header;
use crate::backend::runtime::Runtime;
use crate::error::{Error, no_problems};
use crate::task::URL_PREFIX;

/// An environment variable that other clients of Cloud Tasks read too: `HOST:PORT` of a local
/// server.
const EMULATOR: &str = "CLOUD_TASKS_EMULATOR_HOST";

/// Bytes within Google's limit that are reserved for everything besides the payload, its schema and
/// its sensitive paths.
const ROOM: usize = 16 * 1024;

/// Builds a [`CloudTasks`]; every parameter of its [URL](CloudTasks::open) has a method here.
///
/// ```no_run
/// # async fn example() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::{Client, backend::cloud_tasks::CloudTasks};
///
/// let backend = CloudTasks::builder("shop-prod", "europe-west1")
///     .http("https://worker-abc.a.run.app")
///     .service_account("queue@shop-prod.iam.gserviceaccount.com")
///     .build()
///     .await?;
/// let tasks = Client::builder().build_push(backend)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build`"]
#[derive(Clone)]
pub struct CloudTasksBuilder {
    place: Location,
    url: Option<String>,
    service_account: Option<String>,
    audience: Option<String>,
    routing: Routing,
    background: Option<String>,
    origin: Option<Origin>,
    app_engine: bool,
    prefix: String,
    headers: Vec<(String, String)>,
    endpoint: Option<String>,
    anonymous: bool,
    time_limit: Duration,
    max_payload: usize,
    keeps_letters: bool,
}

/// Shows only the names of headers: a value may be a secret.
impl fmt::Debug for CloudTasksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("CloudTasksBuilder")
            .field("place", &self.place)
            .field("url", &self.url)
            .field("service_account", &self.service_account)
            .field("audience", &self.audience)
            .field("routing", &self.routing)
            .field("background", &self.background)
            .field("origin", &self.origin)
            .field("app_engine", &self.app_engine)
            .field("prefix", &self.prefix)
            .field("headers", &headers)
            .field("endpoint", &self.endpoint)
            .field("anonymous", &self.anonymous)
            .field("time_limit", &self.time_limit)
            .field("max_payload", &self.max_payload)
            .field("keeps_letters", &self.keeps_letters)
            .finish()
    }
}

impl CloudTasks {
    /// Creates a builder for the queues of a project in a region, e.g. `europe-west1`.
    pub fn builder(project: impl Into<String>, location: impl Into<String>) -> CloudTasksBuilder {
        CloudTasksBuilder::new(project.into(), location.into())
    }
}

impl CloudTasksBuilder {
    pub(super) fn new(project: String, location: String) -> Self {
        Self {
            place: Location { project, location },
            url: None,
            service_account: None,
            audience: None,
            routing: Routing::default(),
            background: None,
            origin: None,
            app_engine: false,
            prefix: URL_PREFIX.to_owned(),
            headers: Vec::new(),
            endpoint: None,
            anonymous: false,
            time_limit: Duration::from_secs(10),
            max_payload: 100_000,
            keeps_letters: false,
        }
    }

    /// Sends tasks to this server, e.g. `https://worker-abc.a.run.app`, under the
    /// [prefix](Self::prefix).
    pub fn http(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the service account whose OIDC token each request to the server carries. This program
    /// must be allowed to act as that account (`roles/iam.serviceAccountUser`).
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.service_account = Some(email.into());
        self
    }

    /// Sets the audience of the token; by default the URL given to [`http`](Self::http).
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sends tasks to the project's App Engine application: to the service and the version that
    /// defer them, if these are known ([`deferring_from`](Self::deferring_from)), otherwise to the
    /// default service.
    ///
    /// On App Engine itself this is the default.
    pub fn app_engine(mut self) -> Self {
        self.app_engine = true;
        self
    }

    /// Sends all tasks to this service of App Engine, wherever they are deferred.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.routing.service = Some(service.into());
        self
    }

    /// Sends all tasks to this version of the [`service`](Self::service); by default to the version
    /// that receives the service's traffic at the time of the attempt.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.routing.version = Some(version.into());
        self
    }

    /// Sends tasks that App Engine's service `default` defers to this service, to the same version
    /// as the deferring one. Other services run their own tasks.
    pub fn background_service(mut self, service: impl Into<String>) -> Self {
        self.background = Some(service.into());
        self
    }

    /// Sets the App Engine service and version that this program is; by default the values of
    /// `GAE_SERVICE` and `GAE_VERSION`, which App Engine sets.
    pub fn deferring_from(
        mut self,
        service: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        self.origin = Some(Origin { service: service.into(), version: version.into() });
        self
    }

    /// Sets what the path of each request begins with; by default `/_cb/deferred`, as in the push
    /// service.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a header to every request. The header is stored with each task, so its value should not
    /// be a production secret. `build` refuses invalid header names, headers that the queue or
    /// gae-tasks itself sets, and values that cannot be sent.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the address of Cloud Tasks itself, e.g. `http://127.0.0.1:8123` for a local server; by
    /// default the environment variable `CLOUD_TASKS_EMULATOR_HOST` (`HOST:PORT`), or else Google.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sends no credentials; for local servers. Implied by `CLOUD_TASKS_EMULATOR_HOST`. Without
    /// this setting, the program's [default
    /// credentials](https://cloud.google.com/docs/authentication/application-default-credentials)
    /// are used.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Sets how long one call may take, retries included; 10 seconds by default.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the most bytes of a payload that is stored in the queue itself, together with the
    /// schema of the args and the sensitive paths, which travel with each task; 100,000 by default,
    /// up to 1,032,185. A schema of a few parameters has some ten bytes, one of many types some
    /// hundred, and none more than 64 KiB. Google bills a task for each 32 KB begun.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Keeps dead letters at Google, because a container has no disk that outlives it: each queue's
    /// dead letters are in a paused queue `NAME-dead` beside it. Give the push service this client,
    /// or another one with this setting: `.dead_letters(&tasks)`. The client's calls list, replay
    /// and delete them.
    ///
    /// - [`put_queue`](crate::Client::put_queue) also creates the queue of dead letters and pauses
    ///   it; so do `gcloud tasks queues create NAME-dead --max-attempts=-1
    ///   --min-backoff=3600s --max-backoff=3600s` and
    ///   `gcloud tasks queues pause NAME-dead`. Building a push service fails if its queues of dead
    ///   letters are missing. It knows the queues of its task types and the default queues: call
    ///   `put_queue` for queues that only `.queue(..)` names too. With this setting, names of
    ///   queues have at most 95 characters and do not end in
    ///   `-dead`.
    /// - **Google keeps a dead letter for at most 31 days**, and then deletes it silently: look at
    ///   dead letters before.
    /// - A push service answers 404 to a dead letter and runs nothing, so resuming a queue of dead
    ///   letters does no harm.
    /// - [`replay`](crate::Client::replay) stores a new task, under a name derived from the
    ///   letter's name, and then deletes the letter. A replayed task no longer has the name that
    ///   its caller gave it.
    pub fn dead_letter_queues(mut self) -> Self {
        self.keeps_letters = true;
        self
    }

    /// Builds the backend, without any request to Google.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every problem of the settings, [`Error::Storage`] if there are
    /// no credentials.
    pub async fn build(mut self) -> Result<CloudTasks, Error> {
        if self.endpoint.is_none()
            && let Some(host) = environment(EMULATOR)
        {
            self.endpoint =
                Some(if host.contains("://") { host } else { format!("http://{host}") });
            self.anonymous = true;
        }
        self.origin = self.origin.or_else(origin);
        no_problems(self.problems())?;
        let runtime = Runtime::start(NAME, "gae-tasks-google", &mut Builder::new_current_thread())?;
        // On the client's own thread: the credentials keep a task running that renews them.
        let google = runtime.run(google(self.endpoint.clone(), self.anonymous)).await?;
        let shared = Shared {
            google,
            target: self.target(),
            place: self.place,
            prefix: self.prefix,
            headers: self.headers,
            time_limit: self.time_limit,
            max_payload: self.max_payload,
            keeps_letters: self.keeps_letters,
            retries: Mutex::default(),
            letters: Mutex::default(),
        };
        Ok(CloudTasks { shared: Arc::new(shared), runtime })
    }

    fn target(&self) -> Target {
        if let Some(url) = &self.url {
            let base = url.trim_end_matches('/').to_owned();
            let audience = self.audience.clone().unwrap_or_else(|| base.clone());
            let token = self
                .service_account
                .clone()
                .map(|service_account| Token { service_account, audience });
            return Target::Http(Http { base, token });
        }
        let origin = self.origin.clone().filter(|_| self.routing == Routing::default());
        Target::AppEngine(match origin {
            Some(origin) => origin.routing(self.background.clone()),
            None => self.routing.clone(),
        })
    }

    /// Returns every problem of the settings.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems_of_target();
        let Location { project, location } = &self.place;
        let is_plain = |text: &str, more: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || more.contains(c))
        };
        if !is_plain(project, ":.") || !is_plain(location, "") {
            problems.push(format!(
                "`{project}/{location}` does not name project and region, as \
                 `shop-prod/europe-west1` does"
            ));
        }
        let prefix = self.prefix.strip_prefix('/');
        if prefix.is_none_or(|rest| {
            rest.is_empty() || rest.split('/').any(|part| !is_plain(part, "._~"))
        }) {
            problems.push(format!(
                "the prefix `{}` is not a path such as `/_cb/deferred`",
                self.prefix
            ));
        }
        if self.endpoint.as_deref().is_some_and(|endpoint| !is_http(endpoint)) {
            let endpoint = self.endpoint.as_deref().unwrap_or_default();
            problems.push(format!(
                "the endpoint `{endpoint}` is not a URL such as `http://127.0.0.1:8123`"
            ));
        }
        let headers =
            self.headers.iter().filter_map(|(name, value)| problem_of_header(name, value));
        problems.extend(headers.map(|problem| format!("a header of every request: {problem}")));
        if self.time_limit.is_zero() {
            problems.push("the time limit is zero, which leaves no time for any call".to_owned());
        }
        if self.max_payload > MAX_TASK_BYTES - ROOM {
            let most = MAX_TASK_BYTES - ROOM;
            problems.push(format!(
                "payloads of {} bytes do not fit into a task, the most is {most}",
                self.max_payload
            ));
        }
        problems
    }

    fn problems_of_target(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let token = self.service_account.is_some() || self.audience.is_some();
        let routing =
            self.app_engine || self.routing != Routing::default() || self.background.is_some();
        match &self.url {
            Some(url) if !is_http(url) || url.contains(['?', '#', ' ']) => {
                problems.push(format!("`{url}` is not a URL that paths can follow, such as `https://worker-abc.a.run.app`"));
            }
            Some(_) if routing => {
                problems.push("tasks go either to a URL or to App Engine, not to both".to_owned())
            }
            Some(_) if self.service_account.is_none() && self.audience.is_some() => {
                problems.push(
                    "an audience is of use only to the token of a service account: name one"
                        .to_owned(),
                );
            }
            None if token => problems.push(
                "service account and audience are for tasks that go to a URL: name it".to_owned(),
            ),
            None if !routing && self.origin.is_none() => problems.push(
                "nothing says where tasks are sent: name a URL (`.http(..)`, or `url=` in the \
                 queue URL), or App Engine (`.app_engine()`, or `target=app-engine`)"
                    .to_owned(),
            ),
            _ => {}
        }
        if self.background.is_some() && self.routing != Routing::default() {
            problems.push(
                "a background service is of no use where all tasks go to one service: name one of \
                 the two"
                    .to_owned(),
            );
        }
        problems
    }
}

async fn google(endpoint: Option<String>, anonymous: bool) -> Result<Google, Error> {
    let credentials = if anonymous {
        Ok(anonymous::Builder::new().build())
    } else {
        DefaultCredentials::default().build()
    };
    let credentials = credentials.map_err(|error| {
        let problem = "has no credentials to ask with: set `GOOGLE_APPLICATION_CREDENTIALS`, use \
                       `gcloud auth application-default login`, or set `CLOUD_TASKS_EMULATOR_HOST` \
                       for a local server";
        failed(problem.to_owned(), error.into())
    })?;
    // `call` makes the retries.
    let builder = Google::builder().with_credentials(credentials).with_retry_policy(NeverRetry);
    let builder =
        endpoint.into_iter().fold(builder, |builder, endpoint| builder.with_endpoint(endpoint));
    builder.build().await.map_err(|error| failed("cannot make its client".to_owned(), error.into()))
}

/// Returns the App Engine service and version from the environment.
fn origin() -> Option<Origin> {
    Some(Origin { service: environment("GAE_SERVICE")?, version: environment("GAE_VERSION")? })
}

fn environment(name: &str) -> Option<String> {
    var(name).ok().filter(|value| !value.is_empty())
}

fn is_http(url: &str) -> bool {
    url.strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .is_some_and(|rest| !rest.starts_with(['/', ':']) && !rest.is_empty())
}
