//! The packet at a hook.

use core::ffi::c_void;

use aya_ebpf::{bindings::__sk_buff, helpers::generated as helpers, programs::TcContext};
use svclb_common::address::{V4, V6};

mod sealed {
    /// A header as it lies in a packet: `repr(C)`, no padding, every bit pattern a value.
    ///
    /// # Safety
    /// The type must be all of that.
    pub unsafe trait Header: Copy {}
}
pub use sealed::Header;

use crate::packet::headers;

// SAFETY: plain fields of fixed size, sizes asserted where they are defined.
unsafe impl Header for headers::Ipv4 {}
// SAFETY: as above.
unsafe impl Header for headers::Ipv6 {}
// SAFETY: as above.
unsafe impl Header for headers::Tcp {}
// SAFETY: as above.
unsafe impl Header for headers::Udp {}
// SAFETY: as above.
unsafe impl Header for headers::Sctp {}
// SAFETY: as above.
unsafe impl Header for headers::Extension {}
// SAFETY: as above.
unsafe impl Header for headers::Fragment {}
// SAFETY: as above.
unsafe impl Header for headers::Icmp {}
// SAFETY: as above.
unsafe impl Header for u16 {}
// SAFETY: as above.
unsafe impl Header for u32 {}
// SAFETY: as above.
unsafe impl Header for u8 {}
// SAFETY: as above.
unsafe impl Header for V4 {}
// SAFETY: as above.
unsafe impl Header for V6 {}

/// The hook in a note of [`Skb::note_rewritten`]: numbers that nobody else writes by chance.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum Note {
    /// The ingress hook.
    Ingress = 0x7376_6c69,
    /// The egress hook.
    Egress = 0x7376_6c65,
}

/// The packet at a hook. Offsets count from the network header.
#[derive(Clone, Copy)]
pub struct Skb {
    pub(super) skb: *mut __sk_buff,
    pub(super) link: u32,
}

impl Skb {
    /// The packet of a hook on a device with `link` bytes of link header.
    #[inline(always)]
    pub fn new(context: &TcContext, link: u32) -> Self {
        Self { skb: context.skb.skb, link }
    }

