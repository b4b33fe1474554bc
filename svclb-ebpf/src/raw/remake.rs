//! Making another packet of the one at the hook.

use aya_ebpf::{
    bindings::{BPF_F_INGRESS, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC},
    helpers::generated as helpers,
};

use super::{Skb, kernel::length};

/// Which way a packet leaves the device whose hook it is at.
#[repr(u64)]
#[derive(Clone, Copy)]
pub enum Back {
    /// Out again: from its ingress hook.
    Out = 0,
    /// In again: from its egress hook.
    In = BPF_F_INGRESS as u64,
}

impl Skb {
    /// Leaves `len` bytes behind the link header, of any content. `header` is the length of the IP
    /// header without options, `transport` the offset of the transport header.
    #[inline(always)]
    pub fn remake(&mut self, transport: u32, header: u32, len: u32) -> Result<(), ()> {
        // A checksum that the device still has to complete (CHECKSUM_PARTIAL) is the kernel's until
        // the place where its sum begins is cut away: transport header and link header.
        const LINK: u32 = 16;
        let cut = transport + LINK;
        self.set_len(cut + header)?;
        // SAFETY: the context is valid.
        let result =
            unsafe { helpers::bpf_skb_adjust_room(self.skb, -(cut as i32), BPF_ADJ_ROOM_MAC, 0) };
        if result != 0 {
            return Err(());
        }
        self.set_len(len)
    }

    #[inline(always)]
    fn set_len(&mut self, len: u32) -> Result<(), ()> {
        // SAFETY: the context is valid.
        done(unsafe { helpers::bpf_skb_change_tail(self.skb, self.link + len, 0) })
    }

    /// Sends the packet back to where it came from; the hook's action must be `TCX_REDIRECT`.
    #[inline(always)]
    pub fn send_back(&mut self, back: Back) -> Result<(), ()> {
        if self.has_ethernet() {
            self.swap_macs()?;
        }
        const TCX_REDIRECT: i64 = aya_ebpf::bindings::tcx_action_base::TCX_REDIRECT as i64;
        // SAFETY: no pointers.
        let action = unsafe { helpers::bpf_redirect(self.ifindex(), back as u64) };
        if action == TCX_REDIRECT { Ok(()) } else { Err(()) }
    }

    #[inline(always)]
    fn swap_macs(&mut self) -> Result<(), ()> {
        let mut macs = [[0_u8; 6]; 2];
        // SAFETY: the destination is twelve writable bytes.
        done(unsafe {
            helpers::bpf_skb_load_bytes(self.skb.cast(), 0, (&raw mut macs).cast(), 12)
        })?;
        let [dst, src] = macs;
        self.store_at(0, &[src, dst], 0)
    }

    /// Copies `len` bytes of the packet into `words`, from its byte `at` on.
    #[inline(always)]
    pub fn load_words<const N: usize>(
        &self,
        offset: u32,
        words: &mut [u32; N],
        at: u32,
        len: u32,
    ) -> Result<(), ()> {
        let room = (4 * N as u32).checked_sub(at).ok_or(())?;
        let len = length(len, room).ok_or(())?;
        // SAFETY: the destination is `len` writable bytes of plain data, as has just been seen.
        done(unsafe {
            let to = words.as_mut_ptr().byte_add(at as usize).cast();
            helpers::bpf_skb_load_bytes(self.skb.cast(), self.link + offset, to, len)
        })
    }

    /// Overwrites `len` bytes of the packet with those of `words`.
    #[inline(always)]
    pub fn store_words<const N: usize>(
        &mut self,
        offset: u32,
        words: &[u32; N],
        len: u32,
    ) -> Result<(), ()> {
        let len = length(len, 4 * N as u32).ok_or(())?;
        let from = words.as_ptr().cast();
        // SAFETY: the source is `len` readable bytes.
        done(unsafe { helpers::bpf_skb_store_bytes(self.skb, self.link + offset, from, len, 0) })
    }

    /// Whether the frame was sent to a group of receivers.
    #[inline(always)]
    pub fn is_for_many(&self) -> bool {
        const BROADCAST: u32 = 1;
        const MULTICAST: u32 = 2;
        // SAFETY: the context is valid.
        let kind = unsafe { (*self.skb).pkt_type };
        kind == BROADCAST || kind == MULTICAST
    }
}

/// The Internet checksum of the first `len` bytes of `words`, rounded up to whole words, and of what
/// sums up to `seed`; `None` where the kernel does not take so many.
#[inline(always)]
pub fn checksum<const N: usize>(words: &[u32; N], len: u32, seed: u64) -> Option<u16> {
    use svclb_common::checksum::fold;
    let whole = len.div_ceil(4) * 4;
    if whole > 4 * N as u32 {
        return None;
    }
    let (from, to) = (core::ptr::null_mut(), words.as_ptr().cast_mut());
    let seed = u32::from(fold(seed));
    // SAFETY: `whole` readable bytes, which the helper does not change.
    let sum = unsafe { helpers::bpf_csum_diff(from, 0, to, whole, seed) };
    u32::try_from(sum).ok().map(|sum| !fold(u64::from(sum)))
}

#[inline(always)]
fn done(result: i64) -> Result<(), ()> {
    if result == 0 { Ok(()) } else { Err(()) }
}
