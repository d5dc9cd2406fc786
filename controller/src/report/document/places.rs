//! VLANs, sizes, fragments, path MTU messages, loss: what is counted beside the verdicts.

use super::super::{Mtu, Part};
use super::{Align, Bar, Block, Chart, Table, not_counted, share, totals};
use crate::counters::{FragmentKind, PmtuCount, SIZE_BOUNDS, Sizes, Total, VlanCount, grouped};
use crate::ruleset::Family;

/// Bytes of an Ethernet header without tags, and with the two that a frame may have at most.
const HEADER: [u32; 2] = [14, 22];

pub(super) fn all(part: &Part) -> Vec<Block> {
    [vlans(part), sizes(part), oversize(part), fragments(part), pmtu(part), loss(part)].concat()
}

fn vlans(part: &Part) -> Vec<Block> {
    let title = Block::Section("VLANs by verdict");
    let Some(vlans) = &part.accounting.vlans else { return vec![title, not_counted(part, "VLANs are")] };
    let names = ["vlan", "pass", "drop", "would drop"];
    let align = |at: usize| if at == 0 { Align::Words } else { Align::Number };
    let columns = names.into_iter().enumerate().map(|(at, name)| (name, align(at)));
    let sum = |vlan: &VlanCount| vlan.passed.packets + vlan.dropped.packets + vlan.would_drop.packets;
    let rows = vlans.iter().map(|vlan| {
        let numbers = [vlan.passed, vlan.dropped, vlan.would_drop].map(|total| grouped(total.packets));
        [vlan.vlan.clone()].into_iter().chain(numbers).collect()
    });
    let whole = vlans.iter().map(sum).sum();
    let shares = vlans.iter().map(|vlan| share(sum(vlan), whole)).collect();
    let table = Table { columns: columns.collect(), rows: rows.collect(), shares, is_detail: false };
    vec![title, Block::Table(table)]
}

fn sizes(part: &Part) -> Vec<Block> {
    let title = Block::Section("Sizes against the MTU");
    let Some(sizes) = &part.accounting.sizes else { return vec![title, not_counted(part, "Sizes are")] };
    let mut blocks = vec![title];
    blocks.extend(part.mtu.as_ref().map(|mtu| Block::Text(said(mtu))));
    let bars = labels().into_iter().zip(&sizes.buckets);
    let bars = bars.map(|(label, frames)| Bar { label, parts: [*frames, 0] }).collect();
    let title = "Frames by length in bytes, from the destination MAC on".to_owned();
    blocks.push(Block::Chart(Chart { title, parts: ["frames", ""], bars }));
    blocks.push(Block::Table(histogram(sizes, part.mtu.as_ref())));
    blocks
}

/// The MTU and what it means for the length of a frame.
fn said(mtu: &Mtu) -> String {
    let longest = HEADER.map(|header| grouped((mtu.interface + header).into()));
    let own = mtu.vlans.iter().map(|(name, mtu)| format!("; on VLAN {name} {}", grouped((*mtu).into())));
    format!(
        "The MTU is {} bytes of layer 3: frames of {} bytes untagged, {} with two tags{}.",
        grouped(mtu.interface.into()),
        longest[0],
        longest[1],
        own.collect::<String>()
    )
}

/// The ends of the buckets in words.
fn labels() -> Vec<String> {
    let ends = SIZE_BOUNDS.map(|end| format!("to {}", grouped(end.into())));
    ends.into_iter().chain(["longer".to_owned()]).collect()
}

fn histogram(sizes: &Sizes, mtu: Option<&Mtu>) -> Table {
    let begins = [0].into_iter().chain(SIZE_BOUNDS);
    let ends = SIZE_BOUNDS.into_iter().map(Some).chain([None]);
    let rows = labels().into_iter().zip(begins.zip(ends)).zip(&sizes.buckets);
    let rows = rows.map(|((label, (begin, end)), frames)| {
        let place = mtu.map_or("", |mtu| place(begin, end, mtu.interface));
        vec![label, place.to_owned(), grouped(*frames)]
    });
    let whole = sizes.buckets.iter().sum();
    Table {
        columns: vec![("bytes", Align::Words), ("against the MTU", Align::Words), ("frames", Align::Number)],
        rows: rows.collect(),
        shares: sizes.buckets.iter().map(|frames| share(*frames, whole)).collect(),
        is_detail: false,
    }
}

/// Where a bucket of frames longer than `begin` and up to `end` lies.
fn place(begin: u32, end: Option<u32>, mtu: u32) -> &'static str {
    match end {
        _ if begin >= mtu + HEADER[1] => "over",
        Some(end) if end <= mtu + HEADER[0] => "within",
        _ => "the MTU lies here",
    }
}

fn oversize(part: &Part) -> Vec<Block> {
    let title = Block::Section("Over the MTU");
    let Some(vlans) = &part.accounting.vlans else {
        return vec![title, not_counted(part, "Frames over the MTU are")];
    };
    let over = vlans.iter().filter(|vlan| vlan.oversize.packets > 0);
    let rows: Vec<(Vec<String>, Total)> = over
        .map(|vlan| {
            let mtu = part.mtu.as_ref().map_or(String::new(), |mtu| grouped(mtu.on(&vlan.vlan).into()));
            (vec![vlan.vlan.clone(), mtu], vlan.oversize)
        })
        .collect();
    if rows.is_empty() {
        return vec![title, Block::Text("No frame that came to the size check was over the MTU.".into())];
    }
    vec![title, totals(&["vlan", "mtu"], rows, part.counters.received.packets)]
}

fn fragments(part: &Part) -> Vec<Block> {
    let title = Block::Section("Fragments");
    let Some(kinds) = &part.accounting.fragments else {
        return vec![title, not_counted(part, "Fragments are")];
    };
    let kinds = kinds.kinds();
    let row = |(kind, total): (FragmentKind, Total)| (vec![kind.name().to_owned()], total);
    vec![title, totals(&["kind"], kinds.map(row).into(), part.counters.received.packets)]
}

fn pmtu(part: &Part) -> Vec<Block> {
    let title = Block::Section("Path MTU messages");
    let Some(families) = &part.accounting.pmtu else {
        return vec![title, not_counted(part, "Path MTU messages are")];
    };
    let rows = families.iter().map(|one: &PmtuCount| {
        let family = if one.family == Family::V4 { "IPv4" } else { "IPv6" };
        let smallest = one.smallest.map_or(String::new(), |mtu| grouped(mtu.into()));
        vec![family.to_owned(), grouped(one.packets), smallest]
    });
    let columns =
        vec![("family", Align::Words), ("frames", Align::Number), ("smallest MTU announced", Align::Number)];
    vec![title, Block::Table(Table { columns, rows: rows.collect(), ..Table::default() })]
}

/// What NIC, driver and kernel lost.
fn loss(part: &Part) -> Vec<Block> {
    let Some(loss) = &part.loss else { return Vec::new() };
    let title = Block::Section("Lost around the program");
    let received = grouped(loss.received.packets);
    let text = Block::Text(format!("The device says that it received {received} frames."));
    let columns = vec![("cause", Align::Words), ("frames", Align::Number), ("told by", Align::Words)];
    let rows = loss
        .causes
        .iter()
        .filter(|lost| lost.packets > 0)
        .map(|lost| vec![lost.cause.name().to_owned(), grouped(lost.packets), lost.counters.join(", ")]);
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return vec![title, text, Block::Text("Nothing was lost.".into())];
    }
    vec![title, text, Block::Table(Table { columns, rows, ..Table::default() })]
}
