//! How the kernel hands a frame to the hook.
//!
//! The core takes the outermost tag of TPID 0x8100 or 0x88a8 off before the hook runs, and shows it again to loads from the
//! link header. 0x9100 is no tag to it. What follows the EtherType it found is "the network header", be it a tag.

use crate::backend::nft::ir::{Field, Header, Raw, Statement};
use crate::ruleset::Family;

/// Which tags a frame has, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Shape {
    Untagged,
    /// One tag, taken off.
    Tagged,
    /// Two tags, the outer one taken off.
    Pair,
    /// Two tags, the outer one 0x9100.
    Pair9100,
}

impl Shape {
    /// The end of the names of chains.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shape::Untagged => "untagged",
            Shape::Tagged => "tagged",
            Shape::Pair => "pair",
            Shape::Pair9100 => "pair9100",
        }
    }

    /// The end of the names of sets over layer 3, which lies in the same place in every shape that the kernel has found its
    /// way through.
    pub(super) fn set_name(self) -> &'static str {
        match self {
            Shape::Untagged | Shape::Tagged => "",
            Shape::Pair => ".pair",
            Shape::Pair9100 => ".pair9100",
        }
    }

    /// Whether the kernel took a tag off: the frame was 4 bytes longer on the wire than the hook sees.
    pub(super) fn stripped(self) -> bool {
        matches!(self, Shape::Tagged | Shape::Pair)
    }

    /// Bytes between the kernel's network header and layer 3.
    pub(super) fn shift(self) -> u32 {
        match self {
            Shape::Untagged | Shape::Tagged => 0,
            Shape::Pair => 4,
            Shape::Pair9100 => 8,
        }
    }

    /// Whether the kernel has found the IP header, so that its validation and nft's words for fields can be used.
    pub(super) fn known(self) -> bool {
        self.shift() == 0
    }

    /// Bytes of layer 3.
    pub(super) fn layer3(self, offset: u32, length: u32) -> Field {
        Raw::whole(Header::Network, self.shift() + offset, length)
    }

    /// Bytes of layer 3, `and`ed with a mask.
    pub(super) fn layer3_masked(self, offset: u32, mask: &[u8]) -> Field {
        Raw::masked(Header::Network, self.shift() + offset, mask)
    }

    /// Fewer than so many bytes are left where layer 3 begins.
    pub(super) fn shorter_than(self, bytes: u32) -> Statement {
        Statement::below(Field::Length, &(self.shift() + bytes).to_be_bytes())
    }
}

/// Where a packet has its layer 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) shape: Shape,
    pub(super) family: Family,
    /// Bytes from the beginning of layer 3.
    pub(super) layer4: u32,
}

impl Place {
    pub(super) fn v4(shape: Shape) -> Place {
        Place { shape, family: Family::V4, layer4: 20 }
    }

    pub(super) fn v6(shape: Shape, extensions: u32) -> Place {
        Place { shape, family: Family::V6, layer4: 40 + extensions }
    }

    /// Bytes of headers that the length field of layer 3 counts.
    pub(super) fn counted(self) -> u32 {
        match self.family {
            Family::V4 => self.layer4,
            Family::V6 => self.layer4 - 40,
        }
    }

    /// The length field of layer 3: two bytes.
    pub(super) fn length(self) -> Field {
        self.shape.layer3(if self.family == Family::V4 { 2 } else { 4 }, 2)
    }

    /// The same, high byte and low byte.
    pub(super) fn length_bytes(self) -> [Field; 2] {
        let at = if self.family == Family::V4 { 2 } else { 4 };
        [self.shape.layer3(at, 1), self.shape.layer3(at + 1, 1)]
    }

    /// Bytes of layer 4.
    pub(super) fn at(self, offset: u32, length: u32) -> Field {
        match self.shape.known() {
            true => Raw::whole(Header::Transport, offset, length),
            false => self.shape.layer3(self.layer4 + offset, length),
        }
    }

    /// Bytes of layer 4, `and`ed with a mask.
    pub(super) fn at_masked(self, offset: u32, mask: &[u8]) -> Field {
        match self.shape.known() {
            true => Raw::masked(Header::Transport, offset, mask),
            false => self.shape.layer3_masked(self.layer4 + offset, mask),
        }
    }

    /// The byte that says which protocol layer 4 is.
    pub(super) fn protocol(self) -> Field {
        match (self.family, self.layer4) {
            (Family::V4, _) => self.shape.layer3(9, 1),
            (Family::V6, 40) => self.shape.layer3(6, 1),
            // Behind one extension header of eight bytes.
            (Family::V6, _) => self.shape.layer3(40, 1),
        }
    }

    /// The payload has fewer than so many bytes.
    pub(super) fn payload_below(self, bytes: u32) -> Statement {
        Statement::below(self.length(), &((self.counted() + bytes) as u16).to_be_bytes())
    }

    /// The end of the names of chains.
    pub(super) fn name(self) -> String {
        format!("{}.{}", self.family_name(), self.shape.name())
    }

    /// The end of the names of sets over layers 3 and 4.
    pub(super) fn set_name(self) -> String {
        format!("{}{}", self.family_name(), self.shape.set_name())
    }

    fn family_name(self) -> &'static str {
        match (self.family, self.layer4) {
            (Family::V4, _) => "v4",
            (Family::V6, 40) => "v6",
            (Family::V6, _) => "v6x",
        }
    }
}
