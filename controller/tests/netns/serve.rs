//! The agent beside live interfaces: what it tells is what was sent, before and after it was started anew.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{World, ip, tagged, udp};

/// An agent of a world; ended when dropped.
pub(crate) struct Agent {
    process: Child,
    pub(crate) url: String,
}

impl Agent {
    /// Starts an agent in the gateway and waits until it listens.
    pub(crate) fn start(world: &World, more: &[&str]) -> Agent {
        let mut command = perimeter(world);
        let listen = if more.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        command.arg("serve").args(listen).args(more);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("serving ").map(str::to_owned) else {
            let mut said = String::new();
            process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the agent does not start: {line}{said}");
        };
        Agent { process, url }
    }

    /// The status and the text of an answer, as curl got them in the gateway.
    pub(crate) fn get(&self, world: &World, path: &str, options: &[&str]) -> (u32, String) {
        let url = format!("{}{path}", self.url);
        let said = within(world, "curl")
            .args(["-sS", "--max-time", "10", "-w", "\n%{http_code}"])
            .args(options)
            .arg(url)
            .output()
            .unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let (text, status) = text.rsplit_once('\n').unwrap();
        let status = status.parse().unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&said.stderr)));
        (status, text.to_owned())
    }

    /// Every series of a scrape, by its line without the value.
    pub(crate) fn scrape(&self, world: &World) -> BTreeMap<String, f64> {
        let (status, text) = self.get(world, "/metrics", &[]);
        assert_eq!(status, 200, "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Asks it to stop, and gives what it said and how long it took.
    pub(crate) fn stop(mut self) -> (String, Duration) {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.process.wait().unwrap().success(), "{said}");
        (said, begun.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Where it was stopped both fail, as they should.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program in the gateway.
pub(crate) fn within(world: &World, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", world.namespace("gw"))).arg(program);
    command
}

/// The program itself in the gateway.
pub(crate) fn perimeter(world: &World) -> Command {
    let mut command = within(world, env!("CARGO_BIN_EXE_perimeter"));
    command.args(world.places());
    command
}

const POLICY: &str = "
version: 1
interfaces:
  wan0: { vlans: [untagged, 10] }
  lan0: { enforce: false }
allow:
  - { id: web, service: udp/8000, owner: netops, ticket: NET-1, control: A.8.20, expires: 2099-12-31 }
deny:
  - { id: bad, from: 203.0.113.66 }
";

/// A world with two interfaces and loopback, whose policy is in force.
pub(crate) fn enforced(policy: &str) -> Option<World> {
    let world = World::new(&["wan0", "lan0"])?;
    ip(&["-n", &world.namespace("gw"), "link", "set", "lo", "up"]);
    world.ok(&["apply", &world.policy("a.yaml", policy), "--yes"]);
    Some(world)
}

/// Waits until an interface has received so many frames.
fn settled(agent: &Agent, world: &World, interface: &str, frames: u64) -> BTreeMap<String, f64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let of = format!("perimeter_packets_total{{interface=\"{interface}\"");
    loop {
        let all = agent.scrape(world);
        let received: f64 = all.iter().filter(|(key, _)| key.starts_with(&of)).map(|(_, value)| value).sum();
        if received == frames as f64 || Instant::now() > deadline {
            assert_eq!(received, frames as f64, "received = passed + dropped + would_drop");
            return all;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Goal: every counter of the agent is what was sent, and a restart resets nothing. Method: frames of each kind on both
/// interfaces, scraped; the agent stopped; more frames; scraped by another agent.
#[test]
fn what_the_agent_tells_is_what_was_sent() {
    let Some(world) = enforced(POLICY) else { return };
    let (allowed, other) = (udp([192, 0, 2, 1], 8000), udp([192, 0, 2, 1], 9999));
    let frames = [
        (allowed.clone(), 40, "verdict=\"pass\",reason=\"\""),
        (other.clone(), 30, "verdict=\"drop\",reason=\"no_rule\""),
        (udp([203, 0, 113, 66], 8000), 20, "verdict=\"drop\",reason=\"denied\""),
        (tagged(&allowed, 20), 10, "verdict=\"drop\",reason=\"vlan_not_allowed\""),
    ];
    let send = || frames.iter().for_each(|(frame, count, _)| world.send("wan0", frame, *count));
    let agent = Agent::start(&world, &[]);
    let zero = agent.scrape(&world);
    assert!(frames.iter().all(|(.., labels)| {
        zero[&format!("perimeter_packets_total{{interface=\"wan0\",{labels}}}")] == 0.0
    }));
    send();
    world.send("lan0", &other, 7);
    settled(&agent, &world, "lan0", 7);
    settled(&agent, &world, "wan0", 100);
    let (said, took) = agent.stop();
    assert!(said.contains("wan0: enforces generation 1") && said.contains("lan0: only watches"), "{said}");
    assert!(took < Duration::from_secs(5), "it took {took:?} to stop");
    send();
    let agent = Agent::start(&world, &[]);
    let all = settled(&agent, &world, "wan0", 200);
    for (frame, count, labels) in &frames {
        let value = |unit: &str| all[&format!("perimeter_{unit}_total{{interface=\"wan0\",{labels}}}")];
        assert_eq!(value("packets"), (2 * count) as f64, "{labels}");
        assert_eq!(value("bytes"), (2 * count * frame.len() as u64) as f64, "{labels}");
    }
    let rule = |id: &str, action: &str| {
        all[&format!("perimeter_rule_packets_total{{interface=\"wan0\",rule=\"{id}\",action=\"{action}\"}}")]
    };
    assert_eq!((rule("web", "allow"), rule("bad", "deny")), (80.0, 40.0));
    let sum = |begin: &str| -> f64 {
        all.iter().filter(|(key, _)| key.starts_with(begin)).map(|(_, value)| value).sum()
    };
    assert_eq!(sum("perimeter_vlan_packets_total{interface=\"wan0\""), 200.0, "each frame is on one VLAN");
    assert_eq!(sum("perimeter_frame_size_bytes_count{interface=\"wan0\""), 200.0, "each frame has one size");
    assert_eq!(all["perimeter_vlan_packets_total{interface=\"wan0\",vlan=\"other\",verdict=\"drop\"}"], 20.0);
    assert!(all["perimeter_rule_last_hit_timestamp_seconds{rule=\"web\"}"] > 1.7e9, "a moment ago");
    assert!(all["perimeter_events_total"] > 0.0, "the agent hears of dropped frames");
    assert_eq!(all["perimeter_interface_loss_total{interface=\"wan0\",cause=\"ring_overrun\"}"], 0.0);
    let shadow = "perimeter_packets_total{interface=\"lan0\",verdict=\"would_drop\",reason=\"no_rule\"}";
    assert_eq!(all[shadow], 7.0);
    assert_eq!(all["perimeter_enforced{interface=\"wan0\"}"], 1.0);
    assert_eq!(all["perimeter_enforced{interface=\"lan0\"}"], 0.0);
    assert_eq!(all["perimeter_policy_in_sync"], 1.0);
    assert!(all.contains_key(
        "perimeter_rule_info{rule=\"web\",action=\"allow\",owner=\"netops\",ticket=\"NET-1\",control=\"A.8.20\"}"
    ));
}

/// Goal: the text is what Prometheus takes, without a word against it. Method: `promtool check metrics`, where it is.
#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = tool("promtool") else { return };
    let Some(world) = enforced(POLICY) else { return };
    let agent = Agent::start(&world, &[]);
    let (_, text) = agent.get(&world, "/metrics", &[]);
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
}

/// Goal: drift is seen at once, said once, and ends. Method: the link of one interface is taken away and applied again.
#[test]
fn drift_is_told_and_its_end_too() {
    let Some(world) = enforced(POLICY) else { return };
    let agent = Agent::start(&world, &[]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    ip(&["-n", &world.namespace("out"), "link", "del", "lan0p"]);
    let (status, why) = agent.get(&world, "/readyz", &[]);
    assert!(status == 503 && why.contains("lan0"), "{status} {why}");
    let all = agent.scrape(&world);
    assert_eq!(all["perimeter_policy_in_sync"], 0.0);
    assert_eq!(agent.get(&world, "/healthz", &[]).0, 200, "the agent itself lives");
    world.add_pair("lan0");
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    let (said, _) = agent.stop();
    // The other end is gone, and then the device is there and nothing is attached: each is said once and ends.
    let troubles = said.lines().filter_map(|line| line.strip_prefix("! "));
    let ends =
        |trouble: &str| said.lines().filter(|line| line.strip_prefix("over: ") == Some(trouble)).count();
    assert!(troubles.clone().any(|trouble| trouble == "lan0: the device is gone; apply again, or detach it"));
    for trouble in troubles {
        assert_eq!((said.matches(&format!("! {trouble}")).count(), ends(trouble)), (1, 1), "{said}");
    }
}

/// Goal: after its start the agent can do little, and `status` says how little. Method: ask the kernel through `status`.
#[test]
fn rights_are_given_up_and_status_tells() {
    let Some(world) = enforced(POLICY) else { return };
    assert!(world.json(&["status"])["agent"].is_null());
    let agent = Agent::start(&world, &[]);
    agent.scrape(&world);
    let told = &world.json(&["status"])["agent"];
    assert_eq!(told["url"], agent.url.as_str());
    assert_eq!(told["no_new_privileges"], true, "{told}");
    let kept: Vec<&str> =
        told["capabilities"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert_eq!(kept, ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_BPF"], "{told}");
    // One asks the kernel, one reads its events, one remembers them, one reads requests.
    assert_eq!((told["threads"].as_u64(), told["bare_threads"].as_u64()), (Some(4), Some(1)), "{told}");
    assert!(world.ok(&["status"]).contains("Agent at http://127.0.0.1:"), "people are told too");
    let second = perimeter(&world).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another agent runs"), "{second:?}");
    drop(agent);
    assert!(world.json(&["status"])["agent"].is_null(), "an agent that was killed is not there");
}

/// Goal: beyond loopback nothing is told in the clear or to a stranger. Method: with and without TLS, token, right token.
#[test]
fn beyond_loopback_tls_and_a_token_are_needed() {
    let Some(world) = enforced(POLICY) else { return };
    let open = perimeter(&world).args(["serve", "--listen", "0.0.0.0:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(!open.status.success() && said.contains("--token-file") && said.contains("--tls-cert"), "{said}");
    let [certificate, key, token] =
        ["agent.crt", "agent.key", "agent.token"].map(|name| world.policy(name, ""));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", "/CN=agent", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(&token, secret).unwrap();
    for path in [&key, &token] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let words = ["--tls-cert", &certificate, "--tls-key", &key, "--token-file", &token];
    let mut agent = Agent::start(&world, &[&["--listen", "0.0.0.0:0"][..], &words].concat());
    agent.url = agent.url.replace("https://0.0.0.0", "https://127.0.0.1");
    let trusting = ["--cacert", certificate.as_str()];
    let with = |header: &str| agent.get(&world, "/metrics", &[&trusting[..], &["-H", header]].concat());
    assert_eq!(agent.get(&world, "/metrics", &trusting).0, 401);
    assert_eq!(with("Authorization: Bearer wrong-wrong-wrong-wrong").0, 401);
    let (status, text) = with(&format!("Authorization: Bearer {secret}"));
    assert!(status == 200 && text.contains("perimeter_enforced"), "{status} {text}");
    let user = format!("me:{secret}");
    assert_eq!(agent.get(&world, "/readyz", &[&trusting[..], &["-u", &user]].concat()).0, 200);
    assert_eq!(agent.get(&world, "/healthz", &trusting).0, 200);
    agent.url = agent.url.replace("https://", "http://");
    let clear = within(&world, "curl").args(["-sS", "--max-time", "5", &agent.url]).output().unwrap();
    assert!(!clear.status.success(), "it answers in the clear: {clear:?}");
}

/// Where a program of Debian's package prometheus is: in the path, or where scripts/setup.sh unpacks it; CI has it.
pub(crate) fn tool(name: &str) -> Option<std::path::PathBuf> {
    let unpacked = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/prometheus/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).chain([unpacked]).map(|dir| dir.join(name)).find(|at| at.is_file());
    if found.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{name} is missing; `scripts/setup.sh test` has it"
        );
        println!("skipped: there is no {name}; `scripts/setup.sh test` has it");
    }
    found
}
