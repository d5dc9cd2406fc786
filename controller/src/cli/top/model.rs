//! What `top` shows and which keys change it; no terminal is needed for either.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::telemetry::{Snapshot, Subject, Trend, Trends, View};

/// Rates that are kept of each row, as many as a sparkline shows.
pub(super) const LENGTH: usize = 60;

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Rate,
    Total,
    Name,
}

/// A key, as far as it means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    Up,
    Down,
    Home,
    /// Ctrl-C, which ends everything.
    Stop,
    Other,
}

impl Key {
    pub(super) fn of(key: KeyEvent) -> Key {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => Key::Other,
            KeyCode::Char('c') if control => Key::Stop,
            KeyCode::Char(letter) if !control => Key::Letter(letter),
            KeyCode::Enter => Key::Enter,
            KeyCode::Esc => Key::Escape,
            KeyCode::Backspace => Key::Backspace,
            KeyCode::Tab => Key::Tab,
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::Home => Key::Home,
            _ => Key::Other,
        }
    }
}

/// Everything that is shown.
pub(super) struct Model {
    pub(super) view: View,
    pub(super) order: Order,
    /// Only rows that contain it are shown.
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) typing: bool,
    pub(super) held: bool,
    /// The first row that is shown.
    pub(super) first: usize,
    pub(super) colour: bool,
    /// One line an interface: what is in force there.
    pub(super) headlines: Vec<Headline>,
    pub(super) at: jiff::Timestamp,
    /// Why the kernel could not be read, where it could not.
    pub(super) trouble: Option<String>,
    trends: Trends,
}

/// What is in force on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) text: String,
    pub(super) is_good: bool,
}

/// The views in the order of their keys.
pub(super) const VIEWS: [(View, &str); 4] = [
    (View::Verdicts, "verdicts"),
    (View::Reasons, "reasons"),
    (View::Rules, "rules"),
    (View::Vlans, "VLANs"),
];

impl Model {
    pub(super) fn new(colour: bool) -> Model {
        Model {
            view: View::Verdicts,
            order: Order::Rate,
            filter: String::new(),
            typing: false,
            held: false,
            first: 0,
            colour,
            headlines: Vec::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
            trouble: None,
            trends: Trends::new(LENGTH),
        }
    }

    /// Shows what was read, unless it is to hold still.
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        self.trouble = None;
        if self.held {
            return;
        }
        self.trends.take(snapshot);
        self.at = snapshot.at;
        self.headlines = snapshot.status.interfaces.iter().map(headline).collect();
    }

    /// Does what a key says; whether that is to leave.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Stop => return true,
            _ if self.typing => self.type_in(key),
            Key::Letter('q') => return true,
            Key::Letter('p') => self.held = !self.held,
            Key::Letter('/') => self.typing = true,
            Key::Letter('s') => {
                self.order = match self.order {
                    Order::Rate => Order::Total,
                    Order::Total => Order::Name,
                    Order::Name => Order::Rate,
                };
            }
            Key::Letter(digit @ '1'..='4') => self.look_at(digit as usize - '1' as usize),
            Key::Tab => {
                let at = VIEWS.iter().position(|(view, _)| *view == self.view).unwrap_or(0);
                self.look_at((at + 1) % VIEWS.len());
            }
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Letter('k') => self.first = self.first.saturating_sub(1),
            Key::Down | Key::Letter('j') => {
                self.first = (self.first + 1).min(self.rows().len().saturating_sub(1));
            }
            Key::Home => self.first = 0,
            _ => {}
        }
        false
    }

    fn look_at(&mut self, at: usize) {
        (self.view, self.first) = (VIEWS[at].0, 0);
    }

    fn type_in(&mut self, key: Key) {
        self.first = 0;
        match key {
            Key::Letter(letter) => self.filter.push(letter),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }

    /// The rows of the view, filtered and sorted.
    pub(super) fn rows(&self) -> Vec<(&Subject, &Trend)> {
        let wanted = |subject: &Subject| {
            [subject.interface.as_str(), subject.name.as_str(), subject.kind]
                .iter()
                .any(|text| text.contains(&self.filter))
        };
        let mut rows: Vec<_> = self.trends.of(self.view).filter(|(subject, _)| wanted(subject)).collect();
        // The sort is stable, and the trends are in order of name.
        match self.order {
            Order::Rate => rows.sort_by(|(_, a), (_, b)| b.now().total_cmp(&a.now())),
            Order::Total => rows.sort_by_key(|(_, trend)| std::cmp::Reverse(trend.total.packets)),
            Order::Name => {}
        }
        rows
    }
}

