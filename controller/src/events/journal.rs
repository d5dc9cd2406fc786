//! Events to journald, by its native protocol: one datagram an event, a line a field.
//!
//! Promises: what goes into a field is on one line, so that no frame can add a field of its own.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::counters::{Event, Outcome};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// An open way to journald.
pub struct Journal(UnixDatagram);

impl Journal {
    /// Connects to the journal at `path`, [`SOCKET`] but in tests.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Journal(socket))
    }

    /// Writes one event with its message.
    pub fn write(&self, event: &Event, message: &str) -> io::Result<()> {
        self.0.send(entry(event, message).as_bytes()).map(drop)
    }
}

/// The fields of an event. Priorities are syslog's: 5 notice, 6 informational.
fn entry(event: &Event, message: &str) -> String {
    let (verdict, priority) = match event.verdict {
        Outcome::Pass => ("pass", 6),
        Outcome::Drop => ("drop", 5),
        Outcome::WouldDrop => ("would_drop", 5),
    };
    let fields = [
        ("MESSAGE", Some(message.to_owned())),
        ("PRIORITY", Some(priority.to_string())),
        ("SYSLOG_IDENTIFIER", Some("perimeter".to_owned())),
        ("PERIMETER_INTERFACE", Some(event.interface.clone())),
        ("PERIMETER_VERDICT", Some(verdict.to_owned())),
        ("PERIMETER_REASON", event.reason.map(|reason| reason.name().to_owned())),
        ("PERIMETER_RULE", event.rule.clone()),
        ("PERIMETER_VLAN", event.vlan.clone()),
        ("PERIMETER_LENGTH", Some(event.length.to_string())),
        ("PERIMETER_TIME", Some(event.time.to_string())),
    ];
    let line =
        |(name, value): (&str, Option<String>)| Some(format!("{name}={}\n", value?.replace('\n', " ")));
    fields.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    #[test]
    fn an_entry_is_a_line_a_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        Journal::open(&path).unwrap().write(&event(), "two\nlines").unwrap();
        let mut bytes = [0; 2048];
        let length = journald.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        assert!(text.starts_with("MESSAGE=two lines\nPRIORITY=5\n"), "{text}");
        assert!(text.contains("PERIMETER_REASON=no_rule\n") && !text.contains("PERIMETER_RULE"), "{text}");
    }
}
