//! Frames on the wire, through perimeter as a person runs it: in network namespaces, with veth pairs, as root.

mod counting;
mod crash;
mod doctor;
mod lifetime;
mod names;
mod offloads;
mod swap;
mod trial;
mod versions;
mod world;
