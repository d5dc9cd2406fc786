//! What a backend sees: facts about a device and about what judges its frames.

use serde::{Deserialize, Serialize};

use super::Refused;
use crate::digest::Digest;
use crate::ruleset::Accounting;

/// One device, as the kernel describes it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    pub interface: String,
    pub device: Device,
    /// Bytes of layer 3 that the device takes.
    pub mtu: Option<u32>,
    /// The bond or team that it is a member of.
    pub bond: Option<Bond>,
    /// Whether the driver says that it runs XDP by itself; asked only where it does not do so for perimeter.
    pub offers_native: bool,
    /// What XDP does, or the one backend that was asked.
    pub enforcement: Enforcement,
    /// What nftables does, which judges what XDP lets through.
    pub behind: Enforcement,
    /// In which ways what is in force was changed behind perimeter's back, each in words.
    pub damage: Vec<String>,
    /// Engines that are known not to be had here, asked without trying them.
    pub refused: Vec<Refused>,
    /// Offloads of this device that would falsify what an engine sees, on or not; those it does not know are absent.
    pub offloads: Vec<Offload>,
    /// Why nobody can tell whether XDP sees the frames of this device as they were on the wire.
    pub obstacles: Vec<String>,
    /// The nftables table in force tells of no frame: behind XDP, which does, where the policy asks for none, and where the
    /// kernel had no nfnetlink_log.
    pub silent: bool,
    /// Offloads that were switched off for perimeter.
    pub switched_off: Vec<Feature>,
    /// Things worth knowing that stop nothing.
    pub findings: Vec<String>,
}

/// What stands behind the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    Missing,
    /// The device carries no Ethernet frames; `kind` is its ARPHRD number.
    NotEthernet {
        kind: u16,
    },
    Ethernet {
        index: u32,
    },
}

/// A device whose frames come by way of several others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bond {
    pub name: String,
    /// As `ip link` spells it.
    pub kind: String,
    /// Its other members.
    pub others: Vec<String>,
}

/// What judges the frames of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Nothing is attached, and nothing is pinned for it.
    Off,
    /// Something is pinned, and it judges nothing here: `why` says what became of it.
    Lost {
        why: String,
    },
    InForce(InForce),
    /// Another version of perimeter enforces by this instance's link, and what cannot be read here.
    OtherVersion(OtherVersion),
    /// A program that this instance did not attach.
    Foreign(Foreign),
}

/// The record of the program that is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The name that the device had when this was put in force: it enforces the policy's settings for that name.
    pub interface: String,
    pub engine: Engine,
    pub generation: u64,
    pub policy: Digest,
    /// False in shadow mode.
    pub enforce: bool,
    /// Version of the record's layout.
    pub abi: u32,
    pub program_id: u32,
    /// Memory of the tables in bytes.
    pub table_bytes: u64,
}

/// The program that is attached, of a version whose record has another layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherVersion {
    pub engine: Engine,
    /// Version of the record's layout.
    pub abi: u32,
    pub program_id: u32,
}

/// A program of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    pub id: u32,
    pub name: String,
}

/// Where in the kernel the frames are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Native,
    Generic,
    Nft,
}

impl Engine {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Native => "native XDP",
            Engine::Generic => "generic XDP",
            Engine::Nft => "nftables",
        }
    }
}

/// What is counted of what the policy asks, as far as that is known, where `engines` judge: nothing where nftables judges
/// alone. What XDP counted before is of other frames than those that are received now.
pub fn accounted(asked: Option<Accounting>, engines: &[Engine]) -> Option<Accounting> {
    if engines == [Engine::Nft] { Some(Accounting::NONE) } else { asked }
}

/// Engines for people, in the order in which a frame meets them: "native XDP and nftables".
pub fn names(engines: &[Engine]) -> String {
    engines.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(" and ")
}

/// An offload after which a frame is not what was on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// The 802.1Q tag is taken out of the frame.
    RxVlan,
    /// The 802.1ad tag is taken out of the frame.
    RxVlanStag,
    /// Packets are merged by the device without regard for their boundaries.
    Lro,
    /// Packets are merged by the device.
    GroHw,
    /// The other end of a veth pair hands 802.1Q tags over beside the frame, where XDP does not see them.
    PeerTxVlan,
    /// The same of 802.1ad tags.
    PeerTxVlanStag,
    /// Packets are merged by the kernel, before nftables and after XDP.
    Gro,
    /// The same, kept as a list.
    GroList,
    /// The same for UDP that is only forwarded.
    GroUdpForwarding,
}

