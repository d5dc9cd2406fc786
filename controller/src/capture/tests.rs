//! Files made byte by byte, so that nothing of the reader or of `pcap-file` is on both sides.

use super::*;

/// Number, bytes and original length of a frame.
type Found = (u64, Vec<u8>, u32);

/// Byte orders.
const LITTLE: bool = true;
const BIG: bool = false;

fn word(order: bool, number: u32) -> [u8; 4] {
    if order == LITTLE { number.to_le_bytes() } else { number.to_be_bytes() }
}

fn half(order: bool, number: u16) -> [u8; 2] {
    if order == LITTLE { number.to_le_bytes() } else { number.to_be_bytes() }
}

fn pcap(order: bool, magic: u32, link: u32, records: &[(&[u8], u32)]) -> Vec<u8> {
    let mut file = [word(order, magic).as_slice(), &half(order, 2), &half(order, 4), &[0; 8]].concat();
    file.extend([word(order, 64), word(order, link)].concat());
    for (data, original) in records {
        file.extend(
            [word(order, 1), word(order, 2_000_000), word(order, data.len() as u32), word(order, *original)]
                .concat(),
        );
        file.extend(*data);
    }
    file
}

fn block(order: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0xee; (4 - body.len() % 4) % 4];
    let length = word(order, (12 + body.len() + padding.len()) as u32);
    [&word(order, kind), &length, body, &padding, &length].concat()
}

fn section(order: bool) -> Vec<u8> {
    block(
        order,
        0x0a0d_0d0a,
        &[&word(order, 0x1a2b_3c4d)[..], &half(order, 1), &half(order, 0), &[0xff; 8]].concat(),
    )
}

fn interface(order: bool, link: u16, snap_len: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&half(order, link)[..], &half(order, 7), &word(order, snap_len), options].concat())
}

fn enhanced(order: bool, interface: u32, data: &[u8], options: &[u8]) -> Vec<u8> {
    let numbers = [
        word(order, interface),
        word(order, 0),
        word(order, 9),
        word(order, data.len() as u32),
        word(order, data.len() as u32),
    ]
    .concat();
    let padding = vec![0xee; (4 - data.len() % 4) % 4];
    block(order, 6, &[&numbers, data, &padding, options].concat())
}

fn simple(order: bool, original: u32, data: &[u8]) -> Vec<u8> {
    block(order, 3, &[&word(order, original)[..], data].concat())
}

/// Every frame, and how the file ended.
fn read(file: &[u8]) -> (Vec<Found>, Option<String>) {
    let mut frames = Vec::new();
    let mut capture = match Capture::new(file) {
        Ok(capture) => capture,
        Err(error) => return (frames, Some(error.to_string())),
    };
    while let Some(next) = capture.next_frame() {
        match next {
            Ok(frame) => frames.push((frame.number, frame.bytes.to_vec(), frame.original_len)),
            Err(error) => {
                let error = error.to_string();
                assert!(capture.next_frame().is_none(), "a fault ends the file");
                return (frames, Some(error));
            }
        }
    }
    (frames, None)
}

#[test]
fn pcap_in_both_byte_orders_and_both_resolutions() {
    for order in [LITTLE, BIG] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            let file = pcap(order, magic, 1, &[(b"one", 3), (b"", 0), (b"three", 1500)]);
            let expected = vec![(1, b"one".to_vec(), 3), (2, Vec::new(), 0), (3, b"three".to_vec(), 1500)];
            assert_eq!(read(&file), (expected, None));
        }
    }
}

#[test]
fn what_pcap_file_refuses_wrongly_is_read() {
    let long = vec![7; FRAME_LIMIT];
    // Over the snap length, over the original length, a fraction over a second, and 4 bytes of FCS told in the header.
    let file = pcap(LITTLE, 0xa1b2_c3d4, 0x5400_0001, &[(&long, 60), (b"x", 99_999)]);
    assert_eq!(read(&file), (vec![(1, long, 60), (2, b"x".to_vec(), 99_999)], None));
}

#[test]
fn lengths_that_cannot_be_are_errors_that_name_the_frame() {
    let long = vec![7; FRAME_LIMIT + 1];
    let (frames, error) = read(&pcap(LITTLE, 0xa1b2_c3d4, 1, &[(b"good", 4), (&long, 60)]));
    assert_eq!(frames.len(), 1);
    assert_eq!(error.unwrap(), "frame 2: the capture is corrupt: a frame of more than 262,144 bytes");

    let mut file = pcap(LITTLE, 0xa1b2_c3d4, 1, &[(b"good", 4), (b"bad!", 4)]);
    let length = file.len() - 4 - 8;
    file[length..length + 4].copy_from_slice(&[0xff; 4]);
    assert!(read(&file).1.unwrap().starts_with("frame 2: the file ends inside it"));
}

#[test]
fn what_is_no_capture_is_refused() {
    for file in [&b""[..], b"\xa1\xb2", b"\xa1\xb2\xc3\xd4\x00\x02", b"version: 1\ninterfaces:\n  wan0:\n"] {
        assert_eq!(read(file).1.unwrap(), "not a capture: neither pcap nor pcapng");
    }
    let cooked = pcap(BIG, 0xa1b2_c3d4, 113, &[(b"x", 1)]);
    assert!(read(&cooked).1.unwrap().starts_with("not Ethernet but link type 113 (Linux cooked"));
    let mut old = pcap(BIG, 0xa1b2_c3d4, 1, &[]);
    old[5] = 1;
    assert_eq!(read(&old).1.unwrap(), "pcap version 1 is unknown: version 2 can be read");
}