    /// EtherType in network order.
    #[inline(always)]
    pub fn protocol(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.skb).protocol }
    }

    /// Interface index of the device whose hook this is.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).ifindex }
    }

    /// Notes that this hook of this device has rewritten the packet, for a second program at the
    /// same hook (a filter that a link is about to replace): a rewritten tuple may mean another
    /// flow. The note lies in the scratch space that the kernel's layers reuse, so it does not
    /// outlive the hook for long.
    #[inline(always)]
    pub fn note_rewritten(&mut self, by: Note) {
        // SAFETY: as above.
        unsafe { (*self.skb).cb[0] = by as u32 ^ self.ifindex() };
    }

    /// Takes the note away, whosever it is.
    #[inline(always)]
    pub fn take_note(&mut self) -> u32 {
        // SAFETY: as above.
        unsafe { core::mem::replace(&mut (*self.skb).cb[0], 0) }
    }

    /// Puts it back.
    #[inline(always)]
    pub fn put_note(&mut self, note: u32) {
        // SAFETY: as above.
        unsafe { (*self.skb).cb[0] = note };
    }

    /// Whether [`Skb::note_rewritten`] was called at this hook of this device.
    #[inline(always)]
    pub fn is_rewritten(&self, by: Note) -> bool {
        // SAFETY: as above.
        unsafe { (*self.skb).cb[0] == by as u32 ^ self.ifindex() }
    }

    /// Length in bytes, from the network header on.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).len }.saturating_sub(self.link)
    }

    /// How many packets of the wire this is: more than one when the kernel has joined them.
    #[inline(always)]
    pub fn segments(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).gso_segs }.max(1)
    }

    /// Whether the kernel has joined several packets of the wire.
    #[inline(always)]
    pub fn is_joined(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.skb).gso_size != 0 }
    }

    /// Whether the link header can be written: the device has one.
    #[inline(always)]
    pub fn has_ethernet(&self) -> bool {
        self.link != 0
    }

    /// A header in the packet's linear part.
    #[inline(always)]
    pub fn header<T: Header>(&self, offset: u32) -> Option<&T> {
        // SAFETY: the bounds are checked as the verifier wants it. A BPF load needs no alignment
        // where the kernel says that unaligned access is efficient; elsewhere it refuses the
        // program. The borrow of self ends before any helper that moves the packet (&mut self).
        unsafe {
            let start = (*self.skb).data as usize + (self.link + offset) as usize;
            if start + size_of::<T>() > (*self.skb).data_end as usize {
                return None;
            }
            Some(&*(start as *const T))
        }
    }

    /// Makes the first `len` bytes linear where they are not.
    #[inline(always)]
    pub fn pull(&mut self, len: u32) {
        // SAFETY: the context is valid; a failure shows at the next `header`.
        unsafe { helpers::bpf_skb_pull_data(self.skb, self.link + len) };
    }

    /// Copies a header from anywhere in the packet.
    #[inline(always)]
    pub fn copy<T: Header + Default>(&self, offset: u32) -> Option<T> {
        let mut value = T::default();
        // SAFETY: the destination is `size_of::<T>()` writable bytes of plain data.
        let result = unsafe {
            helpers::bpf_skb_load_bytes(
                self.skb.cast(),
                self.link + offset,
                (&raw mut value).cast(),
                size_of::<T>() as u32,
            )
        };
        (result == 0).then_some(value)
    }

    /// Overwrites bytes of the packet; `flags` as of `bpf_skb_store_bytes`.
    #[inline(always)]
    pub fn store<T: Copy>(&mut self, offset: u32, value: &T, flags: u32) -> Result<(), ()> {
        self.store_at(self.link + offset, value, flags)
    }

    /// Overwrites the destination of the Ethernet header.
    #[inline(always)]
    pub fn store_mac(&mut self, mac: &[u8; 6]) -> Result<(), ()> {
        self.store_at(0, mac, 0)
    }

    /// That destination, if there is an Ethernet header.
    #[inline(always)]
    pub fn mac(&self) -> Option<[u8; 6]> {
        if !self.has_ethernet() {
            return None;
        }
        let mut mac = [0_u8; 6];
        // SAFETY: the destination is six writable bytes.
        let result =
            unsafe { helpers::bpf_skb_load_bytes(self.skb.cast(), 0, (&raw mut mac).cast(), 6) };
        (result == 0).then_some(mac)
    }

    /// As [`Skb::store`], counted from the link header.
    #[inline(always)]
    pub(super) fn store_at<T: Copy>(
        &mut self,
        offset: u32,
        value: &T,
        flags: u32,
    ) -> Result<(), ()> {
        let (from, len) = (core::ptr::from_ref(value).cast(), size_of::<T>() as u32);
        // SAFETY: the source is `len` readable bytes.
        let result =
            unsafe { helpers::bpf_skb_store_bytes(self.skb, offset, from, len, u64::from(flags)) };
        if result == 0 { Ok(()) } else { Err(()) }
    }

    /// Updates a layer-4 checksum by a difference; `flags` as of `bpf_l4_csum_replace`.
    #[inline(always)]
    pub fn update_checksum(&mut self, offset: u32, wsum: u32, flags: u32) -> Result<(), ()> {
        // SAFETY: the context is valid; a field size of 0 in the flags means "by difference".
        let result = unsafe {
            helpers::bpf_l4_csum_replace(
                self.skb,
                self.link + offset,
                0,
                u64::from(wsum),
                u64::from(flags),
            )
        };
        if result == 0 { Ok(()) } else { Err(()) }
    }

    /// The packet as the kernel's helpers take it.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut c_void {
        self.skb.cast()
    }
}
