//! Whatever changes, fails or restarts: in the end the maps are those of a fresh start.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Instant,
};

use proptest::{collection::vec, option, prelude::*};
use svclb::{
    plan::{Limits, LiveFlows, kernel::KernelState},
    snapshot::{Change, EndpointSlice, Node, ObjectKey, Service},
    state::Engine,
    writer::{MapReader, memory::MemoryWriter},
};

use crate::{
    any::{addresses, node, service, slice},
    invariants::CheckedWriter,
    render,
    support::{GRACE, engine},
};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Service(usize, Option<Service>),
    Slice(usize, Option<EndpointSlice>),
    NodeAddresses(Vec<IpAddr>),
    /// What the cluster says about this node.
    Node(Option<Node>),
    /// The operation after so many fails.
    Fail(u64),
    /// Time passes; the backends with these ids (modulo 4) still have flows.
    Release(Vec<u32>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3, option::weighted(0.8, service())).prop_map(|(i, s)| Step::Service(i, s)),
        5 => (0_usize..4, option::weighted(0.8, slice())).prop_map(|(i, s)| Step::Slice(i, s)),
        1 => addresses(1..7).prop_map(Step::NodeAddresses),
        1 => option::weighted(0.8, node()).prop_map(Step::Node),
        3 => (0_u64..12).prop_map(Step::Fail),
        2 => vec(0_u32..4, 0..3).prop_map(Step::Release),
        1 => Just(Step::Restart),
    ]
}

/// An engine and the world around it.
struct World {
    engine: Engine<CheckedWriter>,
    now: Instant,
    limits: Limits,
    objects: HashMap<ObjectKey, Change>,
    own: HashSet<IpAddr>,
    /// Backends that have flows, with what they were when they were last looked at.
    live: LiveFlows,
}

impl World {
    fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            engine: engine(limits, MemoryWriter::default(), now),
            now,
            limits,
            objects: HashMap::new(),
            own: HashSet::new(),
            live: LiveFlows::default(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Service(i, service) => {
                let key = ObjectKey::new("ns", &format!("s{i}"));
                self.change(key.clone(), Change::Service(key, service));
            }
            Step::Slice(i, slice) => {
                let key = ObjectKey::new("ns", &format!("slice-{i}"));
                self.change(key.clone(), Change::Slice(key, slice));
            }
            Step::NodeAddresses(own) => {
                self.own = own.into_iter().collect();
                self.engine.set_node_addresses(self.own.clone(), self.now);
            }
            Step::Node(node) => {
                let name = ObjectKey::new("", "node1");
                self.change(name.clone(), Change::Node(name.name, node));
            }
            Step::Fail(skip) => self.engine.writer().maps.fail_after(skip),
            Step::Release(live) => self.release(&live),
            Step::Restart => self.restart(),
        }
    }

    fn change(&mut self, key: ObjectKey, change: Change) {
        self.objects.insert(key, change.clone());
        self.engine.apply([change], self.now);
    }

    fn release(&mut self, live: &[u32]) {
        let backends = &self.engine.kernel().backends;
        let live = backends.iter().filter(|(id, _)| live.contains(&(*id % 4)));
        self.live.backends = live.clone().map(|(id, _)| *id).collect();
        self.live.addresses = live.map(|(_, backend)| backend.address.ip()).collect();
        let before: Vec<_> =
            self.live.backends.iter().map(|id| (*id, backends[id].address)).collect();
        self.now += GRACE;
        self.engine.release(self.now, &self.live);
        for (id, address) in before {
            let kept = self.engine.kernel().backends.get(&id).map(|backend| backend.address);
            assert_eq!(kept, Some(address), "backend {id} has flows");
        }
    }

    fn restart(&mut self) {
        let maps = MemoryWriter::with_state(self.engine.writer().maps.read().unwrap());
        self.engine = engine(self.limits, maps, self.now);
        let own = self.own.clone();
        self.engine.set_node_addresses(own, self.now);
        let all = self.objects.values().cloned().chain([Change::Listed]);
        self.engine.apply(all, self.now);
        self.engine.writer().strict = true;
    }

    /// No failure from now on, and no flow.
    fn come_to_rest(&mut self) {
        self.engine.writer().maps.fail_after(u64::MAX);
        for _ in 0..4 {
            self.engine.apply([], self.now);
            self.now += GRACE;
            self.engine.release(self.now, &LiveFlows::default());
        }
        assert!(self.engine.is_settled());
        assert_eq!(self.engine.next_release(), None, "everything retired is released");
        let again = self.engine.apply([Change::Listed], self.now);
        assert_eq!(again.operations, 0);
    }

    /// The maps of an engine that has never known anything else.
    fn fresh(&self) -> KernelState {
        let mut fresh = engine(self.limits, MemoryWriter::default(), self.now);
        fresh.set_node_addresses(self.own.clone(), self.now);
        fresh.apply(self.objects.values().cloned().chain([Change::Listed]), self.now);
        fresh.kernel().clone()
    }
}

proptest! {
    #[test]
    fn every_history_ends_in_the_state_of_a_fresh_start(steps in vec(step(), 1..40)) {
        let mut world = World::new(Limits { services: 64, backends: 256, slots: 512 });
        world.engine.apply([Change::Listed], world.now);
        world.engine.writer().strict = true;
        for step in steps {
            world.take(step);
        }
        world.come_to_rest();
        let fresh = world.fresh();
        prop_assert_eq!(
            render::without_ids(world.engine.kernel()),
            render::without_ids(&fresh)
        );
        let maps = world.engine.writer().maps.state().clone();
        prop_assert_eq!(&maps.watched, &fresh.watched);
        prop_assert_eq!(render::with_ids(&maps), render::with_ids(world.engine.kernel()));
    }
}
