//! Questions of one socket, one after the other, so that what a change does to it is seen.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
};

use super::{
    probe::{PATIENCE, Protocol},
    server::WHO,
    udp,
};

/// A large question: three fragments of Ethernet's packets, or more.
const LARGE: usize = 4_000;

/// A socket that asks one address.
#[derive(Debug)]
pub enum Conversation {
    /// HTTP.
    Tcp(BufReader<TcpStream>),
    /// Datagrams of so many bytes.
    Udp(UdpSocket, usize),
}

impl Conversation {
    /// A socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Nobody is there, or nobody answers in time.
    pub fn open(protocol: Protocol, dst: SocketAddr) -> io::Result<Self> {
        match protocol {
            Protocol::Udp | Protocol::HeldUdp => {
                udp::connect(dst, PATIENCE).map(|socket| Self::Udp(socket, WHO.len()))
            }
            Protocol::LargeUdp => {
                udp::connect(dst, PATIENCE).map(|socket| Self::Udp(socket, LARGE))
            }
            _ => {
                let stream = TcpStream::connect_timeout(&dst, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Self::Tcp(BufReader::new(stream)))
            }
        }
    }

    /// Asks who answers, and returns the answer.
    ///
    /// # Errors
    /// The socket's, or `TimedOut` where nothing comes back.
    pub fn ask(&mut self) -> io::Result<String> {
        match self {
            Self::Tcp(_) => self.get().map(|(_status, body)| body),
            Self::Udp(socket, size) => {
                let mut question = vec![0; *size];
                question[..WHO.len()].copy_from_slice(WHO);
                socket.send(&question)?;
                let mut buffer = vec![0; 2 * LARGE];
                let length = socket.recv(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned())
            }
        }
    }

    /// Asks an HTTP server for `/`: the status and the body.
    ///
    /// # Errors
    /// As [`Conversation::ask`], and `InvalidData` where the answer is no HTTP.
    pub fn get(&mut self) -> io::Result<(u16, String)> {
        let Self::Tcp(stream) = self else { return Err(ErrorKind::InvalidInput.into()) };
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: svclb-lab\r\n\r\n")?;
        let status = line(stream)?.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut length = 0;
        loop {
            let header = line(stream)?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(stated) = header.strip_prefix("content-length:") {
                length = stated.trim().parse().map_err(|_| ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(|_| ErrorKind::InvalidData)?;
        Ok((status.ok_or(ErrorKind::InvalidData)?, body))
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
