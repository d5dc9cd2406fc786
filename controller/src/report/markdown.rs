//! A report as Markdown: the tables, without the charts.
//!
//! Promises: whatever comes from outside stays in its cell and is no markup; every row of a table is as wide as its head.

use super::Report;
use super::document::{Align, Block, Table, document, title};

/// The whole page.
pub fn markdown(report: &Report) -> String {
    let mut page = format!("# {}\n", escape(&title(report)));
    for block in document(report) {
        page += &match block {
            Block::Heading(text) => format!("\n## {}\n", escape(&text)),
            Block::Section(text) => format!("\n### {}\n", escape(text)),
            Block::Text(text) => format!("\n{}\n", escape(&text)),
            Block::Warning(text) => format!("\n**Attention:** {}\n", escape(&text)),
            Block::Table(table) => format!("\n{}", write_table(&table)),
            Block::Chart(_) => String::new(),
        };
    }
    page
}

/// Text as text: what Markdown or HTML in it would mean something is escaped; a name stays readable.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        let is_inside = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            // Within a word an underscore means nothing.
            '_' if is_inside => safe.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => safe.extend(['\\', letter]),
            letter => safe.push(super::visible(letter)),
        }
        before = letter;
    }
    safe
}

/// Columns as wide as their widest cell, in characters; shares are a column of percentages.
fn write_table(table: &Table) -> String {
    let mut head: Vec<String> = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut aligns: Vec<Align> = table.columns.iter().map(|(_, align)| *align).collect();
    let mut rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
    if !table.shares.is_empty() {
        head.push("share".to_owned());
        aligns.push(Align::Number);
        for (row, share) in rows.iter_mut().zip(&table.shares) {
            row.push(format!("{:.1} %", share * 100.0));
        }
    }
    let cells = |column: usize| rows.iter().chain([&head]).filter_map(move |row| row.get(column));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0).max(3))
        .collect();
    let rule = widths.iter().zip(&aligns).map(|(width, align)| match align {
        Align::Words => "-".repeat(*width),
        Align::Number => format!("{}:", "-".repeat(width - 1)),
    });
    let rule: Vec<String> = rule.collect();
    let mut text = String::new();
    for row in [&head, &rule].into_iter().chain(&rows) {
        text += &write_row(row, &widths, &aligns);
    }
    text
}

fn write_row(row: &[String], widths: &[usize], aligns: &[Align]) -> String {
    let cells = row.iter().zip(widths).zip(aligns).map(|((cell, width), align)| match align {
        Align::Words => format!(" {cell:width$} |"),
        Align::Number => format!(" {cell:>width$} |"),
    });
    format!("|{}\n", cells.collect::<String>())
}
