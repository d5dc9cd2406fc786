//! Makes a failing policy and frame smaller while they still fail.

use perimeter::ruleset::Ruleset;

/// The smallest frame that was found to fail still: shorter at the end, then with more zeros.
pub(crate) fn frame(frame: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut smallest = frame.to_vec();
    while !smallest.is_empty() && fails(&smallest[..smallest.len() - 1]) {
        smallest.pop();
    }
    for at in 0..smallest.len() {
        let kept = std::mem::replace(&mut smallest[at], 0);
        if !fails(&smallest) {
            smallest[at] = kept;
        }
    }
    smallest
}

/// The policy with as many rules and VLAN names left out as the failure bears.
pub(crate) fn ruleset(ruleset: &Ruleset, fails: impl Fn(&Ruleset) -> bool) -> Ruleset {
    let mut smallest = ruleset.clone();
    let mut step = smallest.rules.len();
    while step > 0 {
        let mut at = 0;
        while at < smallest.rules.len() {
            let mut tried = smallest.clone();
            tried.rules.drain(at..(at + step).min(tried.rules.len()));
            if fails(&tried) {
                smallest = tried;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    for at in (0..smallest.vlans.len()).rev() {
        let mut tried = smallest.clone();
        tried.vlans.remove(at);
        if fails(&tried) {
            smallest = tried;
        }
    }
    smallest
}
