//! A tunnel from a node to a client, out of devices without a link-layer header, as those of
//! WireGuard or of IP in IP are.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Ipv6Addr},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::OpenOptionsExt,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use nix::{
    libc::{self, IFF_NO_PI, IFF_TUN, O_NONBLOCK, ifreq},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Family, address::Dual, netns::Netns, topology::Lab};

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, ifreq);

/// The device at both ends.
const DEVICE: &str = "tunnel0";
/// The address of the client's end.
const CLIENT: Dual = Dual {
    v4: Ipv4Addr::new(203, 0, 113, 88),
    v6: Ipv6Addr::new(0x2001, 0xdb8, 0x88, 0, 0, 0, 0, 1),
};
/// How often, in milliseconds, a silent tunnel looks whether it is to end.
const SILENCE: u16 = 20;

/// The tunnel, until the value drops.
#[derive(Debug)]
pub struct Tunnel {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Digs a tunnel through which the external client reaches node `n`, at its address. It carries
    /// what every path between pods carries.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn tunnel(&self, n: u8) -> Result<Tunnel> {
        let (node, client) = (self.node(n), self.external());
        let mtu = self.preset.pod_mtu();
        let ends = [open(node.netns(), mtu)?, open(client.netns(), mtu)?];
        for family in Family::BOTH {
            let (own, to) = (CLIENT.ip(family), node.ip.ip(family));
            client.netns().address("add", own, DEVICE)?;
            client.netns().ip(format!("route add {to} dev {DEVICE} src {own}\n"))?;
            node.netns().ip(format!("route add {own} dev {DEVICE}\n"))?;
        }
        let stop = Arc::<AtomicBool>::default();
        let is_over = stop.clone();
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Err(error) = pass(&ends) {
                    eprintln!("the tunnel has ended: {error:#}");
                    return;
                }
            }
        });
        Ok(Tunnel { stop, thread: Some(thread) })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic has been printed. With the thread go the devices, and with those the routes.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Makes a device; it is there for as long as the file is open.
fn open(netns: &Netns, mtu: u16) -> Result<File> {
    let file = netns.run(|| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(O_NONBLOCK);
        let file = options.open("/dev/net/tun").context("/dev/net/tun")?;
        // SAFETY: every bit pattern is an `ifreq`.
        let mut request: ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (IFF_TUN | IFF_NO_PI) as libc::c_short;
        // SAFETY: the file is the kernel's for such devices, the request is as it wants it.
        unsafe { set_interface(file.as_raw_fd(), &request) }.context("TUNSETIFF")?;
        Ok(file)
    })?;
    netns.ip(format!("link set {DEVICE} mtu {mtu} up\n"))?;
    Ok(file)
}

/// Passes on what comes out of each end, or waits a little for it.
fn pass(ends: &[File; 2]) -> Result<()> {
    let mut ready = [&ends[0], &ends[1]].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
    poll(&mut ready, PollTimeout::from(SILENCE)).context("poll")?;
    for (mut from, mut to) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        let mut packet = [0; 2048];
        match from.read(&mut packet) {
            // One that the other end refuses is lost, as in any network.
            Ok(length) => drop(to.write(&packet[..length])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("read"),
        }
    }
    Ok(())
}
