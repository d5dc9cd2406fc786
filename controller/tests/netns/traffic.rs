//! Traffic to a host behind an enforced interface, told by what arrives at its sockets: behind every engine.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::{World, ip, send, udp};

/// A service that the policies of these tests allow, and one that none does.
const ALLOWED: u16 = 8000;
const FORBIDDEN: u16 = 9999;

/// Sockets of the gateway.
pub(crate) struct Traffic {
    interface: String,
    allowed: UdpSocket,
    forbidden: UdpSocket,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Frames of each kind that were sent.
    pub(crate) sent: u64,
    pub(crate) allowed: u64,
    pub(crate) forbidden: u64,
}

impl Traffic {
    /// Makes the gateway a host that takes what is sent to it.
    pub(crate) fn new(world: &World, interface: &str) -> Traffic {
        let gateway = world.namespace("gw");
        world.within("gw", || {
            for key in ["all/rp_filter", &format!("{interface}/rp_filter")] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{key}"), "0").unwrap();
            }
        });
        ip(&["-n", &gateway, "link", "set", interface, "address", "02:00:00:00:00:02"]);
        ip(&["-n", &gateway, "address", "replace", "203.0.113.10/24", "dev", interface]);
        let socket = |port| {
            let socket = world.within("gw", || UdpSocket::bind(("203.0.113.10", port)).unwrap());
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            socket
        };
        Traffic { interface: interface.to_owned(), allowed: socket(ALLOWED), forbidden: socket(FORBIDDEN) }
    }

    /// Sends frames of both kinds from before `what` until after it, and counts what arrives.
    pub(crate) fn during(&self, world: &World, what: impl FnOnce()) -> Seen {
        let (mut sender, _) = world.channel("out", &format!("{}p", self.interface));
        let frames = [ALLOWED, FORBIDDEN].map(|port| udp([192, 0, 2, 1], port));
        let (done, sent_all) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let [allowed, forbidden] =
                [&self.allowed, &self.forbidden].map(|socket| scope.spawn(|| drain(socket, &sent_all)));
            let sending = scope.spawn(|| {
                let _end = End(&sent_all);
                let mut sent = 0;
                // A few rounds more when it is done: what comes after the change is judged too.
                let mut rounds_left = 20;
                while rounds_left > 0 {
                    (0..8).for_each(|_| frames.iter().for_each(|frame| send(&mut *sender, frame)));
                    sent += 8;
                    std::thread::sleep(Duration::from_millis(2));
                    rounds_left -= i32::from(done.load(Ordering::Relaxed));
                }
                sent
            });
            let end = End(&done);
            std::thread::sleep(Duration::from_millis(50));
            what();
            drop(end);
            Seen {
                sent: sending.join().unwrap(),
                allowed: allowed.join().unwrap(),
                forbidden: forbidden.join().unwrap(),
            }
        })
    }
}

/// Says that something has ended, even where a test fails meanwhile.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many datagrams come, until nothing more is sent and nothing more comes.
fn drain(socket: &UdpSocket, sent_all: &AtomicBool) -> u64 {
    let mut count = 0;
    loop {
        let last = sent_all.load(Ordering::Relaxed);
        match socket.recv(&mut [0; 64]) {
            Ok(_) => count += 1,
            Err(_) if last => return count,
            Err(_) => {}
        }
    }
}
