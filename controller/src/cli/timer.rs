//! What takes a generation on trial back where its keeper was killed: a timer of systemd, where systemd runs.
//!
//! Promises: the timer does what the keeper does, a moment later; where the keeper, or anybody, was first, it does nothing.
//! It needs no keeper, no terminal and no login, and knows the network namespace by its name.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::SignedDuration;

use super::Global;
use super::keeper::{self, Charge};
use crate::state::Namespace;

/// Is there where systemd is process 1 (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// Where network namespaces have names (ip-netns(8)).
const NAMED: &str = "/run/netns";
/// How much later than the keeper it acts.
const LATER: SignedDuration = SignedDuration::from_secs(5);

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    /// In the network namespace of process 1, where systemd starts what it starts.
    Init,
    Named(PathBuf),
    Nameless,
}

/// Has systemd take the generation back after the trial. What is to be said where it does not, in words.
pub(super) fn start(
    program: &Path,
    global: &Global,
    charge: Charge,
    namespace: Namespace,
) -> Result<(), String> {
    if !Path::new(BOOTED).is_dir() {
        return Err("no systemd runs here".to_owned());
    }
    let place = place().map_err(|error| format!("the network namespace cannot be told ({error})"))?;
    let words = words(program, global, charge, (namespace, &place))?;
    let output = Command::new("systemd-run").args(words).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr);
            Err(format!("systemd refuses a timer ({})", told.lines().next().unwrap_or("it does not say why")))
        }
        Err(error) => Err(format!("systemd-run cannot be run ({error})")),
    }
}

/// The words after `systemd-run`.
fn words(
    program: &Path,
    global: &Global,
    charge: Charge,
    (namespace, place): (Namespace, &Where),
) -> Result<Vec<OsString>, String> {
    let unit = format!("--unit=perimeter-trial-{}-{}", namespace.cookie, charge.generation);
    let after = format!("--on-active={}s", (charge.within + LATER).as_secs());
    let options = ["--quiet", "--collect", &unit, &after, "--timer-property=AccuracySec=1s", "--"];
    let mut words: Vec<OsString> = options.map(OsString::from).to_vec();
    match place {
        Where::Init => {}
        Where::Named(path) => {
            let net = [OsString::from("--net="), path.clone().into_os_string()];
            words.extend([OsString::from("nsenter"), net.into_iter().collect()]);
        }
        Where::Nameless => return Err("this network namespace has no name in /run/netns".to_owned()),
    }
    words.push(program.as_os_str().to_owned());
    words.extend(keeper::words(global, Charge { within: SignedDuration::ZERO, ..charge }));
    Ok(words)
}

/// Where this process runs.
fn place() -> std::io::Result<Where> {
    let number = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let own = number(Path::new("/proc/self/ns/net"))?;
    if number(Path::new("/proc/1/ns/net"))? == own {
        return Ok(Where::Init);
    }
    let named = std::fs::read_dir(NAMED).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = named.into_iter().find(|path| number(path).is_ok_and(|it| it == own));
    Ok(found.map_or(Where::Nameless, Where::Named))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn told(place: &Where) -> Result<String, String> {
        let line = ["perimeter", "--state-dir", "/s", "--bpffs", "/b", "status"];
        let global = Cli::try_parse_from(line).unwrap().global;
        let charge = Charge { generation: 8, before: Some(7), within: SignedDuration::from_secs(60) };
        let namespace = Namespace { cookie: 4_096 };
        let told = words(Path::new("/usr/local/sbin/perimeter"), &global, charge, (namespace, place))?;
        Ok(told.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" "))
    }

    const TIMER: &str =
        "--quiet --collect --unit=perimeter-trial-4096-8 --on-active=65s --timer-property=AccuracySec=1s --";
    const KEEPER: &str =
        "/usr/local/sbin/perimeter --state-dir /s --bpffs /b keeper --generation 8 --before 7 --within 0";

    #[test]
    fn the_timer_runs_a_keeper_that_does_not_wait() {
        assert_eq!(told(&Where::Init), Ok(format!("{TIMER} {KEEPER}")));
    }

    #[test]
    fn it_enters_the_network_namespace_by_its_name() {
        let named = Where::Named("/run/netns/gw".into());
        assert_eq!(told(&named), Ok(format!("{TIMER} nsenter --net=/run/netns/gw {KEEPER}")));
        assert!(told(&Where::Nameless).is_err());
    }
}
