//! The end of the journal: as much of it as tells what is in force, on trial and kept, and what was before that.
//!
//! Promises: [`expected`](super::expected), [`on_trial`](super::on_trial), [`kept`](super::kept) and [`earlier`] say of these
//! events what they say of the whole journal, and a journal of ten thousand changes costs no more than a short one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::{Event, Namespace, State, StateError, What, earlier, file_error};

/// How much is read at first, in bytes: some forty events.
pub(super) const WINDOW: u64 = 16 << 10;

impl State {
    /// The latest events in `namespace`, the oldest first: since a generation that was kept, and far enough back for
    /// another policy that was.
    pub fn recent(&self, namespace: Namespace) -> Result<Vec<Event>, StateError> {
        self.since_kept(namespace, WINDOW)
    }

    /// The same, with a first look at so many bytes.
    pub(super) fn since_kept(&self, namespace: Namespace, window: u64) -> Result<Vec<Event>, StateError> {
        let path = self.journal_path();
        let failed = || file_error("read", &path);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed())?,
        };
        let length = file.seek(SeekFrom::End(0)).map_err(failed())?;
        let mut window = window;
        loop {
            let text = last(&mut file, length, window).map_err(failed())?;
            let mut events: Vec<Event> =
                lines(&text).filter_map(|line| serde_json::from_slice(line).ok()).collect();
            events.retain(|event: &Event| event.occasion.namespace == namespace);
            if window >= length {
                return Ok(events);
            }
            if let Some(start) = (1..events.len()).find(|&at| is_kept_at_once(&events, at)) {
                let events = events.split_off(start);
                if earlier(&events, namespace).is_some() {
                    return Ok(events);
                }
            }
            window = window.saturating_mul(4);
        }
    }
}

/// The whole lines in the last `window` of `length` bytes.
pub(super) fn last(file: &mut File, length: u64, window: u64) -> io::Result<Vec<u8>> {
    let start = length.saturating_sub(window);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(length - start).read_to_end(&mut text)?;
    if start > 0 {
        // What comes before the first end of a line is the rest of one.
        let rest = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| end + 1);
        text.drain(..rest);
    }
    Ok(text)
}

/// The lines of a journal.
pub(super) fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// Whether a generation without a trial begins at this event and is in force, whole, by the next: whatever was before does
/// not matter any more. A trial is noted right before its generation begins.
fn is_kept_at_once(events: &[Event], at: usize) -> bool {
    let what = |at: usize| events.get(at).map(|event| &event.what);
    let Some(What::Begun { generation, .. }) = what(at) else { return false };
    let is_trial = matches!(what(at - 1), Some(What::Trial { generation: tried, .. }) if tried == generation);
    let is_in_force =
        |it: &What| matches!(it, What::InForce { generation: now, partial: false, .. } if now == generation);
    !is_trial && what(at + 1).is_some_and(is_in_force)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digest;
    use crate::state::{Author, Lock, Occasion, expected, kept, on_trial};

    const HERE: Namespace = Namespace { cookie: 1 };

    /// What commands note, in the order in which they do; each of a policy of three.
    fn command() -> impl Strategy<Value = (u8, u8, u64)> {
        (0..11u8, 0..3u8, 1..4u64)
    }

    /// The events of one command.
    fn noted((command, policy, namespace): (u8, u8, u64), generation: u64) -> Vec<Event> {
        let policy = Digest([policy; 32]);
        let occasion = Occasion {
            at: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(generation as i64),
            author: Author::default(),
            // Most happens here.
            namespace: Namespace { cookie: namespace.saturating_sub(1).max(1) },
        };
        let begun = What::Begun { generation, policy, kept: None };
        let in_force = |partial| What::InForce { generation, policy, guards: Vec::new(), partial };
        let failed = What::Failed { generation, why: String::new() };
        let trial = What::Trial { generation, before: Some(1), until: jiff::Timestamp::UNIX_EPOCH };
        let all = match command {
            0 | 1 => vec![begun, in_force(false)],
            2 => vec![begun],
            3 => vec![begun, failed],
            4 => vec![begun, in_force(true)],
            5 => vec![trial, begun, in_force(false)],
            6 => vec![trial, begun, in_force(false), What::Confirmed { generation }],
            7 => vec![trial],
            8 => vec![trial, begun, in_force(false), What::Detached],
            9 => vec![trial, begun, in_force(false), What::Reverting { generation, why: String::new() }],
            _ => vec![What::Detached],
        };
        let names: &[&str] = if generation.is_multiple_of(3) { &["wan0"] } else { &["wan0", "wan1"] };
        let interfaces: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let event = |what| Event { occasion: occasion.clone(), interfaces: interfaces.clone(), what };
        all.into_iter().map(event).collect()
    }

    fn write(state: &State, lock: &Lock, commands: &[(u8, u8, u64)]) {
        let numbered = commands.iter().zip(1..);
        let events = numbered.flat_map(|(command, generation)| noted(*command, generation));
        events.for_each(|event| state.append(lock, &event).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Goal: the end of a journal says what the whole says. Method: commands at random, crashes and other namespaces
        /// among them; windows of every size, from one that holds no line.
        #[test]
        fn the_end_says_what_the_whole_journal_says(
            commands in proptest::collection::vec(command(), 0..24),
            window in 1..2_000u64,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let state = State::new(dir.path());
            write(&state, &state.lock().unwrap(), &commands);
            let whole = state.journal().unwrap();
            let recent = state.since_kept(HERE, window).unwrap();
            prop_assert_eq!(expected(&recent, HERE), expected(&whole, HERE));
            prop_assert_eq!(on_trial(&recent, HERE), on_trial(&whole, HERE));
            prop_assert_eq!(kept(&recent, HERE), kept(&whole, HERE));
            prop_assert_eq!(earlier(&recent, HERE), earlier(&whole, HERE));
        }
    }

    #[test]
    fn a_long_journal_costs_what_a_short_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(dir.path());
        let lock = state.lock().unwrap();
        let applies: Vec<_> = (0..200).map(|at| (0, at % 2, 1)).collect();
        write(&state, &lock, &applies);
        assert!(state.journal_length() > 2 * WINDOW);
        let recent = state.recent(HERE).unwrap();
        assert!((4..200).contains(&recent.len()), "{} of {} events", recent.len(), 2 * applies.len());
        assert_eq!(earlier(&recent, HERE), Some(199));
    }
}
