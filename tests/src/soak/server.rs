//! The pods' servers: threads of this process in the pods' namespaces, which check what they
//! receive.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use super::{
    message::{HEADER, Message},
    tally::{Kind, Tally},
};
use crate::{
    lab::{Family, Netns},
    traffic::block_on,
};

/// Bytes that wait for a server: what all clients may send at once in fragments.
const BUFFER: usize = 8 << 20;

/// A pod that serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Its number, which its answers carry.
    pub(super) pod: u16,
    /// A Service that it serves, and where.
    pub(super) service: u16,
    /// Address and port, over TCP and UDP.
    pub(super) at: SocketAddr,
}

/// Serves in `netns` until the process ends. Every server has its port when this returns.
///
/// # Errors
/// A port cannot be had.
pub(super) fn start(netns: &Netns, servers: Vec<Server>, tally: &Arc<Tally>) -> Result<()> {
    let (tell, told) = mpsc::channel();
    let tally = tally.clone();
    netns.run(|| {
        // It ends with the process, and says why if it ends before.
        thread::spawn(move || {
            let served = block_on(serve(&servers, &tally, &tell));
            let _nobody_waits_any_more = tell.send(served);
        });
        Ok(())
    })?;
    told.recv().context("the server's thread has ended")?
}

async fn serve(
    servers: &[Server],
    tally: &Arc<Tally>,
    ready: &mpsc::Sender<Result<()>>,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    for server in servers {
        let at = server.at;
        let tcp = TcpListener::bind(at).await.with_context(|| format!("TCP {at}"))?;
        let udp = UdpSocket::bind(at).await.with_context(|| format!("UDP {at}"))?;
        setsockopt(&udp, RcvBufForce, &BUFFER).context("SO_RCVBUFFORCE")?;
        tasks.spawn(accept(tcp, *server, tally.clone()));
        tasks.spawn(datagrams(udp, *server, tally.clone()));
    }
    ready.send(Ok(())).context("nobody waits for the servers")?;
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn accept(listener: TcpListener, server: Server, tally: Arc<Tally>) {
    loop {
        // A client that is gone before it was accepted has been reset, as its own count says.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let tally = tally.clone();
        tokio::spawn(async move { connection(stream, server, &tally).await });
    }
}

/// Questions in their order, from one client, up to the end of the connection.
async fn connection(mut stream: TcpStream, server: Server, tally: &Tally) {
    let _small_answers_go_at_once = stream.set_nodelay(true);
    let (mut expected, mut client) = (0, None);
    while let Some(question) = next(&mut stream).await {
        let checked = question.and_then(|question| server.check(&question));
        match checked {
            Ok(question)
                if question.sequence == expected
                    && *client.get_or_insert(question.client) == question.client =>
            {
                expected += 1;
                let answer = question.answered_by(server.pod).encode();
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Ok(question) => {
                let what = format!("{question:?} where question {expected} was to come");
                return tally.wrong(Kind::Tcp, server.family(), &what);
            }
            Err(error) => return tally.wrong(Kind::Tcp, server.family(), &format!("{error:#}")),
        }
    }
}

/// The next question; `None` at the end of the connection, however it came.
async fn next(stream: &mut TcpStream) -> Option<Result<Message>> {
    let mut bytes = vec![0; HEADER];
    stream.read_exact(&mut bytes).await.ok()?;
    let head = match Message::head(&bytes) {
        Ok(head) => head,
        Err(error) => return Some(Err(error)),
    };
    bytes.resize(head.size as usize, 0);
    stream.read_exact(&mut bytes[HEADER..]).await.ok()?;
    Some(Message::decode(&bytes))
}

async fn datagrams(socket: UdpSocket, server: Server, tally: Arc<Tally>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error of an earlier answer is reported here; the next datagram counts.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        match Message::decode(&buffer[..length]).and_then(|question| server.check(&question)) {
            Ok(question) => {
                let answer = question.answered_by(server.pod).encode();
                // What cannot be sent is missed by who waits for it.
                let _lost = socket.send_to(&answer, client).await;
            }
            Err(error) => tally.wrong(Kind::Udp, server.family(), &format!("{error:#}")),
        }
    }
}

impl Server {
    fn family(&self) -> Family {
        if self.at.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The question, if it was asked of this Service.
    fn check(&self, question: &Message) -> Result<Message> {
        let is_mine = question.pod.is_none() && question.service == self.service;
        anyhow::ensure!(is_mine, "service {} at {} got {question:?}", self.service, self.at);
        Ok(*question)
    }
}
