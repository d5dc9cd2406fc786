//! How many may speak with the agent at a time, and how long they may say nothing.
//!
//! Promises: a connection beyond the limit is closed at once, before a byte of it is read; one that ends makes room. What a
//! stranger can take up is bounded without a look at who it is, TLS or not.

use std::future::{Future, Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time. Prometheus holds one, a browser six.
    pub(super) connections: usize,
    /// How long a client may take to shake hands, and to send the head of its first request.
    pub(super) patience: Duration,
    /// How long nothing may pass on a connection, in neither direction: longer than Prometheus waits between two scrapes.
    pub(super) idle: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { connections: 128, patience: Duration::from_secs(10), idle: Duration::from_secs(75) }
    }
}

/// Lets in as many as there is room for.
#[derive(Clone)]
pub(super) struct Door {
    room: Arc<Semaphore>,
    idle: Duration,
}

impl Door {
    pub(super) fn new(limits: Limits) -> Door {
        Door { room: Arc::new(Semaphore::new(limits.connections)), idle: limits.idle }
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Admitted;
    type Service = S;
    type Future = Ready<io::Result<(Admitted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let room = self.room.clone().try_acquire_owned();
        let full = |_| io::Error::other("too many connections");
        let admitted =
            |room| Admitted { stream, idle: self.idle, alarm: Box::pin(sleep(self.idle)), _room: room };
        ready(room.map(|room| (admitted(room), service)).map_err(full))
    }
}

/// A connection that has its place until it is dropped, or nothing passes on it for too long.
pub(super) struct Admitted {
    stream: TcpStream,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl Admitted {
    /// What an attempt to read or write came to: one that moved something winds the alarm, one that waits looks at it.
    fn watched<T>(&mut self, context: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.alarm.as_mut().reset(Instant::now() + self.idle);
            return attempt;
        }
        self.alarm.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(context, attempt)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, attempt)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
