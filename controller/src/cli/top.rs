//! `perimeter top`: what the kernel counts, as it counts.

mod draw;
mod model;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use super::listening::Listening;
use super::reader::Reader;
use super::{Env, Exit, Global};
use crate::events::Stream;
use crate::state::Stir;
use model::{Key, Model};

/// Watch the rates of interfaces, reasons, rules and VLANs
///
/// Reads the kernel's counters again and again; nothing is changed and no packet is touched. Works in a terminal of 80
/// columns and 24 lines, over SSH too. At the bottom stand the latest frames of which the kernel told: a sample of those
/// that were dropped, and of those that a rule with `log: true` matched.
///
///   1 2 3 4, Tab    verdicts, reasons, rules, VLANs
///   s               sort by rate, total or name
///   /               show only what contains a text; Enter keeps it, Esc lets go of it
///   up, down, Home  move
///   p               hold still
///   q               leave
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter top
  perimeter top --every 5")]
pub struct TopArgs {
    /// Seconds between two readings
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

/// Carries out the command.
pub(super) fn run(args: &TopArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    if !env.interactive || !std::io::stdout().is_terminal() {
        bail!("this needs a terminal; `perimeter counters --json` gives the same figures to a program");
    }
    let mut reader = Reader::open(global)?;
    let mut model = Model::new(env.colour_out);
    model.take(&reader.settled(Timestamp::now())?);
    let events = Listening::start(global, reader.host.namespace, Stream::open)?;
    let mut terminal = ratatui::try_init()?;
    let result = watch(&mut terminal, &mut reader, &mut model, &events, Duration::from_secs(args.every));
    ratatui::try_restore()?;
    result.map(|()| Exit::Done)
}

fn watch(
    terminal: &mut DefaultTerminal,
    reader: &mut Reader,
    model: &mut Model,
    events: &Listening,
    every: Duration,
) -> anyhow::Result<()> {
    let mut next = Instant::now() + every;
    loop {
        model.hear(&events.latest());
        terminal.draw(|frame| draw::draw(model, frame))?;
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if model.press(Key::of(key)) => return Ok(()),
                _ => {}
            }
        }
        if Instant::now() >= next {
            next = Instant::now() + every;
            match reader.glance(Timestamp::now()) {
                // What a change leaves half done is not shown: the next reading comes soon.
                (_, Stir::Over | Stir::UnderWay(_)) => {}
                (Ok(snapshot), Stir::Still) => model.take(&snapshot),
                (Err(error), Stir::Still) => model.trouble = Some(error.to_string()),
            }
        }
    }
}
