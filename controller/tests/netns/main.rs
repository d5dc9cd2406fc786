//! Frames on the wire, through perimeter as a person runs it: in network namespaces, with veth pairs, as root.

mod counting;
mod lifetime;
mod swap;
mod trial;
mod world;
