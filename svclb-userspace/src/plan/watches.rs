//! How many users each watched address has.

use std::{collections::HashMap, net::IpAddr};

use svclb_common::filter::Interest;

use super::operation::Operation;

/// Counts users of addresses, so that each is watched and unwatched once.
#[derive(Debug, Default)]
pub(super) struct Watches {
    users: HashMap<IpAddr, [u32; 2]>,
    pending: Vec<(IpAddr, Interest)>,
}

impl Watches {
    /// One user more. The first leaves an operation among [`Watches::pending`].
    pub(super) fn add(&mut self, ip: IpAddr, interest: Interest) {
        let count = &mut self.users.entry(ip).or_default()[index(interest)];
        *count += 1;
        if *count == 1 {
            self.pending.push((ip, interest));
        }
    }

    /// Whether one user less leaves none.
    pub(super) fn is_last(&self, ip: IpAddr, interest: Interest) -> bool {
        self.users.get(&ip).is_some_and(|counts| counts[index(interest)] == 1)
    }

    /// One user less.
    pub(super) fn remove(&mut self, ip: IpAddr, interest: Interest) {
        let Some(counts) = self.users.get_mut(&ip) else { return };
        let count = &mut counts[index(interest)];
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.pending.retain(|pending| *pending != (ip, interest));
        }
        if *counts == [0, 0] {
            self.users.remove(&ip);
        }
    }

    /// The address may not be watched any more, but has users.
    pub(super) fn rewatch(&mut self, ip: IpAddr, interest: Interest) {
        if !self.pending.contains(&(ip, interest)) {
            self.pending.push((ip, interest));
        }
    }

    /// Whether [`Watches::pending`] is empty.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// The addresses that have users but are not watched yet.
    pub(super) fn pending(&self) -> Vec<Operation> {
        self.pending.iter().map(|(ip, interest)| Operation::Watch(*ip, *interest)).collect()
    }

    /// The first `done` of the pending addresses are watched now.
    pub(super) fn confirm(&mut self, done: usize) {
        self.pending.drain(..done);
    }
}

fn index(interest: Interest) -> usize {
    match interest {
        Interest::Frontend => 0,
        Interest::Backend => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_and_the_last_user_matter() {
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let mut watches = Watches::default();
        watches.add(ip, Interest::Frontend);
        watches.add(ip, Interest::Frontend);
        watches.add(ip, Interest::Backend);
        assert_eq!(
            watches.pending(),
            [Operation::Watch(ip, Interest::Frontend), Operation::Watch(ip, Interest::Backend)]
        );
        watches.confirm(1);
        assert!(!watches.is_last(ip, Interest::Frontend));
        watches.remove(ip, Interest::Frontend);
        assert!(watches.is_last(ip, Interest::Frontend));
        watches.remove(ip, Interest::Backend);
        assert!(watches.pending().is_empty(), "nobody needs what was pending");
        watches.remove(ip, Interest::Frontend);
        assert!(watches.users.is_empty());
    }
}
