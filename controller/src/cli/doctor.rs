//! `perimeter doctor`: can this machine enforce, and what is in the way?

use anyhow::anyhow;

use super::{Env, Exit, Global};
use crate::backend::facts::Unknown;
use crate::backend::nft;
use crate::backend::xdp::{namespace, probe};
use crate::compile::compile;
use crate::doctor::{diagnose, human};
use crate::policy;
use crate::tables::Image;

/// Tell whether this kernel, its NICs and their drivers can enforce, and what is in the way
///
/// Looks at the machine and at each interface named, or at every Ethernet device of this network namespace. What can be
/// tried is tried: the program is loaded and asked about a frame, attached to nothing. Nothing is changed on any interface.
/// Each finding says what, why it matters, and a command that mends it. Exits with 2 where something stops enforcement.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Findings are `ok`, `note` (nothing needs to be done), `warning` (a mode, sight, speed or certainty is lost) and `stop`
(no mode is left until it is mended). What cannot be found out is told as unknown.

Examples:
  perimeter doctor                 the machine and every Ethernet device
  perimeter doctor wan0 lan0       the machine and these two
  perimeter doctor --json wan0 | jq '.interfaces[0].modes'
  perimeter doctor --json | jq -r '.. | objects | select(.severity == \"stop\") | .what, .remedy'")]
pub struct DoctorArgs {
    /// Interfaces to look at; every Ethernet device when left out
    #[arg(value_name = "IF")]
    interfaces: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A policy that uses every part of the program, and passes [`frame`].
const TRIAL: &str = "
version: 1
interfaces: { doctor: { fragments: stateless, ip_options: pass, vlans: [untagged, 10, 100/200] } }
allow:
  - { id: lldp, ethertype: lldp }
  - { id: four, from: 192.0.2.0/24, to: 198.51.100.0/24, service: [tcp/22, icmp/echo-request], vlan: 10 }
  - { id: six, from: 2001:db8::/32, to: 2001:db8:1::/48, service: udp/53, source_port: 1024-65535 }
  - { id: back, service: tcp/443, tcp: established }
  - { id: nd, bundle: [arp, nd, pmtu] }
deny:
  - { id: bad, from: 203.0.113.66 }
";

/// An LLDP frame: its EtherType is all that matters.
fn frame() -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..14].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc]);
    frame
}

/// Tables for the trial.
fn tables(env: &Env<'_>) -> anyhow::Result<Image> {
    let no_files = &mut |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let reading = policy::read("trial", TRIAL.as_bytes(), no_files, env.now);
    let ruleset =
        reading.ruleset.ok_or_else(|| anyhow!("the policy of the trial is refused by this build"))?;
    Ok(compile(&ruleset, 0)?)
}

/// Carries out the command.
pub(super) fn run(args: &DoctorArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let facts = probe::host(probe::Question {
        image: &tables(env)?,
        frame: &frame(),
        state_dir: &global.state_dir,
        bpffs: &global.bpffs,
        now: env.now,
        can_tell: &nft::can_tell(),
    });
    let names = match args.interfaces.as_slice() {
        [] => probe::ethernet_devices(),
        names => Ok(names.to_vec()),
    };
    let namespace = namespace().map_err(Unknown::because);
    let place = || namespace.clone().map(|namespace| (global.bpffs.as_path(), namespace));
    let nics = names.map(|names| names.iter().map(|name| probe::nic(name, place())).collect());
    let report = diagnose(&facts, &nics);
    if args.json {
        serde_json::to_writer_pretty(&mut *env.out, &report)?;
        writeln!(env.out)?;
    } else {
        human(&report, env.colour_out, env.out)?;
    }
    Ok(if report.ready { Exit::Done } else { Exit::Negative })
}

#[cfg(test)]
mod tests {
    use perimeter_classifier::verdict::Decision;

    use super::*;
    use crate::simulate::Model;

    #[test]
    fn the_trial_passes_its_frame() {
        let no_files = &mut |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let reading = policy::check("trial", TRIAL.as_bytes(), no_files, now);
        assert_eq!(
            reading.diagnostics.iter().filter(|one| one.severity == policy::Severity::Error).count(),
            0
        );
        let image = compile(&reading.ruleset.unwrap(), 0).unwrap();
        assert!(matches!(Model::from(image).judge(&frame()), Decision::Pass(_)));
    }
}
