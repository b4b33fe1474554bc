//! The HTTP client: one connection at a time, from a source of the caller's choice.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use http_body_util::{BodyExt, Either, Empty};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{net::TcpSocket, time::timeout};

use super::{
    PATIENCE, block_on,
    pattern::{Pattern, hex},
    server::SHA256,
};

/// The host that is asked of the lab's server.
const LAB_HOST: &str = "svclb-lab";

/// Who answered whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The pod's name.
    pub name: String,
    /// The client as the pod sees it.
    pub client: SocketAddr,
    /// The pod's own end of the connection.
    pub address: SocketAddr,
}

/// A connection to a server; requests go one after the other.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Either<Empty<Bytes>, Pattern>>,
    peer: SocketAddr,
}

impl Connection {
    /// Connects to `dst`, from `source` if given (its port may be 0).
    ///
    /// # Errors
    /// The source is taken, or `dst` does not answer within [`PATIENCE`].
    pub async fn open(dst: SocketAddr, source: Option<SocketAddr>) -> Result<Self> {
        let socket = if dst.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.context("socket")?;
        if let Some(source) = source {
            socket.set_reuseaddr(true).context("SO_REUSEADDR")?;
            socket.bind(source).with_context(|| format!("bind to {source}"))?;
        }
        let connected = timeout(PATIENCE, socket.connect(dst)).await;
        let stream = connected.context("connect: no answer")?.context("connect")?;
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        let peer = stream.peer_addr().context("peer's address")?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.context("handshake")?;
        tokio::spawn(driver);
        Ok(Self { sender, peer })
    }

    /// The address that it is connected to, by the socket's own word.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Asks who answers.
    ///
    /// # Errors
    /// The connection breaks, or the answer is not the lab server's.
    pub async fn who(&mut self) -> Result<Answer> {
        let answer = self.get("/", LAB_HOST).await?;
        serde_json::from_slice(answer.body()).context("not the lab's server")
    }

    /// Asks any server for a path, and waits for all of its answer.
    ///
    /// # Errors
    /// The connection breaks or stands still, or the answer is a failure.
    pub async fn get(&mut self, path: &str, host: &str) -> Result<Response<Bytes>> {
        let request = request(Method::GET, path, host, Either::Left(Empty::new()))?;
        let (head, body) = self.send(request).await?.into_parts();
        let body = timeout(PATIENCE, body.collect()).await.context("body: no answer")?;
        Ok(Response::from_parts(head, body.context("body")?.to_bytes()))
    }

    /// Downloads `length` bytes and checks their hash.
    ///
    /// # Errors
    /// The connection breaks or stands still, or the bytes are not right.
    pub async fn download(&mut self, length: u64) -> Result<()> {
        let path = format!("/bytes/{length}");
        let response =
            self.send(request(Method::GET, &path, LAB_HOST, Either::Left(Empty::new()))?).await?;
        let expected = response.headers().get(SHA256).context("no hash in the answer")?.clone();
        let (received, hash) = hash_of(response.into_body()).await?;
        ensure!(received == length, "{received} bytes of {length} came");
        ensure!(expected.as_bytes() == hash.as_bytes(), "the bytes that came are not those sent");
        Ok(())
    }

    /// Uploads `length` bytes; the server's hash must be that of what was sent.
    ///
    /// # Errors
    /// As [`Connection::download`].
    pub async fn upload(&mut self, length: u64) -> Result<()> {
        let pattern = Pattern::new(length);
        let expected = pattern.clone().sha256();
        let request = request(Method::POST, "/sha256", LAB_HOST, Either::Right(pattern))?;
        // The answer comes when all was sent: a long body takes its time.
        let response = timeout(6 * PATIENCE, self.sender.send_request(request)).await;
        let body = response.context("upload stands still")?.context("upload")?.into_body();
        let text = body.collect().await.context("body")?.to_bytes();
        ensure!(text.trim_ascii() == expected.as_bytes(), "the server got other bytes");
        Ok(())
    }

    async fn send(
        &mut self,
        request: Request<Either<Empty<Bytes>, Pattern>>,
    ) -> Result<Response<Incoming>> {
        let response = timeout(PATIENCE, self.sender.send_request(request)).await;
        let response = response.context("request: no answer")?.context("request")?;
        if !response.status().is_success() {
            bail!("the server says {}", response.status());
        }
        Ok(response)
    }
}

/// One request on a new connection to `dst`.
///
/// # Errors
/// The connection fails, or the answer is not the lab server's.
pub fn who(dst: SocketAddr) -> Result<Answer> {
    who_from(dst, None)
}

/// One request on a new connection from `source`.
///
/// # Errors
/// As [`who`], and if the source is taken.
pub fn who_from(dst: SocketAddr, source: Option<SocketAddr>) -> Result<Answer> {
    let ask = async { Connection::open(dst, source).await?.who().await };
    block_on(ask).with_context(|| format!("HTTP to {dst}"))
}

fn request(
    method: Method,
    path: &str,
    host: &str,
    body: Either<Empty<Bytes>, Pattern>,
) -> Result<Request<Either<Empty<Bytes>, Pattern>>> {
    let request = Request::builder().method(method).uri(path).header("host", host);
    request.body(body).context("request")
}

async fn hash_of(mut body: Incoming) -> Result<(u64, String)> {
    let (mut length, mut hash) = (0, Sha256::new());
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.context("body stands still")? {
        if let Ok(data) = frame.context("body")?.into_data() {
            length += data.len() as u64;
            hash.update(&data);
        }
    }
    Ok((length, hex(hash)))
}