impl Feature {
    pub const ALL: [Feature; 9] = [
        Feature::RxVlan,
        Feature::RxVlanStag,
        Feature::Lro,
        Feature::GroHw,
        Feature::PeerTxVlan,
        Feature::PeerTxVlanStag,
        Feature::Gro,
        Feature::GroList,
        Feature::GroUdpForwarding,
    ];

    /// The name that `ethtool -K` takes, and of which device where it is not the interface itself.
    pub fn name(self) -> &'static str {
        match self {
            Feature::RxVlan => "rxvlan",
            Feature::RxVlanStag => "rx-vlan-stag-hw-parse",
            Feature::Lro => "lro",
            Feature::GroHw => "rx-gro-hw",
            Feature::PeerTxVlan => "txvlan of the veth peer",
            Feature::PeerTxVlanStag => "tx-vlan-stag-hw-insert of the veth peer",
            Feature::Gro => "gro",
            Feature::GroList => "rx-gro-list",
            Feature::GroUdpForwarding => "rx-udp-gro-forwarding",
        }
    }

    /// Whether an engine would judge frames that were not on the wire. A tag that the device has taken out is still told
    /// to nftables; what the kernel merges, it merges behind XDP.
    pub fn harms(self, engine: Engine) -> bool {
        match self {
            Feature::RxVlan | Feature::RxVlanStag | Feature::PeerTxVlan | Feature::PeerTxVlanStag => {
                engine != Engine::Nft
            }
            Feature::Lro | Feature::GroHw => true,
            Feature::Gro | Feature::GroList | Feature::GroUdpForwarding => engine == Engine::Nft,
        }
    }
}

/// The state of one offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Offload {
    pub feature: Feature,
    pub on: bool,
    /// The device does not let it be changed.
    pub fixed: bool,
}

impl Observed {
    /// A name, and nothing known of it.
    pub fn nothing(interface: &str) -> Observed {
        Observed {
            interface: interface.to_owned(),
            device: Device::Missing,
            mtu: None,
            bond: None,
            offers_native: false,
            enforcement: Enforcement::Off,
            behind: Enforcement::Off,
            damage: Vec::new(),
            refused: Vec::new(),
            offloads: Vec::new(),
            obstacles: Vec::new(),
            silent: false,
            switched_off: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// What counts: the engine that a frame meets first, or else what is known of the others.
    pub fn leading(&self) -> &Enforcement {
        match (self.enforcement.engine(), self.behind.engine(), &self.enforcement) {
            (Some(_), ..) => &self.enforcement,
            (None, Some(_), _) | (None, None, Enforcement::Off) => &self.behind,
            (None, None, _) => &self.enforcement,
        }
    }

    /// The record of what is in force, where this instance enforces and the record can be read; of XDP where both engines
    /// do.
    pub fn in_force(&self) -> Option<&InForce> {
        self.leading().record()
    }

    /// Every record that is in force, in the order in which a frame meets them.
    pub fn records(&self) -> impl Iterator<Item = &InForce> {
        [&self.enforcement, &self.behind].into_iter().filter_map(Enforcement::record)
    }

    /// What judges the frames, in the order in which they meet it; of this version or another.
    pub fn engines(&self) -> Vec<Engine> {
        [&self.enforcement, &self.behind].into_iter().filter_map(Enforcement::engine).collect()
    }

    /// The offloads that are on.
    pub fn switched_on(&self) -> Vec<Feature> {
        self.offloads.iter().filter(|offload| offload.on).map(|offload| offload.feature).collect()
    }

    /// The offloads that are on and have to go where `engines` are to judge.
    pub fn harmful(&self, engines: &[Engine]) -> Vec<Feature> {
        let harms = |feature: Feature| engines.iter().any(|engine| feature.harms(*engine));
        self.switched_on().into_iter().filter(|feature| harms(*feature)).collect()
    }
}

impl Enforcement {
    /// The engine that runs what this instance has put there, of whatever version.
    pub fn engine(&self) -> Option<Engine> {
        match self {
            Enforcement::InForce(record) => Some(record.engine),
            Enforcement::OtherVersion(program) => Some(program.engine),
            Enforcement::Off | Enforcement::Lost { .. } | Enforcement::Foreign(_) => None,
        }
    }

    fn record(&self) -> Option<&InForce> {
        match self {
            Enforcement::InForce(record) => Some(record),
            _ => None,
        }
    }
}
