//! A process that waits for its peer to say something.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

/// What a process waits in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Wait {
    /// `connect` of TCP.
    Connect,
    /// `recv` of TCP.
    Tcp,
    /// `recv` of a connected UDP socket.
    Udp,
}

impl Wait {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Waits for a word of `dst`, which has none to say, as long as `patience`; the error that it ends
/// with, by its name ("WouldBlock": nothing has happened).
///
/// # Errors
/// The peer cannot be asked, or has said something.
pub fn wait(how: Wait, dst: SocketAddr, patience: Duration) -> Result<String> {
    let ended = match how {
        Wait::Connect => connect(dst, patience),
        Wait::Tcp => {
            let mut stream = TcpStream::connect(dst).with_context(|| format!("TCP to {dst}"))?;
            stream.set_read_timeout(Some(patience)).context("SO_RCVTIMEO")?;
            stream.read(&mut [0; 16])
        }
        Wait::Udp => {
            let any = if dst.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).context("UDP bind")?;
            socket.connect(dst).with_context(|| format!("UDP to {dst}"))?;
            socket.set_read_timeout(Some(patience)).context("SO_RCVTIMEO")?;
            socket.recv(&mut [0; 16])
        }
    };
    match ended {
        Ok(length) => bail!("{dst} has said {length} bytes"),
        Err(error) => Ok(format!("{:?}", error.kind())),
    }
}

/// The kernel gives up by itself only after minutes.
fn connect(dst: SocketAddr, patience: Duration) -> std::io::Result<usize> {
    match TcpStream::connect_timeout(&dst, patience) {
        Ok(_) => Ok(0),
        Err(error) if error.kind() == ErrorKind::TimedOut => Err(ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}
