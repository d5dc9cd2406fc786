//! What a backend sees: facts about a device and about what judges its frames.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// One device, as the kernel describes it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    pub interface: String,
    pub device: Device,
    pub enforcement: Enforcement,
    /// Offloads of this device that would falsify what XDP sees, on or not; those it does not know are absent.
    pub offloads: Vec<Offload>,
    /// Why nobody can tell whether XDP sees the frames of this device as they were on the wire.
    pub obstacles: Vec<String>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Native,
    Generic,
}

impl Engine {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Native => "native XDP",
            Engine::Generic => "generic XDP",
        }
    }
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
}

impl Feature {
    pub const ALL: [Feature; 6] = [
        Feature::RxVlan,
        Feature::RxVlanStag,
        Feature::Lro,
        Feature::GroHw,
        Feature::PeerTxVlan,
        Feature::PeerTxVlanStag,
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
    /// The engine that runs a program of this instance, of whatever version.
    pub fn engine(&self) -> Option<Engine> {
        match &self.enforcement {
            Enforcement::InForce(record) => Some(record.engine),
            Enforcement::OtherVersion(program) => Some(program.engine),
            Enforcement::Off | Enforcement::Lost { .. } | Enforcement::Foreign(_) => None,
        }
    }

    /// The record of what is in force, where this instance enforces and the record can be read.
    pub fn in_force(&self) -> Option<&InForce> {
        match &self.enforcement {
            Enforcement::InForce(record) => Some(record),
            _ => None,
        }
    }

    /// The offloads that are on and have to go.
    pub fn harmful(&self) -> Vec<Feature> {
        self.offloads.iter().filter(|offload| offload.on).map(|offload| offload.feature).collect()
    }
}
