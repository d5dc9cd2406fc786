//! The agent: what the kernel says, over HTTP, for Prometheus and for people.
//!
//! Promises: it only reads, and nothing is enforced less where it is not there. Who can reach it from another machine must
//! speak TLS and know the token. The threads that read requests hold no capability; those that ask the kernel and read its events hold
//! [`privileges::KEPT`]. Refuses to listen beyond this machine without both.

mod access;
mod http;
mod limits;
mod page;
pub mod presence;
pub mod privileges;
mod server;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::telemetry::Snapshot;

pub use access::{Access, Files, access};
pub use page::{PageData, Past};
pub use server::{Bound, Server, bind, start};
pub use watch::{Notice, Notices, lines, notices};

/// What a request wants to know, as of now. Whoever reads the kernel answers.
pub enum Question {
    State(Reply<Arc<Snapshot>>),
    /// [`PageData`] as JSON.
    Page(Reply<String>),
}

/// The way back to who asked.
pub type Reply<T> = oneshot::Sender<Answer<T>>;

/// When the kernel was last looked at.
#[derive(Debug)]
pub struct Pulse(Mutex<Instant>);

impl Pulse {
    /// It was looked at now.
    pub fn new() -> Pulse {
        Pulse(Mutex::new(Instant::now()))
    }

    /// It was looked at now.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse::new()
    }
}

/// What the kernel said, or why it could not be asked.
pub type Answer<T> = Result<T, String>;

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(
        "{listen} can be reached from other machines, and what it tells is not for everybody: {missing}; or listen on 127.0.0.1"
    )]
    Open { listen: SocketAddr, missing: String },
    #[error("--tls-cert and --tls-key belong together: the other one is missing")]
    HalfTls,
    #[error("cannot {what} {path}: {cause}")]
    File { what: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("{path} can be read by everybody: `chmod 600 {path}`")]
    Bare { path: PathBuf },
    #[error(
        "{path} holds {length} characters; a token has at least {}: `openssl rand -hex 32 > {path}`",
        access::SHORTEST_TOKEN
    )]
    ShortToken { path: PathBuf, length: usize },
    #[error("{path} holds no {what} in PEM: {cause}")]
    Pem { what: &'static str, path: PathBuf, cause: String },
    #[error("the certificate and the key do not make a TLS server: {0}")]
    Tls(String),
    #[error("cannot listen on {listen}: {cause}; is another agent running there?")]
    Listen { listen: SocketAddr, cause: std::io::Error },
    #[error("cannot {what}: {cause}")]
    System { what: &'static str, cause: std::io::Error },
}
