//! The `perimeter` binary: reads the arguments, runs one command, prints one error line, chooses the exit status.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use perimeter::cli::{self, Cli, Env, Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = cli.global.verbose;
    let colour = std::env::var_os("NO_COLOR").is_none();
    let (mut out, mut err) = (io::BufWriter::new(io::stdout().lock()), io::stderr().lock());
    let mut env = Env {
        out: &mut out,
        err: &mut err,
        colour_out: colour && io::stdout().is_terminal(),
        colour_err: colour && io::stderr().is_terminal(),
        interactive: io::stdin().is_terminal(),
        now: jiff::Timestamp::now(),
    };
    let result = cli::run(cli, &mut env).and_then(|exit| {
        env.out.flush()?;
        Ok(exit)
    });
    match result {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Reported) => ExitCode::from(1),
        Ok(Exit::Negative) => ExitCode::from(2),
        Err(error) => {
            let _ = out.flush();
            let text = if verbose { format!("{error:?}") } else { format!("{error:#}") };
            let _ = writeln!(err, "perimeter: {text}");
            ExitCode::from(1)
        }
    }
}
