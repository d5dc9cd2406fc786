//! The latest events, heard by a thread of its own while a command shows them.
//!
//! Promises: the ring is read as long as this lives, so that it does not fill up; what is too old to be shown is forgotten.
//! Whoever else wants the events follows this one (see [`crate::events::Stream`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Global;
use crate::counters::Event;
use crate::events::{Place, Stream, StreamError};
use crate::state::Namespace;

/// Events that are remembered.
const REMEMBERED: usize = 50;
/// How long to wait for an event, and before it is tried again where the ring cannot be read.
const BREATH: Duration = Duration::from_millis(500);

/// [`Stream::open`] or [`Stream::claim`].
pub(super) type Open = fn(Place) -> Result<Stream, StreamError>;

/// What was heard, the latest last.
#[derive(Default)]
struct Heard {
    events: VecDeque<Event>,
    trouble: Option<String>,
}

/// The thread, and what it has heard.
pub(super) struct Listening {
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Begins to listen to the events of an instance; `open` says with what right. What happens after this is heard, if the
    /// ring is to be had.
    pub(super) fn start(global: &Global, namespace: Namespace, open: Open) -> std::io::Result<Listening> {
        let place = global.place(namespace);
        let (heard, stop) = (Arc::new(Mutex::new(Heard::default())), Arc::new(AtomicBool::new(false)));
        let (ears, end) = (heard.clone(), stop.clone());
        let mut stream = open(place.clone()).ok();
        let thread = thread::Builder::new().name("events".to_owned()).spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let next = hear(&mut stream, &place, open);
                if next.is_err() {
                    thread::sleep(BREATH);
                }
                ears.lock().unwrap_or_else(PoisonError::into_inner).take(next);
            }
        })?;
        Ok(Listening { heard, stop, thread: Some(thread) })
    }

    /// The latest events, the newest first.
    pub(super) fn latest(&self) -> Vec<Event> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.events.iter().rev().cloned().collect()
    }

    /// Why nothing can be heard, where nothing can.
    pub(super) fn trouble(&self) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that failed is gone all the same.
            let _ = thread.join();
        }
    }
}

fn hear(stream: &mut Option<Stream>, place: &Place, open: Open) -> Result<Vec<Event>, StreamError> {
    match stream {
        Some(stream) => stream.next(BREATH),
        none => none.insert(open(place.clone())?).next(BREATH),
    }
}

impl Heard {
    fn take(&mut self, next: Result<Vec<Event>, StreamError>) {
        match next {
            Ok(events) => {
                self.trouble = None;
                self.events.extend(events);
                let old = self.events.len().saturating_sub(REMEMBERED);
                self.events.drain(..old);
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}
