//! Arithmetic in place of branches, of which the kernel's verifier follows each to the end of the
//! program. The compiler and the verifiers of some kernels know better, and must not see what it is.

/// The entry of `table` at `index`, which wraps around at its length: a power of two.
#[inline(always)]
pub(crate) fn entry<T: Copy, const N: usize>(table: &[T; N], index: usize) -> T {
    const { assert!(N.is_power_of_two()) };
    let index = masked::<N>(index);
    // SAFETY: the mask is the greatest index.
    unsafe { *table.get_unchecked(index) }
}

#[cfg(not(target_arch = "bpf"))]
#[inline(always)]
fn masked<const N: usize>(index: usize) -> usize {
    index & (N - 1)
}

/// The compiler leaves a mask out where it knows the index to be small enough, which the verifier of
/// Linux 6.1 loses on the way. And of a product with one bit it would make a mask, of which the
/// verifier of Linux 7.2 knows that it is 0 or -1, and follows both.
#[cfg(target_arch = "bpf")]
#[inline(always)]
fn masked<const N: usize>(mut index: usize) -> usize {
    // SAFETY: it changes one register.
    unsafe {
        core::arch::asm!(
            "{index} &= {mask}",
            index = inout(reg) index,
            mask = const N - 1,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    index
}

/// `word` if the lowest bit of `bit` is set, else 0.
#[inline(always)]
pub(crate) fn times(word: u32, bit: u32) -> u32 {
    word.wrapping_mul(masked::<2>(bit as usize) as u32)
}

#[cfg(test)]
mod tests {
    use super::{entry, times};

    #[test]
    fn the_lowest_bit_decides() {
        assert_eq!([0, 1, 2, 3].map(|bit| times(7, bit)), [0, 7, 0, 7]);
    }

    #[test]
    fn an_index_wraps_around() {
        let table = [10, 11, 12, 13];
        assert_eq!([0, 3, 4, 7].map(|index| entry(&table, index)), [10, 13, 10, 13]);
    }
}
