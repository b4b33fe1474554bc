//! Connections whose both ends are the scenario's own, to see what each of them is told.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use svclb_tests::{
    lab::{Family, SOON},
    traffic::PATIENCE,
};

use crate::{
    client::Asker,
    world::{PORT, World},
};

/// How long a client that sends listens between two bytes.
const PAUSE: Duration = Duration::from_millis(20);

/// A connection through svclb.
pub(crate) struct Talk {
    what: String,
    pub(crate) client: TcpStream,
    pub(crate) endpoint: TcpStream,
}

impl Talk {
    /// Connects `client` to `dst`, behind which `listener` is the only endpoint, and carries data
    /// both ways.
    pub(crate) fn begin(
        client: Asker<'_>,
        dst: SocketAddr,
        listener: &TcpListener,
    ) -> Result<Self> {
        let what = format!("{} at {dst}", client.name);
        let client = client.netns.run(|| Ok(TcpStream::connect_timeout(&dst, PATIENCE)?));
        let client = client.with_context(|| what.clone())?;
        let (endpoint, _) = listener.accept().context("the connection at its endpoint")?;
        let mut talk = Self { what, client, endpoint };
        talk.go_on()?;
        Ok(talk)
    }

    /// A byte there and back.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        let Self { client, endpoint, what } = self;
        for end in [&*client, endpoint] {
            end.set_read_timeout(Some(PATIENCE))?;
        }
        let mut byte = [0];
        let there = client.write_all(b"?").and_then(|()| endpoint.read_exact(&mut byte));
        let back = there.and_then(|()| endpoint.write_all(b"!"));
        back.and_then(|()| client.read_exact(&mut byte)).with_context(|| what.clone())
    }

    /// Neither end hears anything for `time`.
    pub(crate) fn is_quiet_for(&self, time: Duration) -> Result<()> {
        for mut end in [&self.client, &self.endpoint] {
            end.set_read_timeout(Some(time))?;
            let heard = end.read(&mut [0]);
            let silence = heard.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
            ensure!(silence, "{}: an end heard {heard:?}", self.what);
        }
        Ok(())
    }

    /// Its ends, in the order client, endpoint.
    pub(crate) fn into_ends(self) -> [End; 2] {
        let Self { what, client, endpoint } = self;
        let of = |end, stream| End { what: format!("the {end} of {what}"), stream };
        [of("client", client), of("endpoint", endpoint)]
    }
}

/// One end of a connection.
pub(crate) struct End {
    what: String,
    stream: TcpStream,
}

impl End {
    /// Waits, on a thread of its own, until it is reset: in silence, or while it sends a byte now
    /// and then.
    pub(crate) fn await_reset(self, sends: bool) -> Awaited {
        Awaited(thread::spawn(move || {
            wait_for_reset(&self.stream, sends).with_context(|| self.what)
        }))
    }
}

/// A reset that is waited for.
pub(crate) struct Awaited(JoinHandle<Result<Instant>>);

impl Awaited {
    /// When it came.
    pub(crate) fn came(self) -> Result<Instant> {
        self.0.join().map_err(|_| anyhow!("the thread of an end panicked"))?
    }
}

fn wait_for_reset(mut end: &TcpStream, sends: bool) -> Result<Instant> {
    end.set_read_timeout(Some(if sends { PAUSE } else { SOON }))?;
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        let sent = if sends { end.write_all(b".") } else { Ok(()) };
        match sent.and_then(|()| end.read(&mut [0])) {
            Ok(0) => bail!("closed in order"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Instant::now()),
            Err(error) => bail!("{error}"),
        }
    }
    bail!("no reset within {SOON:?}")
}

/// Listens as an endpoint does, in a pod that serves nothing else.
pub(crate) fn listen(world: &World, pod: &str, family: Family) -> Result<TcpListener> {
    let pod = world.pod(pod)?;
    let at = pod.ip.socket(family, PORT);
    pod.netns()?.run(|| TcpListener::bind(at).with_context(|| format!("listen at {at}")))
}
