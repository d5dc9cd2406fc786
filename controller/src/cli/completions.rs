//! `perimeter completions`: let the shell complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Env, Exit};

/// Print the completion script of a shell
///
/// Put it where the shell looks for completions, and open a new shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter completions bash > /etc/bash_completion.d/perimeter
  perimeter completions zsh > \"${fpath[1]}/_perimeter\"
  perimeter completions fish > ~/.config/fish/completions/perimeter.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Carries out the command.
pub(super) fn run(args: &CompletionsArgs, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    // The generator panics where a write fails: it writes to memory, and the reader of a pipe may go away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "perimeter", &mut script);
    env.out.write_all(&script)?;
    Ok(Exit::Done)
}
