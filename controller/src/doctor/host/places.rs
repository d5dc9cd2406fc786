//! Where pins and records would lie.

use crate::backend::facts::{Bpffs, Folder, HostFacts};
use crate::doctor::{Finding, MODES};

/// Permission bits that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;
/// Room for the records of some large policies, which take a few MiB each.
const ROOM: u64 = 64 << 20;

pub(super) fn findings(facts: &HostFacts) -> Vec<Finding> {
    let mut findings = vec![bpffs(facts)];
    findings.extend(state(&facts.state));
    findings
}

fn bpffs(facts: &HostFacts) -> Finding {
    let check = "bpffs";
    let (path, found) = (facts.pins.0.display(), &facts.pins.1);
    let why = "pins keep the kernel enforcing when no process runs";
    match found {
        Err(cause) => Finding::unknown(check, &format!("what {path} lies on"), cause),
        Ok(Bpffs::Lasting) => Finding::ok(check, format!("{path} is for as long as the machine runs")),
        Ok(Bpffs::NotMounted) => {
            let why = format!("{why}; `perimeter apply` mounts it by itself");
            Finding::note(check, "no bpf file system is mounted at /sys/fs/bpf yet", why)
                .remedy("mount -t bpf bpf /sys/fs/bpf")
        }
        Ok(Bpffs::Private) => {
            let why = format!("{why}, and these would end with the shell, as under `ip netns exec`");
            Finding::warning(check, format!("the bpf file system at {path} is private to this shell"), why)
                .excluding(&MODES)
                .remedy("nsenter --net=/run/netns/NAME perimeter doctor")
        }
        Ok(Bpffs::Other) => Finding::warning(check, format!("{path} does not lie on a bpf file system"), why)
            .excluding(&MODES)
            .remedy("mount -t bpf bpf /sys/fs/bpf"),
    }
}

fn state(facts: &Folder) -> Vec<Finding> {
    let check = "state";
    let path = facts.path.display();
    let why = "a generation is on disk before the kernel enforces it";
    if let Err(cause) = &facts.writable {
        let made = format!("install -d -o root -m 0700 {path}");
        return vec![
            Finding::warning(check, format!("nothing can be written at {path}: {cause}"), why)
                .excluding(&MODES)
                .remedy(made),
        ];
    }
    let mut findings = permissions(facts);
    match &facts.temporary {
        Err(cause) => findings.push(Finding::unknown(check, &format!("what {path} lies on"), cause)),
        Ok(true) => {
            let why = "records and policies end with the next boot, and nothing can be restored after it";
            let what = format!("{path} lies in memory");
            findings.push(
                Finding::warning(check, what, why).remedy("perimeter --state-dir /var/lib/perimeter doctor"),
            );
        }
        Ok(false) => {}
    }
    match &facts.free {
        Err(cause) => findings.push(Finding::unknown(check, &format!("how much room {path} has"), cause)),
        Ok(bytes) if *bytes < ROOM => {
            let what = format!("{} MiB are free at {path}", bytes >> 20);
            findings.push(Finding::warning(check, what, why).remedy(format!("df -h {path}")));
        }
        Ok(_) => {}
    }
    if findings.is_empty() {
        let made = if facts.exists { "" } else { ", which the first `apply` makes" };
        findings.push(Finding::ok(check, format!("records go to {path}{made}")));
    }
    findings
}

/// Who else could change what is put in force at the next boot.
fn permissions(facts: &Folder) -> Vec<Finding> {
    let check = "state";
    let path = facts.path.display();
    if !facts.exists {
        return Vec::new();
    }
    let why = "whoever can write there decides what `restore` and `rollback` put in force";
    let mut findings = Vec::new();
    match &facts.owner {
        Err(cause) => findings.push(Finding::unknown(check, &format!("whose {path} is"), cause)),
        Ok(0) => {}
        Ok(owner) => {
            let what = format!("{path} belongs to user {owner}");
            findings.push(Finding::warning(check, what, why).remedy(format!("chown -R root: {path}")));
        }
    }
    match &facts.mode {
        Err(cause) => findings.push(Finding::unknown(check, &format!("who may write to {path}"), cause)),
        Ok(mode) if mode & OTHERS_WRITE != 0 => {
            let what = format!("others than root may write to {path} (mode {mode:o})");
            findings.push(Finding::warning(check, what, why).remedy(format!("chmod go-w {path}")));
        }
        Ok(_) => {}
    }
    findings
}
