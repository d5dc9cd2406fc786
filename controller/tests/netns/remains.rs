//! What an instance of perimeter leaves in the kernel and on disk between two commands, and whether that is too much or too
//! little.
//!
//! A program, a map or a link without a pin, another object or a process that holds it does not exist: so pins, tables
//! and keepers are all there is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::World;

/// Everything that is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Names of what is pinned for each interface.
    pins: BTreeMap<String, BTreeSet<String>>,
    /// What else is pinned.
    shared: BTreeSet<String>,
    /// Chains and sets in the nftables table of each interface.
    tables: BTreeMap<String, usize>,
    /// Unfinished files in the state directory.
    drafts: BTreeSet<String>,
}

/// The program in force, its link, and the program before it: no more is ever kept.
const KEPT: [&str; 3] = ["link", "previous", "program"];
const NEEDED: [&str; 2] = ["link", "program"];
/// What the programs of all interfaces share.
const SHARED: [&str; 6] = ["counter-keys", "cpu_counters", "events", "gates", "marks", "reader"];

impl Remains {
    /// What is there and should not be, and what is missing, given which engines judge each interface. `clean` is what
    /// a run without a fault leaves: no table may hold more than one generation.
    pub(crate) fn faults(&self, engines: &BTreeMap<String, Vec<String>>, clean: &Remains) -> Vec<String> {
        let mut faults: Vec<String> = self.drafts.iter().map(|draft| format!("{draft} is left")).collect();
        let judged = |name: &str, nft: bool| {
            engines.get(name).is_some_and(|engines| engines.iter().any(|engine| (engine == "nft") == nft))
        };
        for (name, pins) in &self.pins {
            let allowed: &[&str] = if judged(name, false) { &KEPT } else { &[] };
            let extra = pins.iter().filter(|pin| !allowed.contains(&pin.as_str()));
            faults.extend(extra.map(|pin| format!("{name}/{pin} is left")));
        }
        for name in engines.keys().filter(|name| judged(name, false)) {
            let pins = self.pins.get(name).cloned().unwrap_or_default();
            let missing = NEEDED.iter().filter(|pin| !pins.contains(**pin));
            faults.extend(missing.map(|pin| format!("{name}/{pin} is missing")));
        }
        for (name, size) in &self.tables {
            let allowed =
                if judged(name, true) { clean.tables.get(name).copied().unwrap_or(*size) } else { 0 };
            if *size != allowed {
                faults.push(format!("the table of {name} holds {size} chains and sets instead of {allowed}"));
            }
        }
        let nothing = engines.values().all(Vec::is_empty);
        if nothing {
            faults.extend(self.tables.keys().map(|name| format!("the table of {name} is left")));
        }
        let shared: BTreeSet<String> =
            SHARED.iter().filter(|_| !nothing).map(|name| (*name).to_owned()).collect();
        let pinned = self.pins.values().any(|pins| !pins.is_empty());
        faults.extend(self.shared.difference(&shared).map(|name| format!("{name} is left")));
        let missing = shared.difference(&self.shared).filter(|_| pinned);
        faults.extend(missing.map(|name| format!("{name} is missing")));
        faults
    }
}

impl World {
    /// What is left now.
    pub(crate) fn remains(&self) -> Remains {
        let [_, state, _, bpf] = self.places();
        let mut remains = Remains { tables: self.tables(), ..Remains::default() };
        for path in find(&bpf, &["-type", "f"]) {
            let names: Vec<&str> = path.split('/').collect();
            match names.as_slice() {
                [_, "interfaces", interface, object] => {
                    remains.pins.entry((*interface).into()).or_default().insert((*object).into());
                }
                _ => drop(remains.shared.insert(names.last().map_or(path.clone(), |name| (*name).into()))),
            }
        }
        remains.drafts = find(&state, &["-name", ".*", "-mindepth", "1"]);
        remains
    }

    /// How many chains and sets the nftables table of each interface has.
    fn tables(&self) -> BTreeMap<String, usize> {
        let listed: Value = serde_json::from_str(&self.nft(&["-j", "list", "ruleset"], "")).unwrap();
        let mut sizes = BTreeMap::new();
        for object in listed["nftables"].as_array().unwrap() {
            let of = |kind: &str, key: &str| {
                let table = object[kind][key].as_str()?;
                Some(table.strip_prefix("perimeter")?.split_once('/')?.1.to_owned())
            };
            if let Some(interface) = of("table", "name") {
                sizes.entry(interface).or_insert(0);
            }
            for kind in ["chain", "set", "map"] {
                if let Some(interface) = of(kind, "table") {
                    *sizes.entry(interface).or_insert(0) += 1;
                }
            }
        }
        sizes
    }

    /// Waits until no keeper of this world is left: one that has nothing left to do goes within a moment.
    pub(crate) fn keepers_are_gone(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.keepers().is_empty() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// The processes that wait for the end of a trial in this world.
    pub(crate) fn keepers(&self) -> Vec<i32> {
        let state = self.places()[1].clone();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_ours = |process: &i32| {
            let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            let words: Vec<&str> = words.split('\0').collect();
            words.contains(&"keeper") && words.contains(&state.as_str())
        };
        numbers.filter(is_ours).collect()
    }
}

/// What `find` finds below a folder, which need not be there.
fn find(folder: &str, what: &[&str]) -> BTreeSet<String> {
    let output = Command::new("find").arg(folder).args(what).args(["-printf", "%P\n"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
