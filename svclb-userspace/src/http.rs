//! A small HTTP server, for metrics and for health checks.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{
    setsockopt,
    sockopt::{IpFreebind, Ipv6V6Only},
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::{debug, info, warn};

use crate::config::Listen;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Connections of one server at a time; more wait.
const CONNECTIONS: usize = 64;

/// How long a client may take to send a request's head, or the next one.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait when no connection can be accepted: files are used up.
const PAUSE: Duration = Duration::from_millis(100);

/// The media type of an answer in plain text.
const TEXT: &str = "text/plain; charset=utf-8";

/// The media type of an answer for programs.
const JSON: &str = "application/json";

/// What to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    /// A header beyond those that every answer has.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    pub(crate) body: String,
}

impl Answer {
    /// A body of that media type.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, header: None, body }
    }

    /// Text that explains itself.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self::new(status, TEXT, body.into())
    }

    /// An object that is always JSON: of texts, numbers and bools.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::new(status, JSON, serde_json::to_string(body).unwrap_or_default())
    }
}

/// Who answers.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The answer to a GET of this path; `None` if there is nothing.
    fn get(&self, path: &str) -> impl Future<Output = Option<Answer>> + Send;
}

/// Sockets that listen.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Listens at every address of `listen`, which the flag `option` says. To be called within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// One address is taken or not the node's; the message names it and the flag.
    pub(crate) fn bind(option: &str, listen: &Listen) -> Result<Self> {
        let mut listeners = Vec::new();
        for &address in &listen.0 {
            match bind(address, Presence::Needed) {
                Err(error) if address.ip().is_unspecified() && has_no_family(&error) => {
                    warn!(%address, "not listening: the kernel is without this family");
                }
                listener => listeners.push(listener.with_context(|| {
                    format!("--{option}: cannot listen at {address}; choose another or `off`")
                })?),
            }
        }
        Ok(Self(listeners))
    }

    /// Where they listen.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.0.iter().map(TcpListener::local_addr).collect()
    }

    /// Answers, in tasks of its own, for as long as the runtime lives.
    pub(crate) fn serve<H: Handler>(self, what: &'static str, handler: H) {
        let (handler, permits) = (Arc::new(handler), Arc::new(Semaphore::new(CONNECTIONS)));
        for listener in self.0 {
            if let Ok(address) = listener.local_addr() {
                info!(%address, "serving {what}");
            }
            tokio::spawn(accept(listener, handler.clone(), permits.clone()));
        }
    }
}

/// Answers at one address, until it is dropped: the address is free then, and connections are
/// closed.
#[derive(Debug)]
pub(crate) struct Server(AbortHandle);

