//! Writes `pcaps/`: the captures, the oracle's verdict on each frame, the README. The same bytes every time.
//!
//! `cargo run -p perimeter --example make_pcaps [DIR]`; `DIR` defaults to the project's `pcaps`.

#[path = "../tests/captures/mod.rs"]
mod captures;
#[path = "../tests/oracle/mod.rs"]
#[allow(dead_code, reason = "the tests build rulesets by hand, the captures read policies")]
mod oracle;

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::args_os().nth(1).map_or_else(|| root.join("pcaps"), PathBuf::from);
    let captures = captures::all();
    for capture in &captures {
        let ruleset = captures::policy(&root.join(capture.policy));
        ensure!(ruleset.interfaces.len() == 1, "{}: more than one interface", capture.policy);
        let expected = captures::expectations(capture, &ruleset, |frame| oracle::judge(&ruleset, 0, frame));
        write(&folder.join(capture.file_name()), &captures::file(capture))?;
        write(&folder.join(format!("{}.expected.jsonl", capture.name)), expected.as_bytes())?;
    }
    write(&folder.join("README.md"), captures::readme(&captures).as_bytes())?;
    println!("{} captures written to {}", captures.len(), folder.display());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
