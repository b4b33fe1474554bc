//! Flow records, shared by all CPUs: a sequence lock each.

use core::{arch::asm, ptr::NonNull};

use super::kernel::{exchange, repeat};

use svclb_common::{
    address::Address,
    flow::{Facts, Flow, Role, tcp},
    outcome::Outcome,
};

/// How often a reader looks again while another CPU changes a record: a hundred microseconds or two.
/// Opening a flow takes one or two, but the CPU that does may be interrupted.
const PATIENCE: u32 = 65_536;

/// One flow record in the map.
pub struct Record<A> {
    number: u32,
    flow: NonNull<Flow<A>>,
}

impl<A> Clone for Record<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Record<A> {}

/// A record that this CPU owns until it unlocks it.
pub struct Locked<A> {
    record: Record<A>,
    generation: u64,
}

impl<A: Address> Record<A> {
    /// A record at a map's entry.
    #[inline(always)]
    pub fn new(number: u32, flow: *mut Flow<A>) -> Option<Self> {
        Some(Self { number, flow: NonNull::new(flow)? })
    }

    /// Its number.
    #[inline(always)]
    pub fn number(self) -> u32 {
        self.number
    }

    /// What `question` says of the record at a moment when nobody changes it. It is asked again if
    /// somebody began to meanwhile.
    ///
    /// # Errors
    /// `FlowBusy` if another CPU keeps changing the record, which takes it a few dozen instructions
    /// at a flow's beginning and end.
    #[inline(always)]
    pub fn ask<T>(self, question: impl Fn(&Flow<A>) -> T) -> Result<T, Outcome> {
        self.ask_once(&question).or_else(|_| self.ask_once(&question))
    }

    #[inline(always)]
    fn ask_once<T>(self, question: impl Fn(&Flow<A>) -> T) -> Result<T, Outcome> {
        let before = self.wait();
        barrier();
        // SAFETY: an entry of an array map stays valid while the program runs; what was read while
        // another CPU wrote is thrown away.
        let answer = question(unsafe { self.flow.as_ref() });
        barrier();
        let unchanged = before & 1 == 0 && self.generation() == before;
        if unchanged { Ok(answer) } else { Err(Outcome::FlowBusy) }
    }

    /// Waits a little for the record to be nobody's; its generation, odd if it is still somebody's.
    #[inline(always)]
    pub fn wait(self) -> u64 {
        let generation = self.generation();
        if generation & 1 == 0 {
            return generation;
        }
        let mut waiting = Waiting { record: self, generation };
        repeat(PATIENCE, &mut waiting, look_again::<A>);
        waiting.generation
    }

    /// What the record says while nobody owns it. It may be torn: whoever acts on it looks again
    /// under the lock.
    #[inline(always)]
    pub fn glance(self) -> Option<&'static Facts> {
        Some(&self.glance_all()?.facts)
    }

    /// The same with the addresses.
    #[inline(always)]
    pub fn glance_all(self) -> Option<&'static Flow<A>> {
        // SAFETY: as above.
        let flow = unsafe { self.flow.as_ref() };
        (self.generation() & 1 == 0).then_some(flow)
    }

    /// Takes the record, if no other CPU has it.
    #[inline(always)]
    pub fn try_lock(self) -> Option<Locked<A>> {
        let before = self.generation();
        let taken = before & 1 == 0 && self.exchange(before, before + 1);
        taken.then_some(Locked { record: self, generation: before + 1 })
    }

    /// Notes a packet of the flow: when, what, and where it came in.
    #[inline(always)]
    pub fn advance(self, seen: &Facts, role: Role, tcp_flags: u8, ifindex: u32, now_ns: u64) {
        const RESOLUTION_NS: u64 = 1_000_000_000;
        // SAFETY: as above. Each field has one writer at a time (a direction of the flow is mostly
        // on one CPU) and a lost update of a flag or a time is repaired by the next packet. The
        // stores are spared where nothing changes, for the sake of the other CPU's cache.
        unsafe {
            let facts = &raw mut (*self.flow.as_ptr()).facts;
            if seen.age_ns(now_ns) >= RESOLUTION_NS {
                (&raw mut (*facts).last_seen_ns).write_volatile(now_ns);
            }
            let (field, old, new) = if role.from_client() {
                let new = seen.after_client(tcp_flags);
                (&raw mut (*facts).from_client, seen.from_client, new)
            } else {
                let new = seen.after_backend(tcp_flags);
                (&raw mut (*facts).from_backend, seen.from_backend, new)
            };
            if new != old {
                field.write_volatile(new);
                // A change of state starts its own time-out.
                (&raw mut (*facts).last_seen_ns).write_volatile(now_ns);
            }
            if role == Role::Request && seen.ifindex != ifindex {
                (&raw mut (*facts).ifindex).write_volatile(ifindex);
            }
        }
    }

    /// Notes that the sender of a packet of a severed flow is told so: the other end has reset it.
    #[inline(always)]
    pub fn tell(self, seen: &Facts, sender: Role) {
        // SAFETY: as for `advance`.
        unsafe {
            let facts = &raw mut (*self.flow.as_ptr()).facts;
            if sender.from_client() {
                (&raw mut (*facts).from_backend).write_volatile(seen.from_backend | tcp::RST);
            } else {
                (&raw mut (*facts).from_client).write_volatile(seen.from_client | tcp::RST);
            }
        }
    }

    #[inline(always)]
    fn generation(self) -> u64 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.flow.as_ptr()).lock).read_volatile() }
    }

    #[inline(always)]
    fn exchange(self, old: u64, new: u64) -> bool {
        // SAFETY: the address is the record's first, eight-byte aligned field.
        unsafe { exchange(&raw mut (*self.flow.as_ptr()).lock, old, new) }
    }
}

impl<A: Address> Locked<A> {
    /// The lock that this CPU already has on `record`.
    #[inline(always)]
    pub fn resume(record: Record<A>) -> Self {
        Self { record, generation: record.generation() }
    }

    /// Its number.
    #[inline(always)]
    pub fn number(&self) -> u32 {
        self.record.number
    }

    /// The record, for its owner.
    #[inline(always)]
    pub fn flow(&mut self) -> &mut Flow<A> {
        // SAFETY: this CPU owns the record; readers take a copy and check the generation.
        unsafe { self.record.flow.as_mut() }
    }

    /// Gives the record back under a new generation.
    #[inline(always)]
    pub fn unlock(self) -> Record<A> {
        barrier();
        self.record.exchange(self.generation, self.generation + 1);
        self.record
    }
}

/// A reader that waits for a record.
struct Waiting<A> {
    record: Record<A>,
    generation: u64,
}

/// Looks at the record again; 1 ends the wait.
extern "C" fn look_again<A: Address>(_index: u32, waiting: *mut Waiting<A>) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let waiting = unsafe { &mut *waiting };
    waiting.generation = waiting.record.generation();
    i64::from(waiting.generation & 1 == 0)
}

/// Keeps the compiler from moving memory accesses across. The processor's order is the exchange's.
#[inline(always)]
fn barrier() {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}
