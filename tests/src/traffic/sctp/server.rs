//! A server: it opens associations, answers each message, and closes them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};

use super::{
    chunks, cookie, data, init, number, sack,
    socket::{Raw, Received},
};
use crate::{
    packet::sctp::{chunk, kind},
    traffic::http::Answer,
};

/// The tag that a server wants to be spoken to with.
const TAG: u32 = 0x5e7_0000;

/// A server that ends when it is dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Server {
    /// Serves at `local`, an address of the network namespace that the caller is in; answers carry
    /// the name.
    ///
    /// # Errors
    /// There is no raw socket to be had.
    pub fn start(name: &str, local: SocketAddr) -> Result<Self> {
        let (name, raw) = (name.to_owned(), Raw::bind(local)?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut clients = HashMap::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(received) = raw.receive()? {
                    answer(&raw, &mut clients, &received, &name, local)?;
                }
            }
            Ok(())
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it.
    ///
    /// # Errors
    /// Something wrong had come in.
    pub fn finish(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the server's thread")?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever wants to know what went wrong has asked for it.
            let _ended = thread.join();
        }
    }
}

fn answer(
    raw: &Raw,
    clients: &mut HashMap<SocketAddr, u32>,
    received: &Received,
    name: &str,
    local: SocketAddr,
) -> Result<()> {
    let Received { from, common, packet } = received;
    for (kind, value) in chunks(packet) {
        if kind == kind::INIT {
            clients.insert(*from, number(value).context("INIT without a tag")?);
        }
        let Some(tag) = clients.get(from) else { continue };
        if kind != kind::INIT && common.tag != TAG {
            continue;
        }
        let reply = match kind {
            kind::INIT => init(kind::INIT_ACK, TAG, &cookie()),
            kind::COOKIE_ECHO => chunk(kind::COOKIE_ACK, 0, &[]),
            kind::DATA => {
                let who = Answer { name: name.to_owned(), client: *from, address: local };
                let number = number(value).context("DATA without a number")?;
                [sack(number), data(number, &serde_json::to_vec(&who)?)].concat()
            }
            kind::SHUTDOWN => chunk(kind::SHUTDOWN_ACK, 0, &[]),
            _ => continue,
        };
        raw.send(*from, *tag, &reply)?;
    }
    Ok(())
}
