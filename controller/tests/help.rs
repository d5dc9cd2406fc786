//! The help, the manual pages and the completions: every command is in them, and teaches.

use std::fs;
use std::io;

use clap::{Command, CommandFactory, Parser};
use perimeter::cli::{self, Cli, Env, Exit};

/// Runs a command in this process; its exit and what it printed.
fn run(arguments: &[&str]) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let now = "2026-11-21T12:00:00Z".parse().expect("a time");
    let mut input = io::empty();
    let mut env = Env::plain(&mut out, &mut err, &mut input, now, "tester");
    let cli = Cli::try_parse_from([&["perimeter"], arguments].concat()).expect("the arguments are right");
    let exit = cli::run(cli, &mut env).expect("the command succeeds");
    (exit, String::from_utf8(out).expect("text"))
}

/// The commands that are shown.
fn verbs() -> Vec<Command> {
    Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect()
}

/// Goal: no contradiction in the definitions. Method: clap's own check.
#[test]
fn definitions_are_consistent() {
    Cli::command().debug_assert();
}

/// Goal: `perimeter VERB --help` is enough to go on. Method: each has a first line, examples, and a word on every option.
#[test]
fn every_command_teaches() {
    for verb in verbs() {
        let name = verb.get_name();
        assert!(verb.get_about().is_some(), "{name} does not say what it does");
        let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(examples.contains(&format!("perimeter {name}")), "{name} --help has no example");
        for argument in verb.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} is not explained", argument.get_id());
        }
    }
}

/// Goal: an example that is shown can be typed. Method: parse every line of every `Examples:` that begins the program.
#[test]
fn examples_can_be_typed() {
    for verb in verbs() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().map(str::trim).filter(|line| line.starts_with("perimeter ")) {
            let command =
                line.split("   ").next().unwrap_or(line).split(['|', '>', '#']).next().unwrap_or(line);
            let words: Vec<&str> = command.split_whitespace().collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                assert!(!error.use_stderr(), "{line}: {error}");
            }
        }
    }
}

/// Goal: every shell completes every command. Method: its name is in each script.
#[test]
fn completions_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (exit, script) = run(&["completions", shell]);
        assert_eq!(exit, Exit::Done);
        for verb in verbs() {
            assert!(script.contains(verb.get_name()), "{shell} does not complete {}", verb.get_name());
        }
    }
}

/// Goal: `man perimeter` and `man perimeter-VERB`. Method: write the pages and look into each.
#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    run(&["man", pages.to_str().expect("a path of text")]);
    let page =
        |name: &str| fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(page("perimeter.1"), run(&["man"]).1);
    for verb in verbs() {
        let text = page(&format!("perimeter-{}.1", verb.get_name()));
        assert!(text.contains(".SH DESCRIPTION") && text.contains("Examples:"), "{text}");
    }
}
