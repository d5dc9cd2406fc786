//! The thread that reads requests: a socket, TLS where it is asked for, and an end that lets answers finish.
//!
//! Promises: the thread holds no capability from its first request on. A client that is slow to say what it wants is let go.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server as HttpServer};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::access::Access;
use super::{AgentError, Pulse, Question, http, privileges};

/// How long a client may take to send the head of a request, and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long answers may take after the agent was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// A socket that listens, and nobody who answers yet.
pub struct Bound {
    socket: TcpListener,
    /// Where it listens: the port is the kernel's choice where 0 was asked for.
    pub address: SocketAddr,
}

/// Listens. Ports below 1024 take a right that the agent gives up before it answers.
pub fn bind(listen: SocketAddr) -> Result<Bound, AgentError> {
    let bound = || {
        let socket = TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Bound { socket, address })
    };
    bound().map_err(|cause| AgentError::Listen { listen, cause })
}

/// The running server. It ends at SIGTERM or SIGINT, which closes the channel of its questions.
pub struct Server(JoinHandle<Result<(), AgentError>>);

impl Server {
    /// Waits for its end.
    pub fn join(self) -> Result<(), AgentError> {
        let failed = std::io::Error::other("its thread has failed");
        self.0.join().unwrap_or_else(|_| Err(system("serve")(failed)))
    }
}

/// Answers on a thread of its own. Each question goes to `questions`; at most as many wait as that holds.
pub fn start(
    bound: Bound,
    access: Access,
    questions: SyncSender<Question>,
    pulse: Arc<Pulse>,
) -> Result<Server, AgentError> {
    let thread = thread::Builder::new().name("http".to_owned());
    let thread = thread.spawn(move || serve(bound.socket, access, questions, pulse));
    thread.map(Server).map_err(system("start a thread"))
}

fn system(what: &'static str) -> impl Fn(std::io::Error) -> AgentError {
    move |cause| AgentError::System { what, cause }
}

fn serve(
    socket: TcpListener,
    access: Access,
    questions: SyncSender<Question>,
    pulse: Arc<Pulse>,
) -> Result<(), AgentError> {
    privileges::give_up().map_err(|error| system("give up capabilities")(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the event loop"))?;
    runtime.block_on(async {
        let handle = Handle::new();
        let stopping = stop_at_signal(handle.clone())?;
        let app = http::router(&access, questions, pulse).into_make_service();
        let mut server = axum_server::from_tcp(socket).map_err(system("listen"))?.handle(handle).http1_only();
        patient(server.http_builder());
        let done = match access.tls {
            None => server.serve(app).await,
            Some(tls) => {
                let acceptor =
                    RustlsAcceptor::new(RustlsConfig::from_config(tls)).handshake_timeout(PATIENCE);
                HttpServer::acceptor(server, acceptor).serve(app).await
            }
        };
        stopping.abort();
        done.map_err(system("serve"))
    })
}

/// HTTP/1 alone has a limit for how long a client may say nothing.
fn patient(http: &mut Builder<TokioExecutor>) {
    http.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
}

/// Ends the server gracefully at SIGTERM or SIGINT.
fn stop_at_signal(handle: Handle<SocketAddr>) -> Result<tokio::task::JoinHandle<()>, AgentError> {
    let failed = system("listen to signals");
    let mut terminate = signal(SignalKind::terminate()).map_err(&failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(&failed)?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.graceful_shutdown(Some(FAREWELL));
    }))
}
