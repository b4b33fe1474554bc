//! The kernel's helpers that have nothing to do with the packet's bytes.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    Global,
    bindings::{
        bpf_fib_lookup, bpf_fib_lookup__bindgen_ty_1, bpf_fib_lookup__bindgen_ty_2,
        bpf_fib_lookup__bindgen_ty_3, bpf_fib_lookup__bindgen_ty_4, bpf_fib_lookup__bindgen_ty_5,
        bpf_sock_tuple,
    },
    helpers::generated as helpers,
};
use svclb_common::{
    address::Address,
    tuple::{TCP, Tuple, UDP},
};

use super::Skb;

/// `CLOCK_MONOTONIC` at the last timer tick, nanoseconds.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: no arguments.
    unsafe { helpers::bpf_ktime_get_coarse_ns() }
}

/// The CPU that the program runs on.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: no arguments.
    unsafe { helpers::bpf_get_smp_processor_id() }
}

/// A random number.
#[inline(always)]
pub fn random() -> u32 {
    // SAFETY: no arguments.
    unsafe { helpers::bpf_get_prandom_u32() }
}

/// Adds to a counter that somebody may interrupt the program to add to.
#[inline(always)]
pub fn add(counter: &mut u64, number: u64) {
    // SAFETY: the reference is to eight aligned bytes. core's atomics are not there for this target:
    // BPF has them, rustc says it has not.
    unsafe {
        asm!(
            "lock *(u64 *)({at} + 0) += {number}",
            at = in(reg) core::ptr::from_mut(counter),
            number = in(reg) number,
        );
    }
}

/// A global of many fields where it lies: [`Global::load`] would copy all of it to the stack.
#[inline(always)]
pub fn in_place<T: Copy>(global: &'static Global<T>) -> &'static T {
    let mut at = core::ptr::from_ref(global).cast::<T>();
    // SAFETY: a `Global` is nothing but its value, which the agent has set before the program was
    // loaded. No instruction is added; but the compiler no longer knows whose address it is, and so
    // cannot take the initial value for the value.
    unsafe {
        asm!("/* {at} */", at = inout(reg) at, options(pure, readonly, nostack, preserves_flags));
        &*at
    }
}

/// `len` if it is between 1 and `most`.
///
/// A helper takes a length only where the kernel's verifier knows that it is not 0. From a comparison
/// with 0 it learns that since Linux 6.8; before, it must see a sum.
#[inline(always)]
pub(super) fn length(len: u32, most: u32) -> Option<u32> {
    let mut less = u64::from(len);
    // SAFETY: a subtraction in a register. The compiler does not know of it, and leaves the sum.
    unsafe {
        asm!("{n} += -1", n = inout(reg) less, options(pure, nomem, nostack, preserves_flags));
    }
    (less < u64::from(most)).then(|| (less + 1) as u32)
}

/// Adds to a number that all CPUs share; what it was before.
#[inline(always)]
pub fn fetch_add(shared: &mut u64, number: u64) -> u64 {
    let mut result = number;
    // SAFETY: as in `add`.
    unsafe {
        asm!(
            "{number} = atomic_fetch_add((u64 *)({at} + 0), {number})",
            at = in(reg) core::ptr::from_mut(shared),
            number = inout(reg) result,
        );
    }
    result
}

/// Puts `new` at an address where `old` is; whether that was so. Orders all memory accesses.
///
/// # Safety
/// The address must be eight aligned bytes of a map.
#[inline(always)]
pub(super) unsafe fn exchange(at: *mut u64, old: u64, new: u64) -> bool {
    let mut result = old;
    // SAFETY: the caller's promise. core's atomics are not there for this target: see `add`.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {new})",
            at = in(reg) at,
            new = in(reg) new,
            inlateout("r0") result,
        );
    }
    result == old
}

