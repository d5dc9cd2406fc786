//! A gateway and an outside in network namespaces of their own, with frames sent from one into the other.
//!
//! Promises: nothing outside the namespaces made here is touched; everything is removed when the world is dropped. Where
//! the rights for that are missing, the test says so and is skipped, unless `CI=true`.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use perimeter::cli::{self, Cli, Env, Exit};
use pnet_datalink::{Channel, DataLinkReceiver, DataLinkSender};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Two namespaces, joined by veth pairs: `wan0` in the gateway is `wan0p` outside.
pub(crate) struct World {
    pub(crate) name: String,
    dir: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// Names a program to run instead of the one that was built with the tests, such as a release build for what takes long.
const OTHER_PROGRAM: &str = "PERIMETER_PROGRAM";

/// The program that is tested, where it runs as a process of its own.
pub(crate) fn program() -> String {
    std::env::var(OTHER_PROGRAM).unwrap_or_else(|_| env!("CARGO_BIN_EXE_perimeter").to_owned())
}

impl World {
    /// A world with these interfaces in the gateway; `None`, with the reason printed, where it cannot be made.
    pub(crate) fn new(interfaces: &[&str]) -> Option<World> {
        if !rustix::process::geteuid().is_root() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "the tests with network namespaces need root"
            );
            println!("skipped: NotRoot: network namespaces, bpffs and XDP need root");
            return None;
        }
        let name = format!("operate-{}-{}", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed));
        let world = World { name, dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.bpf()).unwrap();
        mount("bpf", world.bpf(), "bpf", MountFlags::empty(), None).unwrap();
        for side in ["gw", "out"] {
            ip(&["netns", "add", &world.namespace(side)]);
            // Nothing but the frames of the test may be on the wire.
            world.within(side, || {
                std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap()
            });
        }
        for interface in interfaces {
            world.add_pair(interface);
        }
        Some(world)
    }

    pub(crate) fn add_pair(&self, interface: &str) {
        let (gateway, outside, peer) = (self.namespace("gw"), self.namespace("out"), format!("{interface}p"));
        ip(&[
            "link", "add", interface, "netns", &gateway, "type", "veth", "peer", "name", &peer, "netns",
            &outside,
        ]);
        ip(&["-n", &gateway, "link", "set", interface, "up"]);
        ip(&["-n", &outside, "link", "set", &peer, "up"]);
    }

    pub(crate) fn namespace(&self, side: &str) -> String {
        format!("{}-{side}", self.name)
    }

    fn bpf(&self) -> String {
        format!("{}/bpf", self.dir.path().display())
    }

    /// Writes a policy and gives its path.
    pub(crate) fn policy(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The options that keep this world apart from every other.
    pub(crate) fn places(&self) -> [String; 4] {
        let state = self.dir.path().join("state").display().to_string();
        ["--state-dir".into(), state, "--bpffs".into(), format!("{}/perimeter", self.bpf())]
    }

    /// Where something is pinned for an interface.
    pub(crate) fn pin(&self, interface: &str, object: &str) -> String {
        let found = Command::new("find")
            .args([&self.places()[3], "-path", &format!("*/{interface}/{object}")])
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    }

    /// Does something on a thread that is in one of the namespaces.
    pub(crate) fn within<T: Send>(&self, side: &str, what: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(side))).unwrap();
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&namespace),
                    Some(LinkNameSpaceType::Network),
                )
                .unwrap();
                what()
            });
            inside.join().unwrap()
        })
    }

    /// Runs a command of perimeter in the gateway.
    pub(crate) fn perimeter(&self, args: &[&str]) -> Said {
        self.perimeter_at(&self.places(), args)
    }

    /// Runs a command of another instance of perimeter in the gateway.
    pub(crate) fn perimeter_at(&self, places: &[String], args: &[&str]) -> Said {
        let words: Vec<&str> = ["perimeter"]
            .into_iter()
            .chain(places.iter().map(String::as_str))
            .chain(args.iter().copied())
            .collect();
        if std::env::var_os(OTHER_PROGRAM).is_some() {
            return self.spawned(&words);
        }
        self.within("gw", || run(&words))
    }

    /// Runs a command in the gateway as a process of its own.
    fn spawned(&self, words: &[&str]) -> Said {
        let output = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace("gw")))
            .arg(program())
            .args(&words[1..])
            .stdin(Stdio::null())
            .output()
            .expect("nsenter is installed");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Said { code: output.status.code().unwrap_or(1), out, err }
    }

    /// Runs a command that must succeed, and gives its output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let said = self.perimeter(args);
        assert_eq!(said.code, 0, "perimeter {args:?}: {said:?}");
        said.out
    }

    /// Runs a command with `--json` that must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    /// The counters of one interface.
    pub(crate) fn counters(&self, interface: &str) -> serde_json::Value {
        let all = self.json(&["counters"]);
        let one = all["interfaces"].as_array().unwrap().iter().find(|one| one["interface"] == interface);
        one.unwrap_or_else(|| panic!("no counters of {interface} in {all}")).clone()
    }

    /// Counters of one interface once `frames` have been received: delivery is not instantaneous.
    pub(crate) fn settled(&self, interface: &str, frames: u64) -> serde_json::Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let counters = self.counters(interface);
            if counters["received"]["packets"] == frames || Instant::now() > deadline {
                return counters;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A socket for raw frames on a device of one side.
    pub(crate) fn channel(
        &self,
        side: &str,
        device: &str,
    ) -> (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>) {
        self.within(side, || {
            let found =
                pnet_datalink::interfaces().into_iter().find(|interface| interface.name == device).unwrap();
            let config = pnet_datalink::Config {
                read_timeout: Some(Duration::from_millis(200)),
                ..Default::default()
            };
            match pnet_datalink::channel(&found, config).unwrap() {
                Channel::Ethernet(sender, receiver) => (sender, receiver),
                _ => panic!("{device} is no Ethernet device"),
            }
        })
    }

    /// A socket for what comes through on a device of the gateway, of one EtherType behind the outer tag: such a socket is served
    /// after nftables, one for every protocol before it.
    pub(crate) fn behind(&self, device: &str, ether_type: u16) -> Box<dyn DataLinkReceiver> {
        self.within("gw", || {
            let found =
                pnet_datalink::interfaces().into_iter().find(|interface| interface.name == device).unwrap();
            let config = pnet_datalink::Config {
                read_timeout: Some(Duration::from_millis(1)),
                channel_type: pnet_datalink::ChannelType::Layer3(ether_type),
                ..Default::default()
            };
            match pnet_datalink::channel(&found, config).unwrap() {
                Channel::Ethernet(_, receiver) => receiver,
                _ => panic!("{device} is no Ethernet device"),
            }
        })
    }

    /// Sends a frame `count` times into `interface` of the gateway.
    pub(crate) fn send(&self, interface: &str, frame: &[u8], count: u64) {
        let (mut sender, _) = self.channel("out", &format!("{interface}p"));
        (0..count).for_each(|_| send(&mut *sender, frame));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for side in ["gw", "out"] {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(side)]).status();
        }
        let _ = unmount(self.bpf(), UnmountFlags::DETACH);
    }
}

