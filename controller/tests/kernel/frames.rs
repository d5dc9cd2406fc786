//! Frames that the rules of `edge` speak of, built byte by byte.

/// TCP SYN to port 443 on VLAN 10, from 10.0.0.1 to 192.0.2.9.
#[rustfmt::skip]
pub(crate) fn tcp4() -> Vec<u8> {
    let mut frame = ethernet(&[0x81, 0, 0, 10, 8, 0]);
    frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9]);
    frame.extend(TCP_SYN);
    frame
}

/// TCP SYN to port 443, untagged, from fd00::1 to fd00::2, behind destination options of `lengths` bytes each.
pub(crate) fn tcp6(lengths: &[usize]) -> Vec<u8> {
    let payload = lengths.iter().sum::<usize>() + TCP_SYN.len();
    let next = |rest: &[usize]| if rest.is_empty() { 6 } else { 60 };
    let mut frame = ethernet(&[0x86, 0xdd]);
    frame.extend([0x60, 0, 0, 0, (payload >> 8) as u8, payload as u8, next(lengths), 64]);
    for last in [1, 2] {
        frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    for (at, length) in lengths.iter().enumerate() {
        frame.extend([next(&lengths[at + 1..]), (length / 8 - 1) as u8]);
        frame.resize(frame.len() + length - 2, 0);
    }
    frame.extend(TCP_SYN);
    frame
}

/// The same bytes and so many zeros that the frame has `length` bytes.
pub(crate) fn padded(mut frame: Vec<u8>, length: usize) -> Vec<u8> {
    frame.resize(length, 0);
    frame
}

/// One frame of each kind that is judged in its own way.
pub(crate) fn kinds() -> Vec<Vec<u8>> {
    let mut arp = ethernet(&[8, 6]);
    arp.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    let mut stp = ethernet(&[0, 3, 0x42, 0x42, 3]);
    stp.resize(60, 0);
    let mut denied = tcp4();
    denied[18 + 13] = 6;
    let mut options = tcp4();
    options[18] = 0x46;
    options[18 + 3] = 44;
    options.splice(38..38, [1, 1, 0x94, 4]);
    let mut fragment = tcp4();
    fragment[18 + 6] = 0x20;
    fragment.truncate(18 + 20 + 16);
    fragment[18 + 3] = 36;
    let mut pair = tcp4();
    pair.splice(12..16, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 200]);
    vec![tcp4(), tcp6(&[]), tcp6(&[8, 8]), tcp6(&[2048; 8]), arp, stp, denied, options, fragment, pair]
}

#[rustfmt::skip]
const TCP_SYN: [u8; 20] = [0xc0, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];

/// Addresses, then `rest`.
fn ethernet(rest: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], rest].concat()
}
