//! `perimeter man`: the manual pages, made from the same text as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, Env, Exit};

/// Print the manual page, or write one a command into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter man | man -l -
  perimeter man /usr/local/share/man/man1            then: man perimeter-apply")]
pub struct ManArgs {
    /// Write perimeter.1 and a page for each command here; the folder is made
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Carries out the command.
pub(super) fn run(args: &ManArgs, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.folder {
        None => Man::new(command).render(env.out)?,
        Some(folder) => {
            let cannot = || format!("cannot write manual pages into {}", folder.display());
            std::fs::create_dir_all(folder).with_context(cannot)?;
            clap_mangen::generate_to(command, folder).with_context(cannot)?;
        }
    }
    Ok(Exit::Done)
}
