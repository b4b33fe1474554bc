//! One watch: lists, follows, and comes back after an error.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt;
use kube::{
    Api, Client, Error,
    core::Status,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, InitialListStrategy, watcher},
    },
};
use tokio::sync::mpsc;

use super::{known::Known, object::Raw, resource::Resource, watch::Watch};
use crate::source::Batch;

/// How soon, and then how seldom, a watch that fails begins again. Jitter adds up to as much again,
/// because all nodes lose an API server at the same time.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How often a server that does not have the resource is asked again: a newer one may take its place.
const ABSENT: Duration = Duration::from_secs(300);

/// What an event has brought.
#[derive(Debug)]
pub(super) struct Item {
    /// When it came.
    pub(super) at: Instant,
    pub(super) batch: Batch,
    /// The resource of which everything has been told now, or for which nobody is to wait.
    pub(super) listed: Option<Resource>,
}

/// Follows one resource.
pub(super) struct Follower {
    resource: Resource,
    api: Api<Raw>,
    config: watcher::Config,
    known: Known,
    watch: Arc<Watch>,
    items: mpsc::Sender<Item>,
}

impl Follower {
    pub(super) fn new(
        resource: Resource,
        node: &str,
        client: Client,
        watch: Arc<Watch>,
        items: mpsc::Sender<Item>,
    ) -> Self {
        Self {
            resource,
            api: Api::all_with(client, &resource.api()),
            config: resource.selected(node).streaming_lists(),
            known: Known::new(resource.kind()),
            watch,
            items,
        }
    }

    /// Runs until nobody reads any more.
    pub(super) async fn run(mut self) {
        loop {
            match self.follow().await {
                End::NobodyReads => return,
                End::StreamsNoLists => {
                    self.config.initial_list_strategy = InitialListStrategy::ListWatch;
                }
                End::Absent => {
                    self.watch.absent();
                    if self.tell_nothing().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(ABSENT).await;
                }
            }
        }
    }

    async fn follow(&mut self) -> End {
        let events = watcher(self.api.clone(), self.config.clone()).backoff(Retry::new());
        let mut events = pin!(events);
        // A stream that comes back after every error has no end.
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if self.tell(event).await.is_err() {
                        return End::NobodyReads;
                    }
                }
                Err(error) if self.lists_are_not_streamed(&error) => return End::StreamsNoLists,
                Err(error) if self.resource.is_optional() && is_unknown(&error) => {
                    return End::Absent;
                }
                Err(error) if is_expired(&error) => self.watch.expired(),
                Err(error) => {
                    self.watch.failed(&error);
                    if self.resource.is_optional() && self.tell_nothing().await.is_err() {
                        return End::NobodyReads;
                    }
                }
            }
        }
        End::NobodyReads
    }

    async fn tell(&mut self, event: Event<Raw>) -> Result<(), mpsc::error::SendError<Item>> {
        let at = Instant::now();
        let listed = matches!(event, Event::InitDone).then_some(self.resource);
        if listed.is_some() {
            self.watch.listed();
        }
        let batch = self.known.take(event);
        if batch.is_empty() && listed.is_none() {
            return Ok(());
        }
        self.items.send(Item { at, batch, listed }).await
    }

    /// There is nothing of the resource for now: nobody needs to wait for it.
    async fn tell_nothing(&self) -> Result<(), mpsc::error::SendError<Item>> {
        let (at, listed) = (Instant::now(), Some(self.resource));
        self.items.send(Item { at, batch: Batch::default(), listed }).await
    }

    /// Whether the server refuses to send a list as a stream (before Kubernetes 1.34, unless its
    /// feature WatchList is on).
    fn lists_are_not_streamed(&self, error: &watcher::Error) -> bool {
        let streams = self.config.initial_list_strategy == InitialListStrategy::StreamingList;
        streams
            && match error {
                watcher::Error::WatchStartFailed(Error::Api(status)) => refuses_streaming(status),
                _ => false,
            }
    }
}

/// Whether the server has forgotten where the watch was, so that it begins with a new list.
fn is_expired(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchError(status) if status.code == 410)
}

/// Whether the server does not know the resource at all.
fn is_unknown(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(Error::Api(status))
        | WatchStartFailed(Error::Api(status))
        | WatchFailed(Error::Api(status)) => status.code == 404,
        WatchError(status) => status.code == 404,
        _ => false,
    }
}

fn refuses_streaming(status: &Status) -> bool {
    matches!(status.code, 400 | 422) && status.message.contains("sendInitialEvents")
}

/// The pauses after errors; the first event ends them.
struct Retry(ExponentialBackoff);

impl Retry {
    fn new() -> Self {
        let (first, longest) = RETRY;
        let pauses = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
        Self(pauses.with_jitter().without_max_times().build())
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// Why a watch has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    NobodyReads,
    StreamsNoLists,
    /// The server does not have the resource.
    Absent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_that_the_server_does_not_have_is_told_from_one_that_it_refuses() {
        let error = |code| {
            let status = Status { code, ..Status::default() };
            watcher::Error::InitialListFailed(Error::Api(Box::new(status)))
        };
        assert!(is_unknown(&error(404)));
        assert!(!is_unknown(&error(403)) && !is_unknown(&error(503)));
        assert!(!is_unknown(&watcher::Error::NoResourceVersion));
    }

    #[test]
    fn only_a_refusal_of_streaming_is_one() {
        let status =
            |code, message: &str| Status { code, message: message.to_owned(), ..Status::default() };
        let refusal = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: \
                       sendInitialEvents is forbidden for watch unless the WatchList feature gate \
                       is enabled";
        assert!(refuses_streaming(&status(422, refusal)));
        assert!(!refuses_streaming(&status(403, "services is forbidden")));
        assert!(!refuses_streaming(&status(400, "unable to parse requirement")));
    }
}
