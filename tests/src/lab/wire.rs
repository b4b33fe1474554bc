//! A device as a bare wire: frames in, frames out, past the network stack.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    ifaddrs::getifaddrs,
    libc,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike,
            bind, recvfrom, send, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};

use super::netns::Netns;

/// Socket option: frames begin with a header about what the device is to do.
#[derive(Clone, Copy, Debug)]
struct OffloadHeader;
/// `PACKET_VNET_HDR` of linux/if_packet.h.
const PACKET_VNET_HDR: i32 = 15;
nix::setsockopt_impl!(OffloadHeader, libc::SOL_PACKET, PACKET_VNET_HDR, bool, sockopt::SetBool);

/// `PACKET_OUTGOING` of linux/if_packet.h.
const OUTGOING: u8 = 4;

/// After how long a silence [`Wire::receive`] looks at the clock.
const SILENCE: Duration = Duration::from_millis(50);

/// An open device.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    mac: [u8; 6],
}

impl Wire {
    /// Opens `device` of `netns`.
    ///
    /// # Errors
    /// There is no such device, or it has no Ethernet address.
    pub fn open(netns: &Netns, device: &str) -> Result<Self> {
        netns.run(|| open(device)).with_context(|| format!("{device} of {}", netns.name()))
    }

    /// Lets every frame begin with what the kernel leaves to the device: its checksum, where it is
    /// to be cut (`struct virtio_net_hdr`).
    ///
    /// # Errors
    /// The kernel refuses it.
    pub(super) fn with_offloads(self) -> Result<Self> {
        setsockopt(&self.socket, OffloadHeader, &true).context("PACKET_VNET_HDR")?;
        Ok(self)
    }

    /// Gives up waiting for the next frame after this long.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub(super) fn after_silence_of(self, silence: Duration) -> Result<Self> {
        let silence = TimeVal::new(0, silence.subsec_micros().into());
        setsockopt(&self.socket, sockopt::ReceiveTimeout, &silence).context("SO_RCVTIMEO")?;
        Ok(self)
    }

    /// The device's own MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Sends a frame out of the device.
    ///
    /// # Errors
    /// The device refuses it: it is down, or the frame is shorter than an Ethernet header or
    /// longer than the MTU.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::empty()).context("send of a frame")?;
        Ok(())
    }

    /// Receives frames that came in by the device until `take` is content with one, and gives what
    /// it made of it. `what` completes "timed out waiting for".
    ///
    /// # Errors
    /// `take` is content with none within `limit`.
    pub fn receive<T>(
        &self,
        what: &str,
        limit: Duration,
        mut take: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(taken) = self.next()?.and_then(|frame| take(&frame)) {
                return Ok(taken);
            }
        }
        bail!("timed out after {limit:?} waiting for {what}")
    }

    /// The next frame in either direction but the own ones; none for a while of silence.
    pub(super) fn next(&self) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; 65_536];
        match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut frame) {
            Ok((_, Some(from))) if from.pkttype() == OUTGOING => Ok(None),
            Ok((length, _)) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(error) => Err(error).context("receive of a frame"),
        }
    }
}

fn open(device: &str) -> Result<Wire> {
    let address = link_address(device)?;
    let socket =
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
            .context("packet socket")?;
    // The longest datagrams come in dozens of frames, faster than anybody takes them.
    setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20)).context("SO_RCVBUFFORCE")?;
    // getifaddrs leaves the protocol 0: the socket's own stays.
    bind(socket.as_raw_fd(), &address).context("bind")?;
    let mac = address.addr().context("no Ethernet address")?;
    Wire { socket, mac }.after_silence_of(SILENCE)
}

fn link_address(device: &str) -> Result<LinkAddr> {
    let mut all = getifaddrs().context("the list of devices")?;
    let address = all.find_map(|interface| {
        let address = (interface.interface_name == device).then_some(interface.address)??;
        (address.family() == Some(AddressFamily::Packet))
            .then(|| address.as_link_addr().copied())?
    });
    address.context("no such device")
}
