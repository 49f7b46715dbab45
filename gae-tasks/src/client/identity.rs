//! The program of a client: stated to its builder, and told to others.

use super::{Client, ClientBuilder};

impl ClientBuilder {
    /// Sets the name of the program, to which the schedules belong that its tasks declare and that
    /// it makes at run time; `[A-Za-z0-9._-]{1,200}`. By default that of its executable, which
    /// Cargo names after the crate, without a version at its end (`shop-1.4.0`).
    ///
    /// State it if several executables are one program, such as one that defers and one that
    /// works; or the schedules of tasks that both declare tick twice. State it too if executables
    /// of several programs have one name, such as `server`, or the name changes from deploy to
    /// deploy. A program that is renamed leaves its schedules behind, and they go on.
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.program.name = Some(name.into());
        self
    }

    /// Sets the revision of the program, such as the number of a build. While two revisions run
    /// side by side, schedules are as the newer one declares them.
    ///
    /// By default it is the time at which the executable was written, in microseconds since 1970.
    /// That is the time of the build where deploys keep it, as images of containers do; then a
    /// build that is deployed again is older than the one that it replaces, and schedules stay as
    /// the newest build declared them. State a number that grows with each deploy if a rollback is
    /// to bring schedules back.
    ///
    /// State one also where all builds have one time: images that are made reproducibly set the
    /// times of their files to a fixed one (before the year 2000 it is the revision 0). There a
    /// deploy changes a schedule only once no worker was seen for 10 minutes that declares it as it
    /// was, and never ends one that it does not declare any more: pause that, or remove it by hand.
    pub fn revision(mut self, revision: u64) -> Self {
        self.program.revision = Some(revision);
        self
    }
}

impl Client {
    /// The name of the client's program.
    pub fn program(&self) -> &str {
        &self.0.program.name
    }

    /// The revision of the client's program.
    pub(super) fn revision(&self) -> i64 {
        self.0.program.revision
    }
}
