//! The schedules of a program as jobs of Cloud Scheduler, which calls the push service at each tick
//! where no worker runs.

use std::collections::BTreeSet;
use std::fmt;

use super::Client;
use crate::cron::Cron;
use crate::error::{Error, no_problems};
use crate::task::URL_PREFIX;

/// Where jobs of Cloud Scheduler send their requests, and who they are.
///
/// ```
/// use gae_tasks::CloudScheduler;
///
/// let scheduler = CloudScheduler::new("https://worker-abc.a.run.app")
///     .location("europe-west1")
///     .service_account("queue@shop-prod.iam.gserviceaccount.com");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudScheduler {
    uri: String,
    prefix: String,
    location: Option<String>,
    service_account: Option<String>,
    audience: Option<String>,
}

impl CloudScheduler {
    /// Creates jobs that call the push service of the program at this URL, without the prefix: the
    /// `url` of the queue's backend.
    pub fn new(uri: impl Into<String>) -> Self {
        let (uri, prefix) = (uri.into(), URL_PREFIX.to_owned());
        Self { uri, prefix, location: None, service_account: None, audience: None }
    }

    /// Sets the URL path before a task's kind; `/_cb/deferred` by default, as for the push service.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the location of the jobs, such as `europe-west1`.
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Sets the service account that signs the tokens of the requests. The push service must accept
    /// it: give it the one of the queue.
    pub fn service_account(mut self, email: impl Into<String>) -> Self {
        self.service_account = Some(email.into());
        self
    }

    /// Sets the audience of the tokens, which the push service expects; the URL by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

/// How often a request that fails is sent again: as often as Cloud Scheduler allows. By default it
/// is not, and a tick would be lost with one answer.
const RETRIES: u32 = 5;

/// A job of Cloud Scheduler. `Display` is the line of `gcloud` that creates it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloudSchedulerJob {
    /// The name of the job: the kind of the task, with hyphens for what such names cannot have.
    pub name: String,
    /// The location of the job.
    pub location: Option<String>,
    /// The expression: five fields.
    pub schedule: String,
    /// The time zone.
    pub time_zone: String,
    /// The URL that is called.
    pub uri: String,
    /// The service account that signs the tokens of the requests.
    pub service_account: Option<String>,
    /// The audience of the tokens.
    pub audience: String,
}

impl Client {
    /// Returns the schedules that the tasks of this program declare as jobs of Cloud Scheduler, for
    /// programs in which no worker runs: on Cloud Tasks, scaled to zero. A job calls the push
    /// service of the program, which believes it like the queue, and stores the task of the tick in
    /// the queue, under the tick's name. What a task is made of is not in the job, so a deploy
    /// changes args without changing jobs.
    ///
    /// Jobs are not created or deleted here: print them, and run what has changed.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every schedule that Cloud Scheduler does not have: `L`, `#`,
    /// and words, as in `every 5 minutes`.
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::{Client, CloudScheduler, deferred};
    ///
    /// #[deferred(name = "shop/report", cron = "0 9 * * MON-FRI", timezone = "Europe/Paris")]
    /// async fn report() {}
    ///
    /// let tasks = Client::open("memory:").await?;
    /// let scheduler = CloudScheduler::new("https://worker-abc.a.run.app")
    ///     .service_account("queue@shop-prod.iam.gserviceaccount.com");
    /// let jobs = tasks.cloud_scheduler_jobs(&scheduler)?;
    /// assert_eq!(jobs[0].uri, "https://worker-abc.a.run.app/_cb/deferred/shop/report");
    /// for job in &jobs {
    ///     println!("{job}"); // gcloud scheduler jobs create http shop-report --schedule=..
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cloud_scheduler_jobs(
        &self,
        scheduler: &CloudScheduler,
    ) -> Result<Vec<CloudSchedulerJob>, Error> {
        let (mut jobs, mut problems) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for schedule in &*self.declaration(&mut problems).schedules {
            let cron = Cron::parse(&schedule.cron)?;
            if let Some(problem) = problem_of(&cron) {
                problems.push(format!("the schedule of `{}` {problem}", schedule.name));
                continue;
            }
            let job = scheduler.job(&schedule.name, &cron);
            if !names.insert(job.name.clone()) {
                let (kind, name) = (&schedule.name, &job.name);
                problems.push(format!(
                    "the job of `{kind}` has the name `{name}` of another one: rename the task"
                ));
            }
            jobs.push(job);
        }
        no_problems(problems)?;
        Ok(jobs)
    }
}

