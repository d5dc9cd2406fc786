//! What takes a generation on trial back where its keeper was killed: a timer of systemd, where systemd runs.
//!
//! Promises: the timer starts another keeper shortly before the end of the trial, which does what the first one does, a moment
//! later, to the trial that it was made for and to no other; where somebody was first, it does nothing. It needs no keeper, no terminal and no login, and knows the network
//! namespace by its name. Refuses where process 1, in whose mount namespace it would run, sees other places under the same
//! names; waits for systemd for a moment only, and holds nothing meanwhile.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2};

use super::Global;
use super::keeper::{self, Charge};
use crate::state::{Namespace, Trial};

/// Is there where systemd is process 1 (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// Where systemd keeps the units that commands have made (systemd.unit(5)), until they have done their work.
const TRANSIENT: &str = "/run/systemd/transient";
/// Where network namespaces have names (ip-netns(8)).
const NAMED: &str = "/run/netns";
/// The files as process 1 sees them, and with it what systemd starts (proc_pid_root(5)).
const ROOT_OF_INIT: &str = "/proc/1/root";
/// How much later than the first keeper the second acts: within a second of the deadline, and not at the same moment.
const LATER: Duration = Duration::from_millis(250);
/// How long before that it is started: what it puts back has to be compiled.
const AHEAD: Duration = Duration::from_secs(5);
/// How long systemd may take to say that the timer stands.
const PATIENCE: Duration = Duration::from_secs(5);

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
    deadline: Duration,
    namespace: Namespace,
) -> Result<(), String> {
    if !Path::new(BOOTED).is_dir() {
        return Err("no systemd runs here".to_owned());
    }
    let place = place().map_err(|error| format!("the network namespace cannot be told ({error})"))?;
    let mut needed = vec![program, &global.state_dir, &global.bpffs];
    if let Where::Named(path) = &place {
        needed.push(path);
    }
    seen_alike(Path::new(ROOT_OF_INIT), &needed)?;
    let words = words(program, global, charge, (namespace, &place), (deadline, keeper::boottime()))?;
    ask(Command::new("systemd-run").args(words), PATIENCE)
}

/// The words after `systemd-run`; `deadline` and `now` are times since the boot.
fn words(
    program: &Path,
    global: &Global,
    charge: Charge,
    (namespace, place): (Namespace, &Where),
    (deadline, now): (Duration, Duration),
) -> Result<Vec<OsString>, String> {
    let unit = format!("--unit={}", unit(namespace, charge.generation, charge.until));
    let after = format!("--on-active={}ms", deadline.saturating_sub(now + AHEAD).as_millis().max(1));
    let options = ["--quiet", "--collect", &unit, &after, "--timer-property=AccuracySec=10ms", "--"];
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
    words.extend(keeper::words_until(global, charge, deadline + LATER));
    Ok(words)
}

/// The unit that takes a trial back, without the ending that says whether it is the timer or what that starts.
fn unit(namespace: Namespace, generation: u64, until: Timestamp) -> String {
    format!("perimeter-trial-{}-{generation}-{}", namespace.cookie, until.as_millisecond())
}

/// Whether systemd still has what takes a trial back.
pub(super) fn stands(namespace: Namespace, trial: &Trial) -> bool {
    has(Path::new(TRANSIENT), &unit(namespace, trial.generation, trial.until))
}

fn has(units: &Path, unit: &str) -> bool {
    ["timer", "service"].iter().any(|ending| units.join(format!("{unit}.{ending}")).exists())
}

/// Where this process runs.
fn place() -> io::Result<Where> {
    let number = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let own = number(Path::new("/proc/self/ns/net"))?;
    if number(Path::new("/proc/1/ns/net"))? == own {
        return Ok(Where::Init);
    }
    let named = std::fs::read_dir(NAMED).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = named.into_iter().find(|path| number(path).is_ok_and(|it| it == own));
    Ok(found.map_or(Where::Nameless, Where::Named))
}

/// Refuses where a process whose files begin at `root` finds something else than this one under any of these absolute
/// paths. What is not there here is not needed there.
fn seen_alike(root: &Path, paths: &[&Path]) -> Result<(), String> {
    let number = |file| fstat(file).map(|facts| (facts.st_dev, facts.st_ino));
    let found = |path: &Path| number(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    // A link leads within that root too (Linux 5.6).
    let found_there = |path: &Path| {
        let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let how = (OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT);
        number(openat2(root, path, how.0, how.1, how.2)?)
    };
    for path in paths {
        if let Ok(here) = found(path)
            && found_there(path) != Ok(here)
        {
            let path = path.display();
            return Err(format!("systemd runs in another mount namespace, which does not have this {path}"));
        }
    }
    Ok(())
}

/// Runs a command to its end, which must come within `limit`.
fn ask(command: &mut Command, limit: Duration) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("{name} cannot be run ({error})"))?;
    match ends(&mut child, limit) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(_)) => {
            let mut told = String::new();
            let line = child.stderr.take().map(|told| BufReader::new(told).lines().next());
            told.extend(line.flatten().and_then(Result::ok));
            Err(format!(
                "systemd refuses a timer ({})",
                if told.is_empty() { "it does not say why" } else { &told }
            ))
        }
        Ok(None) => {
            // Should it come to stand all the same, it knows its trial.
            let _ = child.kill().and_then(|()| child.wait());
            Err(format!("systemd does not answer within {} s", limit.as_secs()))
        }
        Err(error) => Err(format!("{name} cannot be waited for ({error})")),
    }
}

