//! Running commands inside a test, as `main` does.

use std::io;
use std::path::Path;

use clap::Parser;

use super::{Cli, Env, Exit, run};

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) exit: u8,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs `perimeter` with these arguments, on 21 November 2026.
pub(super) fn perimeter(arguments: &[&str]) -> Ran {
    let cli = match Cli::try_parse_from(["perimeter"].iter().chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => return Ran { exit: 1, out: String::new(), err: error.to_string() },
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let now = "2026-11-21T12:00:00Z".parse().expect("it is a time");
    let mut input = io::empty();
    let mut env = Env::plain(&mut out, &mut err, &mut input, now, "tester");
    let result = run(cli, &mut env);
    let [out, mut err] = [out, err].map(|bytes| String::from_utf8(bytes).expect("output is text"));
    let exit = match result {
        Ok(Exit::Done) => 0,
        Ok(Exit::Negative) => 2,
        Ok(Exit::Reported) => 1,
        Err(error) => {
            err += &format!("perimeter: {}\n", super::told(&error, false));
            1
        }
    };
    Ran { exit, out, err }
}

/// Writes a file, and gives its path as text.
pub(super) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("a temporary file can be written");
    path.to_str().expect("temporary paths are text").to_owned()
}
