//! The server of a pod: HTTP and UDP echo, each answer with the pod's name.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | JSON: the pod's name, the client's address, the address asked |
//! | `GET /bytes/<n>` | n deterministic bytes, their hash in the header `x-sha256` |
//! | `POST /sha256` | the hash of the body |
//! | the datagram [`WHO`], zeros may follow | the same JSON as to `GET /`, as long at least |
//! | another datagram | the same datagram, its beginning replaced by the name and a zero byte |

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, UdpSocket};

use super::{
    http::Answer,
    pattern::{Pattern, hex},
};

/// The header that holds the body's hash.
pub const SHA256: &str = "x-sha256";

/// The datagram that is answered as `GET /` is.
pub const WHO: &[u8] = b"who";

type Body = Either<Full<Bytes>, Pattern>;

/// Serves at every address, TCP and UDP, until the process ends.
///
/// # Errors
/// An address cannot be bound.
pub async fn serve(name: String, addresses: &[SocketAddr]) -> Result<()> {
    let name: Arc<str> = name.into();
    let mut servers = tokio::task::JoinSet::new();
    for address in addresses {
        let tcp = TcpListener::bind(address).await.with_context(|| format!("TCP {address}"))?;
        let udp = UdpSocket::bind(address).await.with_context(|| format!("UDP {address}"))?;
        servers.spawn(accept(tcp, name.clone()));
        servers.spawn(echo(udp, name.clone()));
    }
    while let Some(ended) = servers.join_next().await {
        ended.context("a server's task")?;
    }
    Ok(())
}

async fn accept(listener: TcpListener, name: Arc<str>) {
    loop {
        // A client that is gone before it was accepted is not the server's failure.
        let Ok((stream, client)) = listener.accept().await else { continue };
        let Ok(address) = stream.local_addr() else { continue };
        let _small_answers_go_at_once = stream.set_nodelay(true);
        let who = Answer { name: name.to_string(), client, address };
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, &who));
            // The client sees and reports what goes wrong with its connection.
            let _closed =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, who: &Answer) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let length = path.strip_prefix("/bytes/").and_then(|n| n.parse().ok());
    Ok(match (request.method(), length) {
        (&Method::GET, Some(length)) => bytes(length),
        (&Method::POST, None) if path == "/sha256" => text(hash_of(request.into_body()).await),
        (&Method::GET, None) if path == "/" => text(serde_json::to_string(who).unwrap_or_default()),
        _ => status(StatusCode::NOT_FOUND),
    })
}

fn text(text: String) -> Response<Body> {
    Response::new(Either::Left(Full::from(text + "\n")))
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = text(code.to_string());
    *response.status_mut() = code;
    response
}

fn bytes(length: u64) -> Response<Body> {
    let pattern = Pattern::new(length);
    let hash = pattern.clone().sha256();
    let response = Response::builder().header(SHA256, hash).body(Either::Right(pattern));
    response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// A body that breaks off gives the hash of what came, which is not the client's.
async fn hash_of(mut body: Incoming) -> String {
    let mut hash = Sha256::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            hash.update(&data);
        }
    }
    hex(hash)
}

async fn echo(socket: UdpSocket, name: Arc<str>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error of an earlier answer is reported here; the next datagram counts.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        if is_who(&buffer[..length]) {
            let Ok(address) = socket.local_addr() else { continue };
            let who = Answer { name: name.to_string(), client, address };
            let text = serde_json::to_string(&who).unwrap_or_default();
            let text = format!("{text:length$}");
            let _lost = socket.send_to(text.as_bytes(), client).await;
            continue;
        }
        let stamp = [name.as_bytes(), &[0]].concat();
        buffer[..stamp.len()].copy_from_slice(&stamp);
        let _lost = socket.send_to(&buffer[..length.max(stamp.len())], client).await;
    }
}

fn is_who(datagram: &[u8]) -> bool {
    datagram.strip_prefix(WHO).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}
