//! What the verifier of this kernel thinks of the program, from the smallest policy to everything at once.
//!
//! Each kernel's verifier walks another way; `scripts/vm.sh` runs this under older ones.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use perimeter::backend::xdp::maps::SharedMaps;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::compile::compile;
use perimeter::ruleset::Ruleset;
use perimeter_classifier::abi::name;

use crate::{edge, may_load};

/// Every verifier stops at 1,000,000; what is left is for kernels that were not tried.
const BUDGET: u32 = 600_000;

/// As `apply` loads a program; nothing is counted in these tests, so that one slot serves everybody.
const ENFORCEMENT: Enforcement =
    Enforcement { generation: 1, policy: [0; 32], enforce: true, reason_slots: [0; 15] };

/// Goal: no policy comes near the verifier's limit. Method: load each as `apply` does, and ask the kernel how many
/// instructions it looked at (`verified_insns`, Linux 5.16).
#[test]
fn every_policy_is_within_the_budget() {
    if !may_load() {
        return;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("verified instructions, Linux {}, at most {BUDGET}:", release.trim());
    let counters = SharedMaps::create().unwrap();
    for (policy, rules) in policies() {
        for (index, interface) in rules.interfaces.iter().enumerate() {
            let image = compile(&rules, index).unwrap();
            // A refusal is told without the verifier's log, which is megabytes.
            let program = Program::load(&image, ENFORCEMENT, &counters)
                .unwrap_or_else(|error| panic!("{policy}: {error}"));
            let described = program.describe().unwrap();
            let verified = described.verified_instructions;
            println!("{verified:>10}   {policy} {}", interface.name);
            assert_eq!(described.name, name::PROGRAM);
            // 0 is what a kernel says that does not count.
            assert!((1..BUDGET).contains(&verified), "{policy} {}: {verified}", interface.name);
        }
    }
}

/// The rule sets of `edge`, and every policy of the project.
fn policies() -> Vec<(String, Ruleset)> {
    let mut all = vec![("(one rule)".to_owned(), edge::small()), ("(everything)".to_owned(), edge::full())];
    for folder in ["rules", "pcaps"] {
        let mut files: Vec<PathBuf> =
            fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
                .collect();
        files.sort();
        all.extend(
            files.iter().map(|path| {
                (format!("{folder}/{}", path.file_name().unwrap().to_string_lossy()), policy(path))
            }),
        );
    }
    all
}

fn policy(path: &Path) -> Ruleset {
    let folder = path.parent().unwrap();
    let mut files = |name: &str| fs::read(folder.join(name));
    let text = fs::read(path).unwrap();
    let reading =
        perimeter::policy::read(&path.display().to_string(), &text, &mut files, Timestamp::UNIX_EPOCH);
    reading.ruleset.unwrap_or_else(|| panic!("{} is no policy", path.display()))
}
