//! The `perimeter` binary: reads the arguments, runs one command, prints one error line, chooses the exit status.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use perimeter::cli::{self, Cli, Env, Exit};
use perimeter::printable::printable;
use perimeter::state::Author;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return usage(&message),
    };
    let verbose = cli.global.verbose;
    let colour = std::env::var_os("NO_COLOR").is_none();
    let (mut out, mut err) = (io::BufWriter::new(io::stdout().lock()), io::stderr().lock());
    let mut env = Env {
        out: &mut out,
        err: &mut err,
        input: &mut io::stdin().lock(),
        colour_out: colour && io::stdout().is_terminal(),
        colour_err: colour && io::stderr().is_terminal(),
        terminal_err: io::stderr().is_terminal(),
        interactive: io::stdin().is_terminal(),
        now: jiff::Timestamp::now(),
        author: author(),
        program: std::env::current_exe().unwrap_or("perimeter".into()),
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
            let _ = writeln!(err, "perimeter: {}", cli::told(&error, verbose));
            ExitCode::from(1)
        }
    }
}

/// Help and version are answers; a wrong argument is an error, and errors exit with 1 (clap would say 2).
fn usage(message: &clap::Error) -> ExitCode {
    let _ = message.print();
    if message.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// The login name behind `sudo`, else the user, else the user id; and the login session, where there is one.
fn author() -> Author {
    let name = |key| std::env::var(key).ok().filter(|name| !name.is_empty());
    let user = rustix::process::getuid();
    let id = || if user.is_root() { "root".to_owned() } else { format!("uid {}", user.as_raw()) };
    let by = name("SUDO_USER").or_else(|| name("LOGNAME")).or_else(|| name("USER")).unwrap_or_else(id);
    Author { by: printable(&by).into_owned(), session: session(), ticket: None }
}

/// The kernel's number of this login session (`/proc/self/sessionid`, which is all ones outside one).
fn session() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/sessionid").ok()?;
    text.trim().parse().ok().filter(|session| *session != u32::MAX)
}