impl Server {
    /// Answers at `address`, which the node may not have yet. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The port is taken.
    pub(crate) fn start<H: Handler>(address: SocketAddr, handler: Arc<H>) -> io::Result<Self> {
        let listener = bind(address, Presence::Awaited)?;
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self(tokio::spawn(accept(listener, handler, permits)).abort_handle()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether the node must have an address that is listened at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It has it now.
    Needed,
    /// It may come: one of IPv6 cannot be used while the kernel looks for duplicates.
    Awaited,
}

fn bind(address: SocketAddr, presence: Presence) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the agent before this one may still be closing.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // An address of IPv4 is another one of the list.
        setsockopt(&socket, Ipv6V6Only, &true)?;
    }
    if presence == Presence::Awaited {
        setsockopt(&socket, IpFreebind, &true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether the kernel knows nothing of an address's family.
pub(crate) fn has_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

/// The connections end with this future.
async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>, permits: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        // Nobody closes the semaphore.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = handler.clone();
                connections.spawn(async move {
                    serve_connection(stream, &*handler).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "HTTP connection not accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve_connection<H: Handler>(stream: TcpStream, handler: &H) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(respond(&request, handler).await)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "HTTP connection broken");
    }
}

async fn respond<H: Handler>(request: &Request<Incoming>, handler: &H) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal =
            response(Answer::text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n"));
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    let answer = handler.get(request.uri().path()).await;
    response(answer.unwrap_or_else(|| Answer::text(StatusCode::NOT_FOUND, "not found\n")))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(answer.header);
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};

    use tokio::{task::spawn_blocking, time::timeout};

    use super::*;

    struct Hello;

    impl Handler for Hello {
        async fn get(&self, path: &str) -> Option<Answer> {
            (path == "/hello").then(|| Answer::text(StatusCode::OK, "hi"))
        }
    }

    fn loopback() -> Listen {
        "127.0.0.1:0,[::1]:0".parse().expect("addresses")
    }

    /// Sends one request and gives the whole answer, head and body.
    pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let exchange = move || {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, io::Error>(answer)
        };
        spawn_blocking(exchange).await.expect("no panic").expect("an answer")
    }

    #[tokio::test]
    async fn every_address_answers_and_nothing_is_sniffed() {
        let listeners = Listeners::bind("some-address", &loopback()).expect("bound");
        let addresses = listeners.addresses().expect("bound");
        listeners.serve("tests", Hello);
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            let hello = ask(address, "GET", "/hello?x=y").await;
            assert!(hello.starts_with("HTTP/1.1 200 OK\r\n"), "{hello}");
            assert!(hello.ends_with("\r\n\r\nhi"), "{hello}");
            assert!(hello.contains("x-content-type-options: nosniff\r\n"), "{hello}");
            let head = ask(address, "HEAD", "/hello").await;
            assert!(head.ends_with("\r\n\r\n") && head.contains("content-length: 2"), "{head}");
            assert!(ask(address, "GET", "/").await.starts_with("HTTP/1.1 404 "));
            let refused = ask(address, "POST", "/hello").await;
            assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
            assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
        }
    }

    #[tokio::test]
    async fn both_wildcards_share_a_port() {
        let v4 = Listeners::bind("a", &"0.0.0.0:0".parse().expect("address")).expect("bound");
        let port = v4.addresses().expect("bound")[0].port();
        Listeners::bind("a", &format!("[::]:{port}").parse().expect("address")).expect("bound");
    }

    /// A port of loopback that nobody has.
    fn free() -> SocketAddr {
        let listeners = Listeners::bind("a", &"127.0.0.1:0".parse().expect("address"));
        listeners.and_then(|one| Ok(one.addresses()?[0])).expect("bound")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_is_dropped_frees_its_port_and_its_connections() {
        let (handler, address) = (Arc::new(Hello), free());
        let server = Server::start(address, handler.clone()).expect("started");
        assert!(Server::start(address, handler.clone()).is_err(), "two at one address");
        let mut idle = std::net::TcpStream::connect(address).expect("connected");
        idle.set_read_timeout(Some(PATIENCE)).expect("set");
        idle.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").expect("asked");
        assert!(idle.read(&mut [0; 512]).expect("an answer of an accepted connection") > 0);
        drop(server);
        let end = idle.read(&mut [0; 1]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(io::ErrorKind::ConnectionReset)), "{end:?}");
        let refused = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, refused).await.expect("nobody listens");
        Server::start(address, handler).expect("free again");
    }

    #[tokio::test]
    async fn a_server_waits_for_its_address() {
        // No node has an address of the documentation's range.
        let address = "192.0.2.77:0".parse().expect("address");
        Server::start(address, Arc::new(Hello)).expect("started");
        let listen = "192.0.2.77:0".parse().expect("address");
        assert!(Listeners::bind("a", &listen).is_err(), "an operator's mistake");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_flag() {
        let first = Listeners::bind("a", &"127.0.0.1:0".parse().expect("address")).expect("bound");
        let taken = first.addresses().expect("bound")[0];
        let listen = taken.to_string().parse().expect("address");
        let error = Listeners::bind("metrics-bind-address", &listen).expect_err("taken");
        let message = format!("{error:#}");
        let start = format!("--metrics-bind-address: cannot listen at {taken}");
        assert!(message.starts_with(&start) && message.contains("in use"), "{message}");
    }
}
