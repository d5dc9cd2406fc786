//! The house rules as tests: what a reader of this code may rely on, checked in every file.
//!
//! Reads the sources as text, line by line, as rustfmt lays them out: a function ends at the first line that closes at its
//! own indentation. A violation is reported with file and line, all of them in one pass.

mod dependencies;
mod source;

use source::{Source, sources};

/// Lines of a file of the program, and of its tests.
const FILE_LINES: [usize; 2] = [400, 600];
/// Lines of a function of the program, and of a test.
const FUNCTION_LINES: [usize; 2] = [70, 100];

/// Fails with every violation, one a line.
fn report(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

/// Goal: a file is read in one sitting. Method: count its lines.
#[test]
fn files_are_short() {
    let too_long = |file: &Source| {
        let (lines, limit) = (file.text.lines().count(), FILE_LINES[usize::from(file.is_test())]);
        (lines > limit).then(|| format!("{}: {lines} lines, more than {limit}", file.path))
    };
    report(sources().iter().filter_map(too_long).collect());
}

/// Goal: whoever comes finds what there is. Method: the top level, as its user has asked for it.
#[test]
fn the_top_level_holds_what_belongs_there() {
    const ENTRIES: [&str; 13] = [
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "benches",
        "controller",
        "pcaps",
        "rules",
        "rustfmt.toml",
        "scripts",
    ];
    let entries = std::fs::read_dir(source::root()).expect("the root can be listed");
    let names = entries.map(|entry| entry.expect("the root can be listed").file_name());
    let belongs = |name: &String| {
        ENTRIES.contains(&name.as_str()) || ["xdp", "target", ".git"].contains(&name.as_str())
    };
    let names = names.map(|name| name.to_string_lossy().into_owned()).filter(|name| !belongs(name));
    report(names.map(|name| format!("{name} does not belong at the top level")).collect());
}

/// Goal: a function is seen whole. Method: from its `fn` to the line that closes at the same indentation.
#[test]
fn functions_are_short() {
    let mut violations = Vec::new();
    for file in sources() {
        for function in file.functions() {
            let limit = FUNCTION_LINES[usize::from(function.is_test)];
            if function.lines > limit {
                let (path, line, lines) = (&file.path, function.line, function.lines);
                violations.push(format!("{path}:{line}: a function of {lines} lines, more than {limit}"));
            }
        }
    }
    report(violations);
}

/// Goal: what is here is finished. Method: look for the words that say it is not (spelt apart, or this file would match).
#[test]
fn nothing_is_left_for_later() {
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["todo", "!("], ["unimple", "mented!("]]
        .map(|w| w.concat());
    report(occurrences(|_| true, &markers.each_ref().map(String::as_str)));
}

/// Goal: the way through the house is one way. Method: `lib.rs` lists the modules in their order; `crate::x` in the files
/// of a module must name one above it. The policy is read by the command line alone: backends start at the rule set.
#[test]
fn imports_go_one_way() {
    let files = sources();
    let library = files.iter().find(|file| file.path == "controller/src/lib.rs").expect("lib.rs is a source");
    let modules: Vec<&str> = library.lines_of_code().filter_map(|(_, line)| declared_module(line)).collect();
    let place = |module: &str| modules.iter().position(|&known| known == module);
    let mut violations = Vec::new();
    for file in &files {
        let Some(own) = file.module().filter(|own| place(own).is_some()) else { continue };
        for (line, used) in file.crate_paths() {
            let Some(at) = place(&used) else { continue };
            if Some(at) > place(own) {
                violations.push(format!("{}:{line}: {own} imports {used}, which stands below it", file.path));
            }
            if used == "policy" && !file.is_test() && !["policy", "cli"].contains(&own) {
                violations
                    .push(format!("{}:{line}: {own} sees the policy; it starts at the rule set", file.path));
            }
        }
    }
    report(violations);
}

/// `pub mod name;` of the crate's root.
fn declared_module(line: &str) -> Option<&str> {
    line.strip_prefix("pub mod ")?.strip_suffix(';')
}

/// Goal: the pure stages give the same bytes for the same input. Method: they name no file, clock, environment or socket.
#[test]
fn pure_stages_have_no_effects() {
    let pure = ["ruleset", "tables", "compile", "simulate", "plan", "doctor", "explain", "describe"];
    let effects = [
        "std::fs",
        "std::env",
        "TcpStream",
        "UdpSocket",
        "std::time",
        "std::process",
        "std::io::stdin",
        "Timestamp::now",
    ];
    let is_pure = |file: &Source| !file.is_test() && file.module().is_some_and(|own| pure.contains(&own));
    report(occurrences(is_pure, &effects));
}

/// Goal: only a command's `Env` writes to a terminal. Method: no print macro in the library or the binary.
#[test]
fn only_the_environment_prints() {
    let program = |file: &Source| file.path.starts_with("controller/src/") && !file.is_test();
    report(occurrences(program, &["println!", "eprintln!", " print!", "eprint!", "dbg!"]));
}

/// Goal: unsafe code has few homes. Method: outside the kernel's border and build scripts the word does not appear.
#[test]
fn unsafe_stays_at_the_border_of_the_kernel() {
    let homes = [
        "controller/src/backend/xdp/",
        "controller/src/backend/nft/netlink/",
        "controller/src/backend/nft/judge.rs",
        "controller/src/backend/nft/judge/",
        "controller/src/backend/ethtool.rs",
        "xdp/src/",
        "controller/build.rs",
        "benches/",
    ];
    let elsewhere = |file: &Source| !file.is_test() && !homes.iter().any(|home| file.path.starts_with(home));
    report(occurrences(elsewhere, &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]));
}

/// Where one of `words` stands in the code of the files chosen, comments apart; markers count in comments too.
fn occurrences(chosen: impl Fn(&Source) -> bool, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| chosen(file) && !file.path.contains("tests/tidy/")) {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                found.push(format!("{}:{}: {word:?} has no place here", file.path, number + 1));
            }
        }
    }
    found
}