fn headline(one: &crate::status::InterfaceStatus) -> Headline {
    let word = match (one.enforced, one.shadow) {
        (true, _) => "enforcing",
        (false, true) => "shadow mode",
        (false, false) => "not enforcing",
    };
    let generation = one.generation.map_or(String::new(), |generation| format!("  generation {generation}"));
    let drift = one.drift.first().map_or(String::new(), |drift| format!("  ! {drift}"));
    let text = format!("{}  {word}  {}{generation}{drift}", one.interface, Snapshot::mode(one));
    Headline { text, is_good: one.enforced && one.in_sync }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::counters::Series;
    use crate::ruleset::Action;
    use crate::samples::{rule, ruleset};
    use crate::telemetry::samples::taken;

    /// A model that has seen two seconds of traffic: of rule `r<n>` n frames a second, and `r9` was busy before.
    pub(in super::super) fn model() -> Model {
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.rules = (0..10).map(|at| rule(&format!("r{at}"), Action::Allow, &[0])).collect();
        let count = |seconds: u64| {
            move |series: &Series| match &series.subject {
                crate::counters::Subject::Rule(_, id) if id == "r9" => 500,
                crate::counters::Subject::Rule(_, id) => seconds * id[1..].parse::<u64>().unwrap_or(0),
                _ => 0,
            }
        };
        let mut model = Model::new(false);
        for second in 0..3 {
            let mut snapshot = taken(&ruleset, count(second));
            snapshot.at = jiff::Timestamp::from_second(1_800_000_000 + second as i64).unwrap();
            model.take(&snapshot);
        }
        model
    }

    fn names(model: &Model) -> Vec<&str> {
        model.rows().into_iter().map(|(subject, _)| subject.name.as_str()).collect()
    }

    #[test]
    fn rows_are_sorted_as_asked() {
        let mut model = model();
        model.press(Key::Letter('3'));
        assert_eq!(names(&model)[..3], ["r8", "r7", "r6"]);
        model.press(Key::Letter('s'));
        assert_eq!(names(&model)[..2], ["r9", "r8"]);
        model.press(Key::Letter('s'));
        assert_eq!(names(&model)[..2], ["r0", "r1"]);
    }

    #[test]
    fn a_filter_is_typed_kept_and_let_go() {
        let mut model = model();
        model.press(Key::Letter('3'));
        for key in [Key::Letter('/'), Key::Letter('r'), Key::Letter('q'), Key::Backspace, Key::Letter('7')] {
            assert!(!model.press(key), "a letter of the filter is no command");
        }
        assert_eq!((names(&model), model.typing), (vec!["r7"], true));
        model.press(Key::Enter);
        assert_eq!((names(&model), model.typing), (vec!["r7"], false));
        model.press(Key::Escape);
        assert_eq!(names(&model).len(), 10);
        assert!(model.press(Key::Letter('q')) && model.press(Key::Stop));
    }

    #[test]
    fn moving_stops_at_both_ends_and_holding_still_holds() {
        let mut model = model();
        let press = |model: &mut Model, key| (0..50).all(|_| !model.press(key));
        assert!(press(&mut model, Key::Down));
        assert_eq!(model.first, 2);
        assert!(press(&mut model, Key::Up));
        assert_eq!(model.first, 0);
        model.press(Key::Letter('p'));
        let (before, mut later) = (model.at, taken(&ruleset(&["wan0"]), |_| 7));
        later.at = before + jiff::SignedDuration::from_secs(1);
        model.take(&later);
        assert_eq!(model.at, before);
        for view in [View::Reasons, View::Rules, View::Vlans, View::Verdicts] {
            model.press(Key::Tab);
            assert_eq!(model.view, view);
        }
    }
}
