//! Values in maps that one CPU at a time has to itself.

use core::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use svclb_common::{
    address::Address,
    fragment::{Bucket, Held},
};

use super::kernel::{exchange, repeat};

/// How often a CPU looks again while another one has the value: far longer than anybody keeps one.
const PATIENCE: u32 = 4096;

const FREE: u64 = 0;
const TAKEN: u64 = 1;

mod sealed {
    /// A value with a lock.
    ///
    /// # Safety
    /// The type must be `repr(C)`, and its first field the lock: a `u64`, 0 while nobody has the
    /// value.
    pub unsafe trait Lockable {}
}
use sealed::Lockable;

// SAFETY: so they are defined.
unsafe impl<A: Address> Lockable for Bucket<A> {}
// SAFETY: as above.
unsafe impl Lockable for Held {}

/// A value of a map.
pub struct Shared<T> {
    value: NonNull<T>,
}

/// A value of a map that this CPU has to itself until it drops it.
pub struct Owned<T: Lockable> {
    value: NonNull<T>,
}

impl<T: Lockable> Shared<T> {
    /// The value at a map's entry, which must be of an array map: such an entry stays where it is.
    #[inline(always)]
    pub fn new(value: *mut T) -> Option<Self> {
        Some(Self { value: NonNull::new(value)? })
    }

    /// Takes the value, if no other CPU has it.
    #[inline(always)]
    pub fn try_lock(self) -> Option<Owned<T>> {
        // SAFETY: the lock is the first field of an array map's entry.
        let taken = unsafe { exchange(self.lock_word(), FREE, TAKEN) };
        taken.then_some(Owned { value: self.value })
    }

    /// Takes the value, after waiting a little for another CPU to leave it.
    #[inline(always)]
    pub fn lock(self) -> Option<Owned<T>> {
        let mut waiting = Waiting { lock: self.lock_word(), taken: false };
        repeat(PATIENCE, &mut waiting, try_again);
        waiting.taken.then_some(Owned { value: self.value })
    }

    #[inline(always)]
    fn lock_word(&self) -> *mut u64 {
        self.value.as_ptr().cast()
    }
}

/// A CPU that waits for a value.
struct Waiting {
    lock: *mut u64,
    taken: bool,
}

/// Tries to take the value; 1 ends the wait.
extern "C" fn try_again(_index: u32, waiting: *mut Waiting) -> i64 {
    // SAFETY: the kernel passes on the reference that `repeat` was given, and nobody else has it.
    let waiting = unsafe { &mut *waiting };
    // SAFETY: as in `try_lock`.
    waiting.taken = unsafe { exchange(waiting.lock, FREE, TAKEN) };
    i64::from(waiting.taken)
}

impl<T: Lockable> Deref for Owned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this CPU has the value, and every bit pattern is one.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Lockable> DerefMut for Owned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { self.value.as_mut() }
    }
}

impl<T: Lockable> Drop for Owned<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as in `try_lock`.
        unsafe { exchange(self.value.as_ptr().cast(), TAKEN, FREE) };
    }
}