impl CloudScheduler {
    fn job(&self, kind: &str, cron: &Cron) -> CloudSchedulerJob {
        let fits = |letter: char| match letter {
            '_' | '-' => letter,
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        };
        let base = self.uri.trim_end_matches('/');
        CloudSchedulerJob {
            name: kind.chars().map(fits).collect(),
            location: self.location.clone(),
            schedule: cron.expression().to_owned(),
            time_zone: cron.zone().to_owned(),
            uri: format!("{base}{}/{kind}", self.prefix.trim_end_matches('/')),
            service_account: self.service_account.clone(),
            audience: self.audience.clone().unwrap_or_else(|| self.uri.clone()),
        }
    }
}

/// What Cloud Scheduler does not have of an expression, if anything. Jobs with an expression in
/// words do not say when their ticks are due, so no tick could be told from another.
fn problem_of(cron: &Cron) -> Option<&'static str> {
    let fields: Vec<_> = cron.expression().split(' ').collect();
    let is_in_words = cron.expression().contains(|letter: char| letter.is_ascii_lowercase());
    let is_own = |field: &str| field.contains(['L', '#']);
    match fields[..] {
        [_, _, day, _, weekday] if !is_in_words => (is_own(day) || is_own(weekday))
            .then_some("has `L` or `#`, which Cloud Scheduler does not have"),
        _ => Some("is in words: write the five fields for Cloud Scheduler"),
    }
}

impl fmt::Display for CloudSchedulerJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcloud scheduler jobs create http {}", self.name)?;
        if let Some(location) = &self.location {
            write!(f, " --location={}", Quoted(location))?;
        }
        write!(
            f,
            " --schedule={} --time-zone={} --uri={} --http-method=POST \
             --max-retry-attempts={RETRIES}",
            Quoted(&self.schedule),
            Quoted(&self.time_zone),
            Quoted(&self.uri)
        )?;
        if let Some(account) = &self.service_account {
            let (account, audience) = (Quoted(account), Quoted(&self.audience));
            write!(f, " --oidc-service-account-email={account} --oidc-token-audience={audience}")?;
        }
        Ok(())
    }
}

/// A text as one word of a shell.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(expression: &str, scheduler: &CloudScheduler) -> CloudSchedulerJob {
        scheduler.job("shop.reports/daily", &Cron::parse(expression).expect("it is valid"))
    }

    #[test]
    fn a_job_is_printed_as_the_line_that_creates_it() {
        let scheduler = CloudScheduler::new("https://shop.example/")
            .prefix("/tasks/")
            .location("europe-west1")
            .service_account("queue@shop.iam.gserviceaccount.com")
            .audience("it's me");
        let expected = "gcloud scheduler jobs create http shop-reports-daily \
                        --location='europe-west1' --schedule='0 9 * * 1' \
                        --time-zone='Europe/Paris' \
                        --uri='https://shop.example/tasks/shop.reports/daily' --http-method=POST \
                        --max-retry-attempts=5 \
                        --oidc-service-account-email='queue@shop.iam.gserviceaccount.com' \
                        --oidc-token-audience='it'\\''s me'";
        assert_eq!(job("0 9 * * 1 (Europe/Paris)", &scheduler).to_string(), expected);
    }

    #[test]
    fn the_audience_is_the_url_and_there_is_no_token_without_an_account() {
        let job = job("0 9 * * 1", &CloudScheduler::new("https://shop.example"));
        assert_eq!(
            (job.audience.as_str(), job.time_zone.as_str()),
            ("https://shop.example", "UTC")
        );
        let line = job.to_string();
        assert!(
            !line.contains("oidc") && line.contains("/_cb/deferred/shop.reports/daily"),
            "{line}"
        );
    }

    #[test]
    fn what_cloud_scheduler_does_not_have_is_found() {
        for (expression, is_there) in [
            ("0 9 1 JUL MON-FRI", true),
            ("*/5 1-3,7 * * *", true),
            ("0 0 L * *", false),
            ("0 0 * * 1#2", false),
            ("every 5 minutes", false),
            ("every day 09:00", false),
        ] {
            let cron = Cron::parse(expression).expect("it is valid");
            assert_eq!(problem_of(&cron).is_none(), is_there, "{expression}: {cron}");
        }
    }
}
