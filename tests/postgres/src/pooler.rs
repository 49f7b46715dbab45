//! PgBouncer in front of a cluster.

use std::fs;
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cluster::Cluster;
use crate::folder::Folder;
use crate::process::Process;
use crate::server::{PATIENCE, SUPERUSER, blocking};
use crate::{port, programs};

/// PgBouncer in transaction mode, with two connections to each database of a cluster.
///
/// All else is as PgBouncer has it by default: parameters of a connection that it does not know,
/// such as the `extra_float_digits` that sqlx sends unless told otherwise, are refused.
#[derive(Debug)]
pub struct Pooler {
    process: Mutex<Option<Process>>,
    port: u16,
    folder: Folder,
    // The server behind it.
    _cluster: Cluster,
}

impl Pooler {
    /// Starts PgBouncer in front of all databases of a cluster.
    ///
    /// # Panics
    ///
    /// Without PgBouncer on this machine, or if it does not start.
    pub async fn before(cluster: &Cluster) -> Pooler {
        let cluster = cluster.clone();
        blocking(|| Self::start(cluster)).await
    }

    fn start(cluster: Cluster) -> Self {
        let (folder, program) = (Folder::create(), programs::pgbouncer());
        for _ in 0..5 {
            let port = port::free();
            let configuration = folder.path().join("pgbouncer.ini");
            fs::write(&configuration, ini(&cluster, port)).expect("the folder is ours");
            let mut command = folder.command(&program);
            let mut process = Process::start(&folder, command.arg(configuration));
            if answers(&mut process, port) {
                return Self {
                    process: Mutex::new(Some(process)),
                    port,
                    folder,
                    _cluster: cluster,
                };
            }
            let log = process.last_lines();
            process.end(&folder, Signal::SIGKILL);
            assert!(log.contains("in use"), "PgBouncer does not start:\n{log}");
        }
        panic!("PgBouncer found no free port");
    }

    /// Returns the URL of a database behind the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Ok(running) = self.process.get_mut()
            && let Some(process) = running.take()
        {
            process.end(&self.folder, Signal::SIGKILL);
        }
    }
}

/// Returns the configuration, which takes every user as superuser.
fn ini(cluster: &Cluster, port: u16) -> String {
    let server = cluster.port();
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server} user={SUPERUSER}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 2\n\
         max_client_conn = 500\n"
    )
}

/// Waits until the process listens, or has ended.
fn answers(process: &mut Process, port: u16) -> bool {
    let began = Instant::now();
    while !process.has_ended() && began.elapsed() < PATIENCE {
        // Another program on the port would make this one end.
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && !process.has_ended() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}