/// `value`, of which the kernel's verifier knows nothing from here on.
///
/// What a loop's body changes must begin so. Before Linux 6.7, the verifier follows the body once,
/// from the values that it begins with, and takes out of the program what that one round does not
/// reach. (Since then it goes on until nothing new comes: "bpf: verify callbacks as if they are
/// called unknown number of times".) One round from any value stands for all.
#[inline(always)]
pub fn hidden(value: u64) -> u64 {
    // SAFETY: no arguments.
    let noise = unsafe { helpers::bpf_jiffies64() };
    let mut zero = noise;
    // SAFETY: an operation of two registers. Neither the compiler nor the verifiers of those kernels
    // know that they have the same value.
    unsafe {
        asm!(
            "{zero} ^= {noise}",
            zero = inout(reg) zero,
            noise = in(reg) noise,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    value ^ zero
}

/// Calls `body` with 0, 1, ... until it returns 1 or `count` is reached. What `body` changes in
/// `context` and asks for in a later round must be [`hidden`] before.
#[inline(always)]
pub fn repeat<C>(count: u32, context: &mut C, body: extern "C" fn(u32, *mut C) -> i64) {
    // SAFETY: the kernel calls `body` with the index and the context given here.
    unsafe {
        helpers::bpf_loop(count, body as *mut c_void, core::ptr::from_mut(context).cast(), 0)
    };
}

/// Where a packet would leave, and to which MAC address.
pub struct Neighbour {
    /// It would leave through the device that was asked about.
    pub on_bridge: bool,
    /// The next hop's MAC address.
    pub mac: [u8; 6],
}

/// Asks the kernel's routing where a packet that came in through `bridge` would go; `None` while
/// the next hop's MAC address is not resolved.
#[inline(always)]
pub fn neighbour<A: Address>(skb: &Skb, tuple: &Tuple<A>, bridge: u32) -> Option<Neighbour> {
    let mut params = bpf_fib_lookup {
        family: family::<A>() as u8,
        l4_protocol: tuple.protocol,
        sport: 0,
        dport: 0,
        __bindgen_anon_1: bpf_fib_lookup__bindgen_ty_1 { tot_len: 0 },
        ifindex: bridge,
        __bindgen_anon_2: bpf_fib_lookup__bindgen_ty_2 { flowinfo: 0 },
        __bindgen_anon_3: bpf_fib_lookup__bindgen_ty_3 { ipv6_src: words(&tuple.src) },
        __bindgen_anon_4: bpf_fib_lookup__bindgen_ty_4 { ipv6_dst: words(&tuple.dst) },
        __bindgen_anon_5: bpf_fib_lookup__bindgen_ty_5 { tbid: 0 },
        smac: [0; 6],
        dmac: [0; 6],
    };
    // SAFETY: the parameters are the kernel's struct, of the length given.
    let result = unsafe {
        helpers::bpf_fib_lookup(
            skb.as_ptr(),
            &raw mut params,
            size_of::<bpf_fib_lookup>() as i32,
            0,
        )
    };
    (result == 0).then_some(Neighbour { on_bridge: params.ifindex == bridge, mac: params.dmac })
}

/// Whether a socket of the node itself already uses the connection that `answer` (an answer as
/// received) would belong to. The kernel lets nobody ask for SCTP's.
#[inline(always)]
pub fn has_socket<A: Address>(skb: *mut c_void, answer: &Tuple<A>) -> bool {
    match answer.protocol {
        TCP => has_connection(skb, answer),
        UDP => has_peer(skb, answer),
        // The kernel looks SCTP's up for nobody.
        _ => false,
    }
}

/// Whether a TCP connection of the node itself, be it in its last moments, has the packet `received`.
#[inline(always)]
pub fn has_connection<A: Address>(skb: *mut c_void, received: &Tuple<A>) -> bool {
    /// `TCP_LISTEN` of the kernel's TCP states.
    const LISTEN: u32 = 10;
    let mut ends = SocketEnds::new(received);
    // SAFETY: the tuple is the kernel's struct in the form of the length given; the socket is
    // released on every path.
    unsafe {
        let (tuple, len) = (ends.as_ptr(), SocketEnds::len::<A>());
        // (Another helper than `bpf_sk_lookup_tcp` in that it finds TIME_WAIT as well.)
        let socket = helpers::bpf_skc_lookup_tcp(skb, tuple, len, CURRENT_NETNS, 0);
        if socket.is_null() {
            return false;
        }
        let connected = (*socket).state != LISTEN;
        helpers::bpf_sk_release(socket.cast());
        connected
    }
}

/// The same for a connected UDP socket.
#[inline(always)]
fn has_peer<A: Address>(skb: *mut c_void, answer: &Tuple<A>) -> bool {
    /// `TCP_ESTABLISHED`, which connected datagram sockets have as well.
    const CONNECTED: u32 = 1;
    let mut ends = SocketEnds::new(answer);
    // SAFETY: as above.
    unsafe {
        let (tuple, len) = (ends.as_ptr(), SocketEnds::len::<A>());
        let socket = helpers::bpf_sk_lookup_udp(skb, tuple, len, CURRENT_NETNS, 0);
        if socket.is_null() {
            return false;
        }
        let connected = (*socket).state == CONNECTED;
        helpers::bpf_sk_release(socket.cast());
        connected
    }
}

/// The network namespace that the packet is in.
const CURRENT_NETNS: u64 = -1_i64 as u64;

/// The kernel's `bpf_sock_tuple`: addresses and ports in network order, without gaps.
#[repr(C)]
struct SocketEnds {
    words: [u32; 9],
}

impl SocketEnds {
    #[inline(always)]
    fn new<A: Address>(tuple: &Tuple<A>) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (words(&tuple.src), words(&tuple.dst));
        let ports = u32::from(tuple.sport.to_be()) | (u32::from(tuple.dport.to_be()) << 16);
        let words = if A::IS_V6 {
            [a, b, c, d, e, f, g, h, ports]
        } else {
            [a, e, ports, 0, 0, 0, 0, 0, 0]
        };
        Self { words }
    }

    #[inline(always)]
    fn as_ptr(&mut self) -> *mut bpf_sock_tuple {
        (&raw mut self.words).cast()
    }

    #[inline(always)]
    fn len<A: Address>() -> u32 {
        if A::IS_V6 { 36 } else { 12 }
    }
}

#[inline(always)]
fn words<A: Address>(address: &A) -> [u32; 4] {
    [address.word(0), address.word(1), address.word(2), address.word(3)]
}

#[inline(always)]
fn family<A: Address>() -> u32 {
    const AF_INET: u32 = 2;
    const AF_INET6: u32 = 10;
    if A::IS_V6 { AF_INET6 } else { AF_INET }
}
