//! `perimeter explain`: which rule decides about a frame, and why the others do not.

mod report;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use self::report::Answer;
use super::policy_file::{Loaded, PolicyArgs};
use super::{Env, Exit, choose};
use crate::explain::{Addresses, Packet, Question, QuestionError, explain};
use crate::policy::{Exception, Vocabulary};
use crate::ruleset::{TcpState, ether};

/// Say which rule or step decides about a frame, and what each near rule lacks
///
/// The frame is built from the words and judged by the very classifier that enforces. Exit status: 0 allowed, 2 dropped,
/// 1 error.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter explain gateway.yaml --from 198.51.100.7 --to 203.0.113.2 --service https
  perimeter explain gateway.yaml --vlan mgmt --from 10.0.10.5 --to 10.0.10.1 --service tcp/22 --tcp established
  perimeter explain gateway.yaml --interface wan0 --ethertype lldp")]
pub struct ExplainArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The interface that receives the frame; may be left out where the policy has one
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// The frame's VLAN: untagged, an id, a name of the policy, or outer/inner
    #[arg(long, value_name = "V", default_value = "untagged")]
    vlan: String,
    /// The source address; of ARP, the sender's
    #[arg(long, value_name = "A", required_unless_present = "ethertype", value_parser = parse_address)]
    from: Option<IpAddr>,
    /// The destination address; of ARP, the target's
    #[arg(long, value_name = "A", required_unless_present = "ethertype", value_parser = parse_address)]
    to: Option<IpAddr>,
    /// One service, in the words of the policy: ssh, tcp/443, icmp/echo-request, esp
    #[arg(long, value_name = "S", required_unless_present = "ethertype")]
    service: Option<String>,
    /// The source port [default: 49152]
    #[arg(long, value_name = "P")]
    source_port: Option<u16>,
    /// Whether the TCP segment opens a connection or belongs to one [default: new]
    #[arg(long)]
    tcp: Option<State>,
    /// A frame that is not IP: arp, lldp, eapol, lacp, stp, snap, llc or 0x88f7
    #[arg(long, value_name = "E", conflicts_with_all = ["service", "source_port", "tcp"])]
    ethertype: Option<String>,
    /// Print one JSON object for each packet that the service stands for
    #[arg(long)]
    json: bool,
}

/// Where in a TCP connection a segment claims to be.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// SYN set, ACK clear
    New,
    /// ACK set
    Established,
}

/// One address: a packet comes from one, and goes to one.
fn parse_address(text: &str) -> Result<IpAddr, String> {
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let prefix = || text.split_once('/').and_then(|(first, _)| address(first));
    address(text).ok_or_else(|| match prefix() {
        Some(first) => {
            format!("a prefix is more than one packet: write one of its addresses, such as {first}")
        }
        None => {
            "write one address, such as 198.51.100.7 or 2001:db8::7; of a network, one that is in it".into()
        }
    })
}

/// Carries out the command.
pub(super) fn run(args: &ExplainArgs, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(loaded) = args.policy.load(env)? else { return Ok(Exit::Reported) };
    let ruleset = &loaded.ruleset;
    let interface = choose::interface(ruleset, args.interface.as_deref())?;
    let mut words = vocabulary(&loaded)?;
    let questions = questions(args, &mut words)?;
    let mut exit = Exit::Done;
    for (at, question) in questions.iter().enumerate() {
        let explanation = explain(ruleset, interface, question, &mut |address, written| {
            absence(&mut words, address, written)
        })?;
        let answer = Answer { ruleset, interface, question, explanation: &explanation };
        if args.json {
            answer.json(env.out)?;
        } else {
            if at > 0 {
                writeln!(env.out)?;
            }
            answer.human(questions.len() > 1, env.out)?;
        }
        if explanation.decision.reason().is_some() {
            exit = Exit::Negative;
        }
    }
    Ok(exit)
}

/// The names of the policy, from the very text that was loaded.
fn vocabulary(loaded: &Loaded) -> anyhow::Result<Vocabulary> {
    let (policy, files) = loaded.sources.split_first().context("the policy has no text")?;
    let mut fetch = |name: &str| {
        let found = files.iter().find(|(path, _)| path == name);
        found.map(|(_, content)| content.clone()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    Vocabulary::read(&policy.1, &mut fetch).context("the names of the policy cannot be read again")
}

/// The frames that the words describe: one, or one for each alternative of a service such as dns.
fn questions(args: &ExplainArgs, words: &mut Vocabulary) -> anyhow::Result<Vec<Question>> {
    let vlan = words.vlan(&args.vlan).map_err(|error| anyhow!("--vlan: {error}"))?;
    let Some(service_word) = &args.service else {
        let word =
            args.ethertype.as_deref().context("give --service, or --ethertype for a frame that is not IP")?;
        let key = words.ethertype(word).map_err(|error| anyhow!("--ethertype: {error}"))?;
        return Ok(vec![Question { vlan, packet: not_ip(args, key)? }]);
    };
    let (Some(from), Some(to)) = (args.from, args.to) else { bail!("give --from and --to") };
    let addresses = Addresses::new(from, to)?;
    let state = args.tcp.map(|state| match state {
        State::New => TcpState::New,
        State::Established => TcpState::Established,
    });
    let alternatives = words.service(service_word).map_err(|error| anyhow!("--service: {error}"))?;
    let mut packets = Vec::new();
    let mut other_family = None;
    for service in &alternatives {
        match Packet::new(addresses, service, args.source_port, state) {
            Ok(packet) => packets.push(packet),
            // A name may stand for packets of both families: those of this one are asked about.
            Err(error @ QuestionError::Family(_)) => other_family = Some(error),
            Err(error) => bail!("--service {service_word}: {error}"),
        }
    }
    if let (Some(error), []) = (other_family, packets.as_slice()) {
        bail!("--service {service_word}: {error}");
    }
    Ok(packets.into_iter().map(|packet| Question { vlan, packet }).collect())
}

/// The frame of an EtherType. Only ARP has addresses; 0.0.0.0 as its sender is a probe, which no `sources` refuse.
fn not_ip(args: &ExplainArgs, key: u16) -> anyhow::Result<Packet> {
    let v4 = |option: &str, address: Option<IpAddr>| match (address, key) {
        (None, _) => Ok(Ipv4Addr::UNSPECIFIED),
        (Some(IpAddr::V4(address)), ether::ARP) => Ok(address),
        (Some(address), ether::ARP) => Err(anyhow!("{option}: ARP is about IPv4, not {address}")),
        (Some(_), _) => Err(anyhow!("{option}: a frame that is not IP has no address, unless it is ARP")),
    };
    let (sender, target) = (v4("--from", args.from)?, v4("--to", args.to)?);
    Ok(if key == ether::ARP { Packet::Arp { sender, target } } else { Packet::Other(key) })
}

/// Why an address is not in what a rule names: because one of the networks excepts it.
fn absence(words: &mut Vocabulary, address: IpAddr, written: &str) -> Option<String> {
    let Exception { included_by, network, excepted_by } =
        written.split(", ").find_map(|name| words.exception(name, address))?;
    let inside = included_by.map(|name| format!("is in {name} but ")).unwrap_or_else(|| "is ".into());
    Some(format!("{address} {inside}excepted from {network} by {excepted_by}"))
}
