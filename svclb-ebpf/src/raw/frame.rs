//! Frames as a whole, link header included: kept, put into another packet's place, sent again.

use aya_ebpf::{bindings::BPF_F_RECOMPUTE_CSUM, helpers::generated as helpers};

use super::{Back, Skb, kernel::length};

impl Skb {
    /// Bytes of the frame.
    #[inline(always)]
    pub fn frame_len(&self) -> u32 {
        // SAFETY: the context is valid.
        unsafe { (*self.skb).len }
    }

    /// Copies the frame, which is `len` bytes long, to the beginning of `to`.
    #[inline(always)]
    pub fn load_frame<const N: usize>(&self, to: &mut [u8; N], len: u32) -> Result<(), ()> {
        let len = length(len, N as u32).ok_or(())?;
        // SAFETY: the destination is `len` writable bytes of plain data, as has just been seen.
        let result =
            unsafe { helpers::bpf_skb_load_bytes(self.skb.cast(), 0, to.as_mut_ptr().cast(), len) };
        if result == 0 { Ok(()) } else { Err(()) }
    }

    /// Puts the first `len` bytes of `from` in the frame's place. The kernel's knowledge of the
    /// packet's checksum is kept right, or given up.
    #[inline(always)]
    pub fn replace_frame<const N: usize>(&mut self, from: &[u8; N], len: u32) -> Result<(), ()> {
        let len = length(len, N as u32).ok_or(())?;
        let flags = u64::from(BPF_F_RECOMPUTE_CSUM);
        // SAFETY: the context is valid, the source `len` readable bytes.
        let result = unsafe {
            match helpers::bpf_skb_change_tail(self.skb, len, 0) {
                0 => helpers::bpf_skb_store_bytes(self.skb, 0, from.as_ptr().cast(), len, flags),
                error => error,
            }
        };
        if result == 0 { Ok(()) } else { Err(()) }
    }

    /// Sends a copy of the packet through the device whose hook this is: in again, or out.
    #[inline(always)]
    pub fn send_copy(&mut self, way: Back) {
        // SAFETY: the context is valid. A failure is a lost packet, which the kernel counts.
        unsafe { helpers::bpf_clone_redirect(self.skb, self.ifindex(), way as u64) };
    }
}
