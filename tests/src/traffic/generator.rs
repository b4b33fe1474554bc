//! What makes a load of connections: so many, so many at a time, so many a second, for so long.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    sync::Mutex,
    task::{JoinSet, LocalSet},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{block_on, report::Report};

/// How many connections, and when.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How many in all; `u64::MAX` until stopped.
    pub connections: u64,
    /// How many at a time.
    pub concurrency: usize,
    /// New ones a second, at most; none for as many as go.
    pub rate: Option<u32>,
    /// When no new one begins any more; none for never.
    pub duration: Option<Duration>,
}

/// What a running load and its starter share.
#[derive(Default, Debug)]
pub struct Control {
    stop: AtomicBool,
    ended: AtomicU64,
}

impl Control {
    /// Lets no further connection begin.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How many connections have ended, well or not.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Schedule {
    /// Makes connections on this thread with `connection`, which gets each one's number and counts
    /// what it sees; an error that it returns is counted too.
    ///
    /// # Errors
    /// There is no runtime to be had.
    pub fn run<C>(&self, control: &Arc<Control>, connection: C) -> Result<Report>
    where
        C: AsyncFn(u64, &mut Report) -> Result<()> + 'static,
    {
        block_on(LocalSet::new().run_until(async {
            let shared = Rc::new(Shared {
                schedule: *self,
                until: self.duration.map(|duration| Instant::now() + duration),
                pace: self.rate.map(|rate| Mutex::new(pace(rate))),
                control: control.clone(),
                started: AtomicU64::new(0),
                connection,
            });
            let mut workers = JoinSet::new();
            (0..self.concurrency).for_each(|_| drop(workers.spawn_local(work(shared.clone()))));
            let mut report = Report::default();
            while let Some(part) = workers.join_next().await {
                report.merge(part.context("a load worker")?);
            }
            Ok(report.finished())
        }))
    }
}

struct Shared<C> {
    schedule: Schedule,
    until: Option<Instant>,
    pace: Option<Mutex<Interval>>,
    control: Arc<Control>,
    started: AtomicU64,
    connection: C,
}

impl<C> Shared<C> {
    /// The number of the connection that a worker may open, once its time has come.
    async fn next(&self) -> Option<u64> {
        if let Some(pace) = &self.pace {
            pace.lock().await.tick().await;
        }
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        let goes_on = in_time && !self.control.stop.load(Ordering::Relaxed);
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        (goes_on && number < self.schedule.connections).then_some(number)
    }
}

fn pace(rate: u32) -> Interval {
    let mut interval = interval(Duration::from_secs(1) / rate.max(1));
    interval.set_missed_tick_behavior(MissedTickBehavior::Burst);
    interval
}

async fn work<C: AsyncFn(u64, &mut Report) -> Result<()>>(shared: Rc<Shared<C>>) -> Report {
    let mut report = Report::default();
    while let Some(number) = shared.next().await {
        if let Err(error) = (shared.connection)(number, &mut report).await {
            report.failed(&error);
        }
        shared.control.ended.fetch_add(1, Ordering::Relaxed);
    }
    report
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const ALL: Schedule = Schedule { connections: 100, concurrency: 4, rate: None, duration: None };

    async fn odd_ones_fail(number: u64, report: &mut Report) -> Result<()> {
        if number % 2 == 1 {
            bail!("odd");
        }
        report.answered(Duration::from_millis(1));
        Ok(())
    }

    #[test]
    fn every_connection_is_made_once_and_counted() {
        let control = Arc::default();
        let report = ALL.run(&control, odd_ones_fail).unwrap();
        assert_eq!((report.answered, report.failures(), control.ended()), (50, 50, 100));
    }

    #[test]
    fn a_load_ends_in_time() {
        let schedule = Schedule {
            connections: u64::MAX,
            rate: Some(1_000),
            duration: Some(Duration::from_millis(50)),
            ..ALL
        };
        let report = schedule.run(&Arc::default(), odd_ones_fail).unwrap();
        // The first of each interval comes at once; a busy machine makes fewer.
        assert!((1..=27).contains(&report.answered), "{}", report.answered);
    }
}
