//! A small HTTP server, for metrics and for health checks.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt::Ipv6V6Only};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
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
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// What to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Answer {
    /// Text that explains itself.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, content_type: TEXT, body: body.into() }
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
            match bind(address) {
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

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the agent before this one may still be closing.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // An address of IPv4 is another one of the list.
        setsockopt(&socket, Ipv6V6Only, &true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn has_no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>, permits: Arc<Semaphore>) {
    loop {
        // Nobody closes the semaphore.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = handler.clone();
                tokio::spawn(async move {
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
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};

    use tokio::task::spawn_blocking;

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
