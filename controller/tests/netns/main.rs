//! Frames on the wire, through perimeter as a person runs it: in network namespaces, with veth pairs, as root.

mod accounting;
mod counting;
mod crash;
mod doctor;
mod events;
mod expiry;
mod lifetime;
mod logged;
mod looking;
mod modes;
mod moves;
mod names;
mod offloads;
mod prometheus;
mod record;
mod remains;
mod replaced;
mod serve;
mod surroundings;
mod swap;
mod traffic;
mod trial;
mod trial_back;
mod versions;
mod world;