/// A pcapng with everything in it that is legal and that `pcap-file` stumbles over.
fn motley() -> (Vec<u8>, Vec<Found>) {
    let not_utf8 = [&half(LITTLE, 2)[..], &half(LITTLE, 3), &[0xff, 0xfe, 0xfd, 0]].concat();
    let time_zone = [&half(LITTLE, 10)[..], &half(LITTLE, 4), &[0; 4]].concat();
    let packet = [&half(BIG, 0)[..], &half(BIG, 9), &[0; 8], &word(BIG, 4), &word(BIG, 4), b"old!"].concat();
    let file = [
        section(LITTLE),
        interface(LITTLE, 1, 6, &not_utf8),
        interface(LITTLE, 1, 0, &time_zone),
        enhanced(LITTLE, 1, b"first", &not_utf8),
        block(LITTLE, 4, &[1, 0, 5, 0, 1, 2, 3, 4, 5]),
        simple(LITTLE, 9, b"simple"),
        block(LITTLE, 0x0bad, &[1; 100_000]),
        simple(LITTLE, 5, b"fives"),
        section(BIG),
        interface(BIG, 1, 0, &[]),
        simple(BIG, 3, b"big"),
        block(BIG, 2, &packet),
        enhanced(BIG, 0, b"", &[]),
    ];
    let frames = [(&b"first"[..], 5), (b"simple", 9), (b"fives", 5), (b"big", 3), (b"old!", 4), (b"", 0)]
        .into_iter()
        .enumerate();
    (file.concat(), frames.map(|(at, (data, original))| (at as u64 + 1, data.to_vec(), original)).collect())
}

#[test]
fn pcapng_with_sections_interfaces_and_every_packet_block() {
    let (file, frames) = motley();
    assert_eq!(read(&file), (frames, None));
}

#[test]
fn the_first_frame_that_is_not_ethernet_ends_a_mixed_pcapng() {
    let file = [
        section(BIG),
        interface(BIG, 1, 0, &[]),
        interface(BIG, 101, 0, &[]),
        enhanced(BIG, 0, b"ether", &[]),
        enhanced(BIG, 1, b"raw", &[]),
        enhanced(BIG, 0, b"ether", &[]),
    ];
    let (frames, error) = read(&file.concat());
    assert_eq!(frames.len(), 1);
    assert_eq!(error.unwrap(), "frame 2: not Ethernet but link type 101 (raw IP); what follows is not read");
}

#[test]
fn blocks_that_cannot_be_name_the_frame() {
    let begin = [section(LITTLE), interface(LITTLE, 1, 0, &[]), enhanced(LITTLE, 0, b"good", &[])].concat();
    let mut longer_than_its_block = enhanced(LITTLE, 0, b"data", &[]);
    longer_than_its_block[20] = 5;
    let mut lengths_differ = enhanced(LITTLE, 0, b"data", &[]);
    *lengths_differ.last_mut().unwrap() = 1;
    let second =
        block(LITTLE, 0x0a0d_0d0a, &[&word(LITTLE, 0x1a2b_3c4d)[..], &half(LITTLE, 2), &[0; 10]].concat());
    let cases = [
        (longer_than_its_block, "frame 2: the capture is corrupt: a frame that is longer than its block"),
        (lengths_differ, "frame 2: the capture is corrupt: a length or a magic number that cannot be"),
        (
            block(LITTLE, 6, &[0; 8]),
            "frame 2: the capture is corrupt: a block that is too short for its kind",
        ),
        (
            enhanced(LITTLE, 1, b"data", &[]),
            "frame 2: the capture is corrupt: a frame of an interface that the file does not describe",
        ),
        (second, "pcapng version 2 is unknown: version 1 can be read"),
    ];
    for (bad, message) in cases {
        let (frames, error) = read(&[&begin[..], &bad].concat());
        assert_eq!((frames.len(), error.as_deref()), (1, Some(message)));
    }
}

/// A file cut at any byte gives the frames that are whole, then an error unless the cut is between two records.
#[test]
fn cuts_at_every_byte() {
    let (pcapng, frames) = motley();
    let classic = pcap(BIG, 0xa1b2_c3d4, 1, &[(b"one", 3), (b"", 0), (b"three", 5)]);
    let in_classic = vec![(1, b"one".to_vec(), 3), (2, Vec::new(), 0), (3, b"three".to_vec(), 5)];
    for (file, frames) in [(classic, in_classic), (pcapng, frames)] {
        let mut clean = 0;
        for cut in 0..file.len() {
            let (found, error) = read(&file[..cut]);
            assert_eq!(found, frames[..found.len()], "cut at {cut}");
            match error {
                None => clean += 1,
                Some(error) if error.starts_with("not a capture") => assert!(found.is_empty()),
                Some(error) => {
                    assert!(error.starts_with(&format!("frame {}: the file ends", found.len() + 1)))
                }
            }
        }
        assert!(clean <= 13, "only a cut between two records goes unseen, {clean} did");
    }
}

/// Files with a few bytes changed never make the reader panic or run on.
#[test]
fn mutations_do_not_panic() {
    let classic = pcap(LITTLE, 0xa1b2_3c4d, 1, &[(b"one", 3), (b"", 0), (b"three", 5)]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut small = motley().0;
    small.drain(300..300 + 99_900);
    for round in 0..60_000 {
        let mut file = if round % 3 == 0 { classic.clone() } else { small.clone() };
        for _ in 0..1 + random(4) {
            let at = random(file.len());
            file[at] = [0, 0xff, 0x80, random(256) as u8, file[at] ^ (1 << random(8))][random(5)];
        }
        assert!(read(&file).0.len() < 1000);
    }
}
