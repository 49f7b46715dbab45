//! What a version reports about the tasks that it leaves to others.

use gae_tasks::{Client, DeployVerdict, Error};
use serde::{Deserialize, Serialize};

/// The answers of `unroutable` and of `check_deploy`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The waiting tasks that cannot be run.
    pub unroutable: Vec<Reported>,
    /// The routes that `check_deploy` calls stranded.
    pub stranded: Vec<Reported>,
    /// The payloads that do not fit, for each reason.
    pub misfits: Vec<Reported>,
    /// The number of all tasks that will not run.
    pub total: u64,
    /// Whether the version may be deployed.
    pub is_safe: bool,
}

/// So many tasks of one kind and shape, and why they wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Their kind.
    pub kind: String,
    /// Their shape, as text.
    pub shape: String,
    /// Their number.
    pub tasks: u64,
    /// The reason in words.
    pub reason: String,
}

impl Reported {
    fn new(route: &gae_tasks::Route, tasks: u64, reason: &str) -> Self {
        let (kind, shape) = (route.kind().to_string(), route.shape().to_string());
        Self { kind, shape, tasks, reason: reason.to_owned() }
    }
}

impl Report {
    /// Asks the program of `client`.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn of(client: &Client) -> Result<Self, Error> {
        let unroutable = client.unroutable().await?;
        let unroutable = unroutable
            .iter()
            .map(|line| Reported::new(&line.route, line.stats.scheduled, &line.reason))
            .collect();
        let deploy = client.check_deploy().values(usize::MAX).await?;
        let (mut stranded, mut misfits) = (Vec::new(), Vec::new());
        for line in &deploy.routes {
            if let DeployVerdict::Strands { reason } = &line.verdict {
                stranded.push(Reported::new(&line.route, line.stats.open(), reason));
            }
            let reasons = line.values.reasons.iter();
            misfits.extend(reasons.map(|(why, tasks)| Reported::new(&line.route, *tasks, why)));
        }
        let (total, is_safe) = (deploy.stranded(), deploy.is_safe());
        Ok(Self { unroutable, stranded, misfits, total, is_safe })
    }
}
