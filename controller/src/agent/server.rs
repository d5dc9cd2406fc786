//! The thread that reads requests: a socket, TLS where it is asked for, and an end that lets answers finish.
//!
//! Promises: the thread holds no capability from its first request on. A client that is slow to say what it wants is let go,
//! and no more are let in than [`Limits`] says.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::signal::unix::{SignalKind, signal};

use super::access::{Access, Tls};
use super::limits::{Door, Limits};
use super::{AgentError, Pulse, Question, http, privileges};

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
        let app = http::router(&access, questions, pulse);
        let done = answer(socket, access.tls, app, Limits::default(), handle).await;
        stopping.abort();
        done.map_err(system("serve"))
    })
}

/// Answers until `handle` says that it is over.
async fn answer(
    socket: TcpListener,
    tls: Option<Tls>,
    app: Router,
    limits: Limits,
    handle: Handle<SocketAddr>,
) -> std::io::Result<()> {
    let app = app.into_make_service();
    let mut server = axum_server::from_tcp(socket)?.handle(handle).http1_only();
    // HTTP/1 alone has a limit for how long a client may say nothing.
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(limits.patience);
    let door = Door::new(limits);
    match tls {
        None => server.acceptor(door).serve(app).await,
        Some(tls) => {
            let tls = RustlsAcceptor::new(RustlsConfig::from_config(tls)).handshake_timeout(limits.patience);
            server.acceptor(tls.acceptor(door)).serve(app).await
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    /// Does something with a server of these limits, and ends it.
    fn serving(limits: Limits, what: impl FnOnce(SocketAddr)) {
        let bound = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (handle, address) = (Handle::new(), bound.address);
        let over = handle.clone();
        let thread = thread::spawn(move || {
            let app = Router::new().route("/", axum::routing::get(|| async { "here" }));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(answer(bound.socket, None, app, limits, handle)).unwrap();
        });
        what(address);
        over.shutdown();
        thread.join().unwrap();
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// What is answered to a request; nothing where the connection was closed.
    fn ask(stream: &mut TcpStream) -> String {
        let mut answer = vec![0; 1024];
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let length = asked.and_then(|()| stream.read(&mut answer)).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Goal: no more are let in than there is room for. Method: fill it, come once more, leave, and come again.
    #[test]
    fn who_comes_when_it_is_full_is_turned_away_and_who_leaves_makes_room() {
        let limits = Limits { connections: 4, ..Limits::default() };
        serving(limits, |address| {
            let mut inside: Vec<TcpStream> = (0..4).map(|_| connect(address)).collect();
            assert!(inside.iter_mut().all(|one| ask(one).ends_with("here")), "each has its place");
            assert_eq!(ask(&mut connect(address)), "", "one more is turned away");
            assert!(ask(&mut inside[3]).ends_with("here"), "which costs nobody else anything");
            inside.pop();
            let begun = Instant::now();
            while !ask(&mut connect(address)).ends_with("here") {
                assert!(begun.elapsed() < Duration::from_secs(20), "who leaves makes room");
                thread::sleep(Duration::from_millis(10));
            }
        });
    }

    /// Goal: nobody keeps a place by saying nothing, before the first request or after it.
    #[test]
    fn who_says_nothing_is_let_go() {
        let short = Duration::from_millis(300);
        let limits = Limits { patience: short, idle: 2 * short, ..Limits::default() };
        serving(limits, |address| {
            let (mut silent, mut slow, mut idle) = (connect(address), connect(address), connect(address));
            slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
            assert!(ask(&mut idle).ends_with("here"));
            let begun = Instant::now();
            for (who, stream) in [("silent", &mut silent), ("slow", &mut slow), ("idle", &mut idle)] {
                // Closed, or reset: what was sent half is not read to its end.
                let _ = stream.read_to_end(&mut Vec::new());
                assert!(begun.elapsed() < Duration::from_secs(15), "who is {who} is let go");
            }
        });
    }
}
