//! How `top` looks: headlines, tabs, a table with sparklines, and the keys; in 80 columns and 24 lines, or more.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::model::{LENGTH, Model, Order, VIEWS};
use crate::counters::grouped;
use crate::telemetry::{Subject, Trend, View};

/// Most lines for what is in force.
const HEADLINES: u16 = 5;

/// Draws everything.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let headlines = (model.headlines.len() as u16).clamp(1, HEADLINES);
    let areas = [
        Constraint::Length(1),
        Constraint::Length(headlines),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [title, state, tabs, table, keys] = Layout::vertical(areas).areas(frame.area());
    frame.render_widget(heading(model), title);
    frame.render_widget(states(model), state);
    frame.render_widget(views(model), tabs);
    frame.render_widget(rows(model, table), table);
    frame.render_widget(last_line(model), keys);
}

fn style(model: &Model, colour: Color) -> Style {
    if model.colour { Style::new().fg(colour) } else { Style::new() }
}

fn heading(model: &Model) -> Paragraph<'static> {
    let held = if model.held { "  (held still)" } else { "" };
    let at = model.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let name = Span::styled("perimeter", Style::new().add_modifier(Modifier::BOLD));
    Paragraph::new(Line::from(vec![name, Span::raw(format!("  {at}{held}"))]))
}

fn states(model: &Model) -> Paragraph<'static> {
    if let Some(why) = &model.trouble {
        return Paragraph::new(Span::styled(format!("! {why}"), style(model, Color::Red)));
    }
    if model.headlines.is_empty() {
        return Paragraph::new(Span::styled("no interface is enforced", style(model, Color::Red)));
    }
    let colour = |good| style(model, if good { Color::Green } else { Color::Red });
    let lines = model.headlines.iter().take(usize::from(HEADLINES));
    let lines: Vec<Line<'_>> = lines.map(|one| Line::styled(one.text.clone(), colour(one.is_good))).collect();
    Paragraph::new(lines)
}

fn views(model: &Model) -> Paragraph<'static> {
    let mut spans = Vec::new();
    for (at, (view, name)) in VIEWS.iter().enumerate() {
        let chosen = if *view == model.view { Modifier::REVERSED } else { Modifier::empty() };
        spans.push(Span::styled(format!(" {} {name} ", at + 1), Style::new().add_modifier(chosen)));
    }
    let order = match model.order {
        Order::Rate => "rate",
        Order::Total => "total",
        Order::Name => "name",
    };
    spans.push(Span::raw(format!("   by {order}")));
    Paragraph::new(Line::from(spans))
}

/// What stands at the head of the column of names.
fn head(view: View) -> &'static str {
    match view {
        View::Verdicts => "verdict",
        View::Reasons => "reason",
        View::Rules => "rule",
        View::Vlans => "VLAN",
    }
}

/// Columns of everything but names and sparklines, with the gaps between them.
const FIXED: u16 = 10 + 5 + 8 + 8 + 11 + 6;
/// Columns that the longest drop reason takes.
const NAME: u16 = 20;

fn rows<'a>(model: &'a Model, area: Rect) -> Table<'a> {
    let shown = usize::from(area.height.saturating_sub(1));
    let spark = area.width.saturating_sub(FIXED + NAME).clamp(8, LENGTH as u16);
    let all = model.rows();
    let lines = all.into_iter().skip(model.first).take(shown);
    let lines = lines.map(|row| line(model, row, usize::from(spark)));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let heads = ["interface", head(model.view), "", "frames/s", "  bits/s", "     frames", "rate"];
    let widths = [
        Constraint::Length(10),
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(11),
        Constraint::Length(spark),
    ];
    Table::new(lines, widths).header(Row::new(heads).style(bold)).column_spacing(1)
}

fn line<'a>(model: &Model, (subject, trend): (&'a Subject, &'a Trend), spark: usize) -> Row<'a> {
    let kind = match (model.view, subject.kind) {
        (View::Verdicts, _) => "",
        (_, "would_drop") => "would",
        (_, kind) => kind,
    };
    let colour = match subject.kind {
        "pass" | "allow" => Color::Green,
        "would_drop" => Color::Yellow,
        _ => Color::Red,
    };
    let total = match trend.total.packets {
        packets if packets < 1_000_000_000 => grouped(packets),
        packets => short(packets as f64),
    };
    Row::new([
        Cell::new(subject.interface.as_str()),
        Cell::new(Span::styled(subject.name.as_str(), style(model, colour))),
        Cell::new(kind),
        Cell::new(format!("{:>8}", short(trend.now()))),
        Cell::new(format!("{:>8}", short(8.0 * trend.bytes))),
        Cell::new(format!("{total:>11}")),
        Cell::new(sparkline(trend, spark)),
    ])
}

/// A number in at most eight characters: "0", "7.5", "12,345", "81.2 M".
fn short(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate if rate < 1e6 => grouped(rate.round() as u64),
        rate if rate < 1e9 => format!("{:.1} M", rate / 1e6),
        rate if rate < 1e12 => format!("{:.1} G", rate / 1e9),
        rate => format!("{:.1} T", rate / 1e12),
    }
}

/// The last rates in eighths of a line, the newest at the right end.
fn sparkline(trend: &Trend, width: usize) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = trend.packets.iter().copied().fold(0.0, f64::max);
    let bar = |rate: &f64| match most {
        most if most <= 0.0 => BARS[0],
        // What is not nothing is seen.
        most => BARS[((rate / most * 8.0).ceil() as usize).min(8)],
    };
    let skipped = trend.packets.len().saturating_sub(width);
    let bars: String = trend.packets.iter().skip(skipped).map(bar).collect();
    format!("{bars:>width$}")
}

fn last_line(model: &Model) -> Paragraph<'static> {
    if model.typing {
        return Paragraph::new(format!(
            "only what contains: {}_   Enter keeps it, Esc lets go of it",
            model.filter
        ));
    }
    let filter = match model.filter.as_str() {
        "" => String::new(),
        text => format!("only \"{text}\" (Esc)   "),
    };
    Paragraph::new(format!("{filter}1-4 Tab view   s sort   / filter   ↑↓ move   p hold   q leave"))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::model::Key;
    use super::super::model::tests::model;
    use super::*;

    fn screen(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cell = |x, y| buffer[(x, y)].symbol().to_owned();
        (0..height)
            .map(|y| (0..width).map(|x| cell(x, y)).collect::<String>().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn it_is_readable_in_80_columns_and_24_lines() {
        let mut model = model();
        model.press(Key::Letter('3'));
        let lines = screen(&model, 80, 24);
        assert!(lines[0].starts_with("perimeter  2027-01-15 08:00:02 UTC"), "{lines:#?}");
        assert_eq!(lines[1], "wan0  enforcing  native  generation 3");
        assert!(lines[2].contains("3 rules") && lines[2].contains("by rate"));
        assert!(lines[3].starts_with("interface  rule") && lines[3].contains("frames/s"));
        let words: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(words[..6], ["wan0", "r8", "allow", "8.0", "6,400", "16"], "{lines:#?}");
        assert!(lines[4].ends_with('█'), "{lines:#?}");
        assert!(lines[23].contains("q leave"));
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (200, 60)] {
            assert_eq!(screen(&model(), width, height).len(), usize::from(height));
        }
    }

    #[test]
    fn rates_stay_short() {
        let all = [0.0, 0.04, 99.95, 12_345.4, 81_234_567.0, 2.5e9].map(short);
        assert_eq!(all, ["0", "0.0", "100.0", "12,345", "81.2 M", "2.5 G"]);
    }
}
