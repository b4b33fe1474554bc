//! From touched Services to written maps, and from ended flows to freed entries.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Instant,
};

use super::{
    Engine, Outcome,
    execute::{Progress, Written, key, problem, report},
    unserved,
};
use crate::{
    desired::{DesiredPort, desired},
    plan::{
        LiveFlows, Operation, Plan, Work,
        release::{Due, Retired},
    },
    problem::{Problem, Reason},
    snapshot::ObjectKey,
    writer::MapWriter,
};

/// What each Service should be, and what is wrong with it.
#[derive(Default)]
struct Wanted {
    work: Vec<Work>,
    problems: BTreeMap<ObjectKey, Vec<Problem>>,
}

impl<W: MapWriter> Engine<W> {
    /// Brings the maps up to date for the Services `touched` and those that were left unwritten.
    pub(super) fn reconcile(&mut self, mut touched: BTreeSet<ObjectKey>, now: Instant) -> Outcome {
        if !self.listed {
            return Outcome::default();
        }
        touched.append(&mut self.failed);
        touched.append(&mut self.starved);
        let ports = self.settle_claims(touched);
        for (key, ports) in &ports {
            self.local.replace(key, self.snapshot.service(key), ports);
        }
        let wanted = self.want(ports);
        let plan = self.ledger.plan(&wanted.work, &self.maps.kernel, now);
        let written = self.maps.execute(&plan, &mut self.ledger);
        self.account(wanted.problems, plan, written)
    }

    /// Every Service that is known or has anything in the maps.
    pub(super) fn touch_all(&self, touched: &mut BTreeSet<ObjectKey>) {
        touched.extend(self.snapshot.services().map(|(key, _)| key.clone()));
        touched.extend(self.ledger.services());
    }

    /// What the touched Services want, and those that win or lose a frontend by it.
    fn settle_claims(
        &mut self,
        touched: BTreeSet<ObjectKey>,
    ) -> BTreeMap<ObjectKey, Vec<DesiredPort>> {
        let mut queue: Vec<_> = touched.into_iter().collect();
        let mut ports = BTreeMap::new();
        while let Some(next) = queue.pop() {
            if ports.contains_key(&next) {
                continue;
            }
            let wanted = self.desired(&next);
            let claims = wanted.iter().flat_map(claims_of).collect();
            queue.extend(self.claims.replace(&next, claims).iter().map(key));
            ports.insert(next, wanted);
        }
        ports
    }

    fn desired(&self, key: &ObjectKey) -> Vec<DesiredPort> {
        let Some(service) = self.snapshot.service(key) else { return Vec::new() };
        let slices: Vec<_> = self.snapshot.slices(key).collect();
        desired(key, service, slices.into_iter(), &self.node)
    }

    /// The work to be done: without the frontends that went to others, and with an end for the
    /// service ports that are no longer there.
    fn want(&self, ports: BTreeMap<ObjectKey, Vec<DesiredPort>>) -> Wanted {
        let mut wanted = Wanted::default();
        for (key, mut ports) in ports {
            let present: HashSet<_> = ports.iter().map(|port| &port.owner).collect();
            let gone = self.ledger.owners(&key).filter(|owner| !present.contains(owner));
            wanted.work.extend(gone.cloned().map(Work::Remove));
            let service = self.snapshot.service(&key);
            let mut problems: Vec<_> = unserved::of_family(&key, service).collect();
            for port in &mut ports {
                self.drop_lost_frontends(port, &mut problems);
            }
            wanted.work.extend(ports.into_iter().map(Work::Set));
            wanted.problems.insert(key, problems);
        }
        wanted
    }

    fn drop_lost_frontends(&self, port: &mut DesiredPort, problems: &mut Vec<Problem>) {
        let DesiredPort { owner, frontends, .. } = port;
        frontends.retain(|frontend| match self.claims.winner(&frontend.address) {
            // Of all service ports at an address, one has the entry without a port.
            Some(winner) if winner != owner && frontend.address.is_vip() => false,
            Some(winner) if winner != owner => {
                let address = frontend.address;
                let message = format_args!("not served at {address}: it belongs to {winner}");
                let problem = problem(owner, message);
                problems.push(problem.concerning(key(owner), Reason::AddressInUse));
                false
            }
            _ => true,
        });
    }

    /// Remembers what is left to do and what is wrong.
    fn account(
        &mut self,
        mut problems: BTreeMap<ObjectKey, Vec<Problem>>,
        plan: Plan,
        written: Written,
    ) -> Outcome {
        let services = problems.len();
        for shortage in &plan.shortages {
            let key = key(&shortage.owner);
            problems.entry(key.clone()).or_default().push(problem(&shortage.owner, shortage));
            self.starved.insert(key);
        }
        for (owner, error) in written.errors {
            problems.entry(key(&owner)).or_default().push(problem(&owner, report(&error)));
        }
        self.failed = written.failed;
        let mut outcome =
            Outcome { services, operations: written.operations, problems: Vec::new() };
        outcome.problems.extend(written.error.map(|e| Problem::new("", "", report(&e))));
        for (key, now) in problems {
            let before = self.replace_problems(key, &now);
            outcome.problems.extend(now.into_iter().filter(|problem| !before.contains(problem)));
        }
        outcome
    }

    fn replace_problems(&mut self, key: ObjectKey, now: &[Problem]) -> Vec<Problem> {
        let before = if now.is_empty() {
            self.problems.remove(&key)
        } else {
            self.problems.insert(key, now.to_vec())
        };
        before.unwrap_or_default()
    }

    /// Frees what is due. Returns whether anything was freed.
    pub(super) fn release_due(
        &mut self,
        scanned: Instant,
        live: &LiveFlows,
        outcome: &mut Outcome,
    ) -> bool {
        let mut waiting = Vec::new();
        let mut freed = false;
        for retired in self.ledger.take_due(scanned, self.grace) {
            let done = match self.ledger.due(&retired, live, &self.maps.kernel) {
                Due::Stale => continue,
                Due::Free(operations) if !self.is_failed(&retired) => {
                    self.free(&retired, &operations, outcome)
                }
                Due::Free(_) | Due::Wait => false,
            };
            freed |= done;
            if !done {
                waiting.push(retired);
            }
        }
        self.ledger.put_back(waiting);
        freed
    }

    /// Frees one thing, if its operations can be carried out.
    fn free(&mut self, retired: &Retired, operations: &[Operation], outcome: &mut Outcome) -> bool {
        let Progress { done, written, error } = self.maps.write(operations);
        outcome.operations += written;
        let Some(error) = error else {
            self.ledger.free(retired);
            return true;
        };
        self.ledger.undo_unwatch(&operations[..=done]);
        let message = report(&error);
        outcome.problems.push(match retired.owner() {
            Some(owner) => problem(owner, message),
            None => Problem::new("", "", message),
        });
        false
    }

    /// Whether its service's removal is not completely written yet.
    fn is_failed(&self, retired: &Retired) -> bool {
        retired.owner().is_some_and(|owner| self.failed.contains(&key(owner)))
    }
}

fn claims_of(port: &DesiredPort) -> impl Iterator<Item = super::claims::Claim> {
    port.frontends.iter().map(|frontend| (frontend.address, (frontend.kind, port.owner.clone())))
}
