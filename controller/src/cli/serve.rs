//! `perimeter serve`: tells Prometheus and people what is enforced, and says when that changes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;

use super::listening::Listening;
use super::reader::Reader;
use super::steady::Steady;
use super::{Env, Exit, Global};
use crate::agent::presence::{Note, Presence};
use crate::agent::{
    Answer, Files, Notices, PageData, Past, Pulse, Question, access, bind, lines, notices, privileges, start,
};
use crate::events::Stream;
use crate::telemetry::{Snapshot, Trends};

/// Serve metrics and a page about what is enforced, and watch over it
///
/// The agent only reads: the kernel enforces without it, and keeps the counters while it is away. Each scrape asks the
/// kernel. Drift, a change of generation and the end of rules are said on standard error, a line each, when they happen.
///
///   /          a page for people
///   /metrics   for Prometheus
///   /healthz   the agent lives (needs no token)
///   /readyz    what was put in force is in force; 503 and why otherwise
///
/// Beyond loopback it asks for TLS and a token, which Prometheus sends as `authorization: credentials_file` and a
/// browser as the password of any user. Once it listens it keeps no right but those that reading takes, and the thread
/// that reads requests keeps none.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter serve
  perimeter serve --listen 127.0.0.1:9800
  perimeter serve --listen 192.0.2.1:9765 --tls-cert agent.crt --tls-key agent.key --token-file agent.token
  curl -s http://127.0.0.1:9765/metrics | grep perimeter_packets_total")]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9765")]
    listen: SocketAddr,
    /// The certificate, with those that vouch for it (PEM)
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM); not readable by everybody
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// A file with the token that requests must bring; not readable by everybody
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// How often the agent looks by itself, at least.
const LOOK: Duration = Duration::from_secs(5);
/// How soon it looks again where a change is under way.
const AGAIN: Duration = Duration::from_millis(500);
/// How many times as long as a look takes there is none: looking takes a twentieth of one CPU at the most.
const REST: u32 = 20;

/// However long a look takes, the next is near enough for `/healthz`, which counts a minute of silence as death.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// Points of a plot on the page: ten minutes, where a look takes less than a quarter of a second.
const POINTS: usize = 120;
/// Requests that may wait for the kernel's answer.
const WAITING: usize = 64;

/// Carries out the command.
pub(super) fn run(args: &ServeArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let files = Files {
        certificate: args.tls_cert.clone(),
        key: args.tls_key.clone(),
        token: args.token_file.clone(),
    };
    let access = access(args.listen, &files)?;
    let reader = Reader::open(global)?;
    let bound = bind(args.listen)?;
    let url = access.url(bound.address);
    let note = Note { pid: std::process::id(), url: url.clone(), since: env.now };
    let Some(_presence) = Presence::announce(&global.state_dir, reader.host.namespace, &note)? else {
        bail!(
            "another agent runs in this network namespace: `perimeter status` says where; or give this one a --state-dir of its own"
        )
    };
    privileges::keep_reading()?;
    let (asking, questions) = sync_channel(WAITING);
    let pulse = Arc::new(Pulse::new());
    let server = start(bound, access, asking, pulse.clone())?;
    let events = Listening::start(global, reader.host.namespace, Stream::claim)?;
    writeln!(env.out, "serving {url}")?;
    env.out.flush()?;
    let mut seen = Watch {
        reader,
        steady: Steady::default(),
        said: Said::default(),
        trends: Trends::new(POINTS),
        events,
    };
    watch(&mut seen, &questions, &pulse, env)?;
    server.join()?;
    writeln!(env.err, "stopped")?;
    Ok(Exit::Done)
}

/// The agent's memory of what it has seen and said.
struct Watch {
    reader: Reader,
    steady: Steady,
    said: Said,
    trends: Trends,
    events: Listening,
}

/// Answers questions and looks by itself, until the server has ended.
fn watch(
    watch: &mut Watch,
    questions: &Receiver<Question>,
    pulse: &Pulse,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next {
            let read = watch.reader.look(Timestamp::now());
            let looked = watch.steady.take(read);
            if let Ok(snapshot) = &looked {
                watch.trends.take(snapshot);
            }
            watch.said.hear(&looked.and_then(|snapshot| watch.heard(snapshot)), env)?;
            pulse.beat();
            let least = if watch.steady.doubts() { AGAIN } else { LOOK };
            next = now + (now.elapsed() * REST).clamp(least, LONGEST_REST);
        }
        match questions.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(question) => {
                let answer = watch.answer(question, questions);
                watch.said.hear(&answer.and_then(|snapshot| watch.heard(snapshot)), env)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

impl Watch {
    /// A snapshot, unless events cannot be heard.
    fn heard(&self, snapshot: Arc<Snapshot>) -> Answer<Arc<Snapshot>> {
        self.events.trouble().map_or(Ok(snapshot), Err)
    }

    /// One reading for everybody who waits.
    fn answer(&mut self, first: Question, others: &Receiver<Question>) -> Answer<Arc<Snapshot>> {
        let read = self.reader.glance(Timestamp::now());
        let answer = self.steady.take(read);
        for question in std::iter::once(first).chain(others.try_iter()) {
            // Who asked may have gone away.
            match question {
                Question::State(reply) => drop(reply.send(answer.clone())),
                Question::Page(reply) => {
                    let page = answer.clone().and_then(|snapshot| self.page(&snapshot));
                    drop(reply.send(page));
                }
            }
        }
        answer
    }

    fn page(&self, snapshot: &Snapshot) -> Answer<String> {
        let here = self.reader.host.namespace;
        let mut journal = self.reader.host.state.journal().map_err(|error| error.to_string())?;
        journal.retain(|event| event.occasion.namespace == here);
        let events = self.events.latest();
        let past = Past { trends: &self.trends, journal: &journal, events: &events };
        let page = PageData::new(snapshot, past);
        serde_json::to_string(&page).map_err(|error| error.to_string())
    }
}

/// What was said so far.
#[derive(Default)]
struct Said {
    notices: Notices,
    failure: Option<String>,
}

impl Said {
    /// Says what is new, each thing once.
    fn hear(&mut self, read: &Answer<Arc<Snapshot>>, env: &mut Env<'_>) -> anyhow::Result<()> {
        let (new, failure) = match read {
            Ok(snapshot) => (notices(snapshot), None),
            Err(why) => (self.notices.clone(), Some(why.clone())),
        };
        for line in lines(&self.notices, &new) {
            writeln!(env.err, "{line}")?;
        }
        match (&self.failure, &failure) {
            (before, Some(why)) if before.as_ref() != Some(why) => writeln!(env.err, "! {why}")?,
            (Some(why), None) => writeln!(env.err, "over: {why}")?,
            _ => {}
        }
        (self.notices, self.failure) = (new, failure);
        Ok(())
    }
}
