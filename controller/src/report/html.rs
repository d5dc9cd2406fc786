//! A report as one HTML file: nothing from elsewhere, no script, plots as inline SVG, light and dark.
//!
//! Promises: whatever comes from outside (file names, rule ids, owners) is text, whatever it holds; every tag that opens
//! closes. A browser that honours the policy in the head fetches and runs nothing.

use std::fmt::Write;

use super::Report;
use super::document::{Align, Bar, Block, Chart, Table, document, title};
use crate::counters::grouped;

const STYLE: &str = include_str!("report.css");

/// Drawing area of a chart in units of its view box, without the line of labels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 140.0;
/// Height of the line of labels.
const LABELS: f64 = 16.0;
/// The most bars that are labelled one by one.
const LABELLED: usize = 12;

/// The whole page.
pub fn html(report: &Report) -> String {
    let title = escape(&title(report));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for block in document(report) {
        page += &match block {
            Block::Heading(text) => format!("<h2>{}</h2>\n", escape(&text)),
            Block::Section(text) => format!("<h3>{}</h3>\n", escape(text)),
            Block::Text(text) => format!("<p>{}</p>\n", escape(&text)),
            Block::Warning(text) => format!("<p class=\"warning\">{}</p>\n", escape(&text)),
            Block::Table(table) if table.is_detail => {
                format!("<details>\n<summary>The numbers</summary>\n{}</details>\n", write_table(&table))
            }
            Block::Table(table) => write_table(&table),
            Block::Chart(chart) => write_chart(&chart),
        };
    }
    page + "</main>\n</body>\n</html>\n"
}

/// Text as text: no markup, no control characters, none that turn the direction of what follows.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            letter => safe.push(super::visible(letter)),
        }
    }
    safe
}

fn write_table(table: &Table) -> String {
    let class = |align: Align| if align == Align::Number { " class=\"number\"" } else { "" };
    let mut text = String::from("<div class=\"wide\">\n<table>\n<thead>\n<tr>");
    for (name, align) in &table.columns {
        let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(*align), escape(name));
    }
    let has_shares = !table.shares.is_empty();
    if has_shares {
        text += "<th scope=\"col\">share</th>";
    }
    text += "</tr>\n</thead>\n<tbody>\n";
    for (at, row) in table.rows.iter().enumerate() {
        text += "<tr>";
        for (cell, (_, align)) in row.iter().zip(&table.columns) {
            let _ = write!(text, "<td{}>{}</td>", class(*align), escape(cell));
        }
        if has_shares {
            let share = table.shares.get(at).copied().unwrap_or(0.0);
            let _ = write!(text, "<td class=\"share\">{}</td>", bar(share));
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n</table>\n</div>\n"
}

/// A share as a bar and as a percentage.
fn bar(share: f64) -> String {
    let length = share * 100.0;
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" aria-hidden=\"true\">\
         <rect class=\"first\" width=\"{length:.1}\" height=\"10\"></rect></svg> {length:.1} %"
    )
}

fn write_chart(chart: &Chart) -> String {
    let Chart { title, parts: [first, second], bars } = chart;
    let title = escape(title);
    let mut text = format!("<figure>\n<figcaption>{title}");
    for (class, name) in [("first", first), ("second", second)] {
        if !second.is_empty() {
            let _ = write!(text, " <span class=\"key {class}\">{}</span>", escape(name));
        }
    }
    let most = bars.iter().map(|bar| bar.parts[0] + bar.parts[1]).max().unwrap_or(0).max(1);
    let _ = writeln!(
        text,
        "</figcaption>\n<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}, at most {}\">",
        HEIGHT + LABELS,
        grouped(most)
    );
    for (at, one) in bars.iter().enumerate() {
        text += &column(chart, one, at, most);
    }
    let _ = writeln!(text, "<line x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"></line>");
    text += &axis(bars);
    text + "</svg>\n</figure>\n"
}

/// One bar: its first part at the bottom, the second on top of it, and what it stands for when it is pointed at.
fn column(chart: &Chart, bar: &Bar, at: usize, most: u64) -> String {
    let step = WIDTH / chart.bars.len() as f64;
    let height = |frames: u64| frames as f64 / most as f64 * HEIGHT;
    let (x, width) = (step * at as f64 + step * 0.1, step * 0.8);
    let named = chart.parts.iter().zip(bar.parts).filter(|(name, _)| !name.is_empty());
    let numbers: Vec<String> = named.map(|(name, frames)| format!("{name} {}", grouped(frames))).collect();
    let mut text = format!("<g><title>{}: {}</title>", escape(&bar.label), escape(&numbers.join(", ")));
    let mut y = HEIGHT;
    for (class, frames) in [("first", bar.parts[0]), ("second", bar.parts[1])] {
        let part = height(frames);
        y -= part;
        if frames > 0 {
            let _ = write!(
                text,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{part:.1}\"></rect>"
            );
        }
    }
    text + "</g>\n"
}

/// A label below each bar, or where they are many below the first and the last.
fn axis(bars: &[Bar]) -> String {
    let (step, y) = (WIDTH / bars.len().max(1) as f64, HEIGHT + LABELS - 4.0);
    let label = |x: f64, anchor: &str, bar: &Bar| {
        format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n", escape(&bar.label))
    };
    match bars {
        [first, .., last] if bars.len() > LABELLED => label(0.0, "start", first) + &label(WIDTH, "end", last),
        [only] => label(WIDTH / 2.0, "middle", only),
        _ if bars.iter().any(|bar| bar.label.len() > 12) => {
            bars.first().map_or(String::new(), |first| label(0.0, "start", first))
                + &bars.last().map_or(String::new(), |last| label(WIDTH, "end", last))
        }
        _ => {
            let middle = |at: usize| step * (at as f64 + 0.5);
            bars.iter().enumerate().map(|(at, bar)| label(middle(at), "middle", bar)).collect()
        }
    }
}
