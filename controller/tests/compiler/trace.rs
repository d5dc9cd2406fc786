//! Frames drawn from a rule set: inside rules, on their corners, and one step beside them.

use perimeter::ruleset::{AddressSet, Ruleset, Service};

use crate::shapes::Random;

/// Endless IPv4 frames aimed at the rules of `ruleset`.
pub(crate) fn frames(ruleset: &Ruleset, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(seed);
    std::iter::from_fn(move || {
        let from = &ruleset.rules[random.below(ruleset.rules.len() as u64) as usize];
        // Mostly one rule's own conditions, sometimes two rules crossed.
        let to = if random.below(4) == 0 {
            &ruleset.rules[random.below(ruleset.rules.len() as u64) as usize]
        } else {
            from
        };
        let source = address(&mut random, &from.from);
        let destination = address(&mut random, &to.to);
        let service = from.services[random.below(from.services.len() as u64) as usize];
        Some(frame(&mut random, source, destination, &service))
    })
}

fn address(random: &mut Random, set: &AddressSet) -> u32 {
    let (low, high) = set.v4()[random.below(set.v4().len() as u64) as usize];
    match random.below(32) {
        0 => low,
        1 => high,
        2 => low.wrapping_sub(1),
        3 => high.wrapping_add(1),
        _ => low + random.below(u64::from(high - low) + 1) as u32,
    }
}

fn port(random: &mut Random, ports: Option<(u16, u16)>) -> u16 {
    let (low, high) = ports.unwrap_or((0, u16::MAX));
    match random.below(32) {
        0 => low,
        1 => high,
        2 => low.wrapping_sub(1),
        3 => high.wrapping_add(1),
        _ => low + random.below(u64::from(high - low) + 1) as u16,
    }
}

fn frame(random: &mut Random, source: u32, destination: u32, service: &Service) -> Vec<u8> {
    let protocol = service.protocol.unwrap_or_else(|| random.of(&[6, 17, 1, 47]));
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let layer4 = match protocol {
        17 => 8,
        _ => 20,
    };
    frame.extend([0x45, 0]);
    frame.extend((20 + layer4 as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    let mut payload = vec![0; layer4];
    match protocol {
        6 | 17 => {
            payload[..2].copy_from_slice(&port(random, service.source_ports).to_be_bytes());
            payload[2..4].copy_from_slice(&port(random, service.destination_ports).to_be_bytes());
            if protocol == 17 {
                payload[5] = 8;
            } else {
                payload[12] = 5 << 4;
                payload[13] = random.of(&[0x02, 0x10, 0x12, 0x04]);
            }
        }
        _ => payload[0] = random.below(20) as u8,
    }
    frame.extend(payload);
    frame
}