/// How many packets lie in a socket; they are taken out.
pub(crate) fn drained(receiver: &mut dyn DataLinkReceiver) -> u64 {
    std::iter::from_fn(|| receiver.next().ok().map(|_| ())).count() as u64
}

/// Sends one frame, again and again while the other end has no room.
pub(crate) fn send(sender: &mut dyn DataLinkSender, frame: &[u8]) {
    while !matches!(sender.send_to(frame, None), Some(Ok(()))) {
        std::thread::yield_now();
    }
}

pub(crate) fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program in this process, as `main` does.
fn run(words: &[&str]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let now = jiff::Timestamp::now();
    let mut input = std::io::empty();
    let mut env = Env::plain(&mut out, &mut err, &mut input, now, "tester");
    env.program = program().into();
    let result = cli::run(Cli::try_parse_from(words).unwrap(), &mut env);
    let code = match result {
        Ok(Exit::Done) => 0,
        Ok(Exit::Negative) => 2,
        Ok(Exit::Reported) => 1,
        Err(error) => {
            err.extend(format!("perimeter: {error}\n").bytes());
            1
        }
    };
    Said { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// A UDP packet to `port` with 18 bytes of payload, in an Ethernet frame of 60 bytes.
pub(crate) fn udp(source: [u8; 4], port: u16) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, [203, 0, 113, 10], 64)
        .udp(40_000, port);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[0; 18]).unwrap();
    frame
}

/// The same frame with an 802.1Q tag.
pub(crate) fn tagged(frame: &[u8], vid: u16) -> Vec<u8> {
    let tag = [&[0x81, 0x00][..], &vid.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}
