//! One connection, in each protocol.

use std::{future::Future, net::SocketAddr, time::Instant};

use anyhow::{Context as _, Result, ensure};
use svclb_tests::traffic::{PATIENCE, http::Connection, report::Report, udp::any};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    backend::Naming,
    target::{Protocol, Target},
};

/// The longest answer over TCP or UDP that is looked at.
const LONGEST_ANSWER: usize = 65_536;

/// Asks the target.
pub(crate) struct Asker {
    /// Whom.
    pub(crate) target: Target,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// How often on each connection.
    pub(crate) requests: u32,
    /// What TCP and UDP send.
    pub(crate) payload: Vec<u8>,
    /// Where answers name their backend.
    pub(crate) naming: Naming,
}

impl Asker {
    /// Makes a connection, and counts its requests and who answered the first.
    ///
    /// # Errors
    /// It cannot be made, breaks or stands still.
    pub(crate) async fn connection(&self, report: &mut Report) -> Result<()> {
        let begun = Instant::now();
        match self.target.protocol {
            Protocol::Http => {
                let mut connection = Connection::open(self.address, None).await?;
                self.requests(begun, report, async || self.get(&mut connection).await).await
            }
            Protocol::Tcp => {
                let connect = TcpStream::connect(self.address);
                let mut stream = answered(connect).await.context("connect")?;
                stream.set_nodelay(true).context("TCP_NODELAY")?;
                self.requests(begun, report, async || self.exchange(&mut stream).await).await
            }
            Protocol::Udp => {
                let socket = self.socket().await?;
                self.requests(begun, report, async || self.datagram(&socket).await).await
            }
        }
    }

    /// Asks `ask` as often as is wanted; it gives the name of who answers.
    async fn requests(
        &self,
        mut begun: Instant,
        report: &mut Report,
        mut ask: impl AsyncFnMut() -> Result<String>,
    ) -> Result<()> {
        for i in 0..self.requests {
            let name = ask().await.with_context(|| format!("request {}", i + 1))?;
            report.answered(begun.elapsed());
            begun = Instant::now();
            if i == 0 {
                report.connected(name);
            }
        }
        Ok(())
    }

    async fn get(&self, connection: &mut Connection) -> Result<String> {
        let answer = connection.get(&self.target.path, &self.target.authority).await?;
        Ok(self.naming.name(Some(answer.headers()), answer.body()))
    }

    async fn exchange(&self, stream: &mut TcpStream) -> Result<String> {
        answered(stream.write_all(&self.payload)).await.context("send")?;
        let mut answer = vec![0; LONGEST_ANSWER];
        let length = answered(stream.read(&mut answer)).await.context("answer")?;
        ensure!(length > 0, "closed without an answer");
        Ok(self.naming.name(None, &answer[..length]))
    }

    async fn socket(&self) -> Result<UdpSocket> {
        let socket = UdpSocket::bind(any(self.address)).await.context("bind")?;
        socket.connect(self.address).await.context("connect")?;
        Ok(socket)
    }

    async fn datagram(&self, socket: &UdpSocket) -> Result<String> {
        answered(socket.send(&self.payload)).await.context("send")?;
        let mut answer = vec![0; LONGEST_ANSWER];
        let length = answered(socket.recv(&mut answer)).await.context("answer")?;
        Ok(self.naming.name(None, &answer[..length]))
    }
}

/// Waits for something as long as a client would.
async fn answered<T>(what: impl Future<Output = std::io::Result<T>>) -> Result<T> {
    Ok(timeout(PATIENCE, what).await.context("no answer")??)
}
