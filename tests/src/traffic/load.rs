//! A load of connections to the lab's server, each checked.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result, anyhow};

use super::{
    generator::{Control, Schedule},
    http::Connection,
    report::Report,
    udp,
};
use crate::lab::{Netns, SOON, wait_for};

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Whom to ask.
    pub dst: SocketAddr,
    /// UDP sockets with one question a request, instead of HTTP.
    pub udp: bool,
    /// How many connections in all; `u64::MAX` until stopped.
    pub connections: u64,
    /// How many at a time.
    pub concurrency: usize,
    /// Requests on each connection.
    pub requests: u32,
    /// New connections a second, at most; none for as many as go.
    pub rate: Option<u32>,
    /// The source of the first connection; each further one takes the next port. None leaves the
    /// choice to the kernel, which slows down as its ports wait out their last connection.
    pub source: Option<SocketAddr>,
}

impl Load {
    /// `connections` HTTP connections with one request each, 16 at a time.
    pub fn http(dst: SocketAddr, connections: u64) -> Self {
        Self {
            dst,
            udp: false,
            connections,
            concurrency: 16,
            requests: 1,
            rate: None,
            source: None,
        }
    }

    /// HTTP connections of `requests` requests each, four at a time, until stopped.
    pub fn until_stopped(dst: SocketAddr, requests: u32) -> Self {
        Self { concurrency: 4, requests, ..Self::http(dst, u64::MAX) }
    }

    /// Generates it on this thread.
    ///
    /// # Errors
    /// There is no runtime to be had. What fails on the way is in the report.
    pub fn run(&self) -> Result<Report> {
        self.run_until(&Arc::default())
    }

    /// Starts it inside a namespace, on a thread of its own.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn start(self, netns: &Netns) -> Result<Running> {
        let control = Arc::<Control>::default();
        let shared = control.clone();
        let thread = netns.run(|| Ok(thread::spawn(move || self.run_until(&shared))))?;
        Ok(Running { control, thread })
    }

    fn source_of(&self, number: u64) -> Option<SocketAddr> {
        let source = self.source?;
        let above = u64::from(u16::MAX - source.port()) + 1;
        let port = u64::from(source.port()) + number % above;
        Some((source.ip(), u16::try_from(port).unwrap_or(source.port())).into())
    }

    fn run_until(self, control: &Arc<Control>) -> Result<Report> {
        let schedule = Schedule {
            connections: self.connections,
            concurrency: self.concurrency,
            rate: self.rate,
            duration: None,
        };
        schedule.run(control, async move |number, report: &mut Report| {
            let source = self.source_of(number);
            if self.udp {
                datagrams(&self, source, report).await
            } else {
                connection(&self, source, report).await
            }
        })
    }
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    control: Arc<Control>,
    thread: JoinHandle<Result<Report>>,
}

impl Running {
    /// How many connections have ended, well or not.
    pub fn ended(&self) -> u64 {
        self.control.ended()
    }

    /// Waits until `more` further connections have ended, well or not.
    ///
    /// # Errors
    /// The load stands still.
    pub fn wait_for_more(&self, more: u64) -> Result<()> {
        let goal = self.control.ended() + more;
        wait_for("the load to go on", 4 * SOON, || (self.control.ended() >= goal).then_some(()))
    }

    /// Lets the running connections end and gives the report.
    ///
    /// # Errors
    /// The generator itself failed.
    pub fn stop(self) -> Result<Report> {
        self.control.stop();
        self.thread.join().map_err(|_| anyhow!("the load generator panicked"))?
    }
}

async fn connection(load: &Load, source: Option<SocketAddr>, report: &mut Report) -> Result<()> {
    let mut start = Instant::now();
    let mut connection = Connection::open(load.dst, source).await?;
    for i in 0..load.requests {
        let answer = connection.who().await.with_context(|| format!("request {}", i + 1))?;
        report.answered(start.elapsed());
        start = Instant::now();
        if i == 0 {
            report.connected(answer.name);
        }
    }
    Ok(())
}

async fn datagrams(load: &Load, source: Option<SocketAddr>, report: &mut Report) -> Result<()> {
    let load = *load;
    let asked = tokio::task::spawn_blocking(move || {
        let mut client = udp::Client::new(load.dst, source)?;
        let mut answers = Vec::new();
        for _ in 0..load.requests {
            let start = Instant::now();
            answers.push((client.ask(udp::SMALLEST)?, start.elapsed()));
        }
        Ok::<_, anyhow::Error>(answers)
    });
    let answers = asked.await.context("a UDP worker")??;
    for (i, (name, taken)) in answers.into_iter().enumerate() {
        report.answered(taken);
        if i == 0 {
            report.connected(name);
        }
    }
    Ok(())
}
