//! A folder of manifests on a real file system: whatever way its files change, the changes arrive.
#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use svclb::{
    snapshot::Change,
    source::{
        Batch,
        manifests::{InUse, Manifests, Ranges, watch::Options},
    },
};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

const DEADLINE: Duration = Duration::from_secs(20);

/// A folder that is being followed.
struct Followed {
    manifests: Manifests,
    services: Vec<String>,
    problems: Vec<String>,
    listed: bool,
}

impl Followed {
    fn start(folder: &Path) -> Self {
        let options = Options {
            folder: folder.to_owned(),
            ranges: Ranges::default(),
            in_use: InUse::default(),
        };
        let manifests = Manifests::start(options).unwrap();
        Self { manifests, services: Vec::new(), problems: Vec::new(), listed: false }
    }

    /// Waits until `condition` holds after some batch.
    async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            let batch = timeout_at(deadline, self.manifests.next()).await;
            let batch = batch.unwrap_or_else(|_| {
                panic!("{what}: {:?}, problems {:?}", self.services, self.problems)
            });
            let (_noticed, batch) = batch.unwrap();
            self.take(batch);
        }
    }

    async fn until_services(&mut self, services: &[&str]) {
        self.until(&format!("services {services:?}"), |seen| seen.services == services).await;
    }

    fn take(&mut self, batch: Batch) {
        self.problems.extend(batch.problems.iter().map(ToString::to_string));
        for change in batch.changes {
            match change {
                Change::Service(key, Some(service)) => {
                    self.services.retain(|known| !known.starts_with(&format!("{} ", key.name)));
                    self.services.push(format!("{} {}", key.name, service.cluster_ips[0]));
                    self.services.sort();
                }
                Change::Service(key, None) => {
                    self.services.retain(|known| !known.starts_with(&format!("{} ", key.name)));
                }
                Change::Listed => self.listed = true,
                Change::Slice(..) | Change::Node(..) | Change::ServiceCidr(..) => {}
            }
        }
    }
}

fn service(name: &str, last: u8) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: 10.96.0.{last}}}\n"
    )
}

#[tokio::test]
async fn files_that_are_written_replaced_and_removed() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.yaml"), service("a", 1)).unwrap();
    fs::write(at("b.yml"), service("b", 2)).unwrap();
    fs::write(at("c.json"), service("c", 3)).unwrap();
    fs::write(at(".d.yaml"), service("d", 4)).unwrap();
    fs::create_dir(at("e.yaml")).unwrap();
    let mut followed = Followed::start(folder.path());
    followed.until("listed", |seen| seen.listed).await;
    assert_eq!(followed.services, ["a 10.96.0.1", "b 10.96.0.2"]);

    // In place, then as editors do it.
    fs::write(at("a.yaml"), service("a", 5)).unwrap();
    followed.until_services(&["a 10.96.0.5", "b 10.96.0.2"]).await;
    fs::write(at("a.yaml~"), service("a", 6)).unwrap();
    fs::rename(at("a.yaml~"), at("a.yaml")).unwrap();
    followed.until_services(&["a 10.96.0.6", "b 10.96.0.2"]).await;
    fs::remove_file(at("b.yml")).unwrap();
    followed.until_services(&["a 10.96.0.6"]).await;
    assert_eq!(followed.problems, [""; 0]);
}

#[tokio::test]
async fn a_folder_that_comes_later_and_goes_and_comes_again() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("deep/manifests");
    let mut followed = Followed::start(&folder);
    followed.until("a complaint", |seen| !seen.problems.is_empty()).await;
    assert!(!followed.listed, "a folder that is not there says nothing about the cluster");

    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.yaml"), service("a", 1)).unwrap();
    followed.until_services(&["a 10.96.0.1"]).await;
    assert!(followed.listed);

    let complaints = followed.problems.len();
    fs::rename(&folder, parent.path().join("away")).unwrap();
    followed.until("another complaint", |seen| seen.problems.len() > complaints).await;
    assert_eq!(followed.services, ["a 10.96.0.1"], "the last known state stays");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b.yaml"), service("b", 2)).unwrap();
    followed.until_services(&["b 10.96.0.2"]).await;
}

/// A mounted ConfigMap: files link to `..data/`, which links to a folder that is swapped.
#[tokio::test]
async fn symbolic_links_that_are_swapped() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str, last: u8| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("a.yaml"), service("a", last)).unwrap();
    };
    version("..1", 1);
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.yaml", at("a.yaml")).unwrap();
    let mut followed = Followed::start(folder.path());
    followed.until_services(&["a 10.96.0.1"]).await;

    version("..2", 2);
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    followed.until_services(&["a 10.96.0.2"]).await;
    // The file that the link leads to now changes where it is.
    fs::write(at("..2/a.yaml"), service("a", 3)).unwrap();
    followed.until_services(&["a 10.96.0.3"]).await;
    assert_eq!(followed.problems, [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_itself_a_link() {
    let parent = TempDir::new().unwrap();
    let at = |name: &str| parent.path().join(name);
    for (name, last) in [("one", 1), ("two", 2)] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("a.yaml"), service("a", last)).unwrap();
    }
    symlink("one", at("current")).unwrap();
    let mut followed = Followed::start(&at("current"));
    followed.until_services(&["a 10.96.0.1"]).await;
    symlink("two", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    followed.until_services(&["a 10.96.0.2"]).await;
}

#[tokio::test]
async fn dropping_it_ends_its_thread() {
    let folder = TempDir::new().unwrap();
    for round in 0..20_u8 {
        let followed = Followed::start(folder.path());
        // Some of them while the thread is busy.
        fs::write(folder.path().join("a.yaml"), service("a", round)).unwrap();
        drop(followed);
    }
}