/// How a process ends; `None` where it does not within `limit`.
fn ends(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    /// With a deadline 1,100 s after the boot.
    fn told(place: &Where, now: u64) -> Result<String, String> {
        let line = ["perimeter", "--state-dir", "/s", "--bpffs", "/b", "status"];
        let global = Cli::try_parse_from(line).unwrap().global;
        let until = Timestamp::from_millisecond(1_900_000_000_123).unwrap();
        let charge = Charge { generation: 8, before: Some(7), until };
        let namespace = Namespace { cookie: 4_096 };
        let (program, times) =
            (Path::new("/usr/local/sbin/perimeter"), [1_100, now].map(Duration::from_secs));
        let told = words(program, &global, charge, (namespace, place), times.into())?;
        Ok(told.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" "))
    }

    const TIMER: &str = "--quiet --collect --unit=perimeter-trial-4096-8-1900000000123 --on-active=95000ms \
                         --timer-property=AccuracySec=10ms --";
    const KEEPER: &str = "/usr/local/sbin/perimeter --state-dir /s --bpffs /b keeper --generation 8 --before 7 \
                          --deadline 1100250 --until 2030-03-17T17:46:40.123Z";

    #[test]
    fn the_timer_runs_a_keeper_in_time_for_the_deadline() {
        assert_eq!(told(&Where::Init, 1_000), Ok(format!("{TIMER} {KEEPER}")));
        let at_once = TIMER.replace("95000ms", "1ms");
        assert_eq!(told(&Where::Init, 1_096), Ok(format!("{at_once} {KEEPER}")));
    }

    #[test]
    fn a_timer_is_known_by_its_unit_before_and_while_it_acts() {
        let units = tempfile::tempdir().unwrap();
        let unit =
            unit(Namespace { cookie: 4_096 }, 8, Timestamp::from_millisecond(1_900_000_000_123).unwrap());
        assert!(TIMER.contains(&format!("--unit={unit} ")), "{unit}");
        assert!(!has(units.path(), &unit));
        for ending in ["timer", "service"] {
            let file = units.path().join(format!("{unit}.{ending}"));
            std::fs::write(&file, "").unwrap();
            assert!(has(units.path(), &unit) && !has(units.path(), &unit[..unit.len() - 1]), "{ending}");
            std::fs::remove_file(&file).unwrap();
        }
    }

    #[test]
    fn it_enters_the_network_namespace_by_its_name() {
        let named = Where::Named("/run/netns/gw".into());
        assert_eq!(told(&named, 1_000), Ok(format!("{TIMER} nsenter --net=/run/netns/gw {KEEPER}")));
        assert!(told(&Where::Nameless, 1_000).is_err());
    }

    /// Goal: a timer that would not find the pins or the journal is not counted on. Method: roots made of folders, one with
    /// a link that leads to the right place only where it is followed outside of it.
    #[test]
    fn process_1_must_see_the_same_places() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        assert_eq!(seen_alike(Path::new("/"), &[&state, Path::new("/no/such/place")]), Ok(()));
        let root = folder.path().join("root");
        let there = root.join(state.strip_prefix("/").unwrap());
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        let refused = |why: &str| assert!(seen_alike(&root, &[&state]).is_err(), "{why}");
        refused("nothing is there");
        std::os::unix::fs::symlink(&state, &there).unwrap();
        refused("a link that leads to itself");
        std::fs::remove_file(&there).unwrap();
        std::fs::create_dir(&there).unwrap();
        refused("another folder of this name");
    }

    #[test]
    fn a_systemd_that_hangs_holds_nobody_up() {
        let shell = |script: &str, limit| ask(Command::new("sh").args(["-c", script]), limit);
        let begun = Instant::now();
        let hangs = shell("exec sleep 60", Duration::from_millis(50));
        assert_eq!(hangs, Err("systemd does not answer within 0 s".to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(30));
        let limit = Duration::from_secs(30);
        assert_eq!(shell("exit 0", limit), Ok(()));
        assert_eq!(
            shell("echo no bus >&2; exit 1", limit),
            Err("systemd refuses a timer (no bus)".to_owned())
        );
        let missing = ask(&mut Command::new("/no/such/systemd-run"), limit).unwrap_err();
        assert!(missing.starts_with("/no/such/systemd-run cannot be run"), "{missing}");
    }
}
