//! Locks in shared memory that outlive their owner.

use std::fmt;
use std::hint;
use std::mem::ManuallyDrop;
use std::ops::Deref;
#[cfg(not(heirloom_loom))]
use std::thread;
use std::time::{Duration, Instant};

#[cfg(heirloom_loom)]
use crate::sys::thread;
use crate::sys::{self, LockOwner};
use crate::{Error, ErrorKind, Mapping, Region, Result, SharedU32};

/// The bits of a lock that say who has it; 0 if nobody has.
const OWNER: u32 = (1 << 30) - 1;
/// A panic released the lock.
const DIED: u32 = 1 << 30;
/// Somebody may sleep until the lock is released.
const WAITS: u32 = 1 << 31;

/// How often a thread looks at a lock before it sleeps. Loom would try every number of looks.
const LOOKS: u32 = if cfg!(heirloom_loom) { 0 } else { 100 };
/// How often a thread tries to take a free lock without looking at the time.
const RETRIES: u8 = 3;
/// The first sleep before a waiter asks whether the owner lives; each further one is twice as long.
const FIRST_NAP: Duration = Duration::from_millis(1);
/// The longest such sleep.
const LONGEST_NAP: Duration = Duration::from_millis(64);

impl Region {
    /// Maps the whole region as a [`LockMapping`], whose numbers can be locks.
    ///
    /// Each process makes its own, and its threads share it. It takes a descriptor. On Linux and Android only.
    ///
    /// # Errors
    /// As for [`map`](Self::map), and
    /// - [`ErrorKind::Unsupported`]: on other systems, without `/proc`, without the right to open the memory
    ///   anew (a file in a directory of another user), and where a sandbox forbids the locks of open file descriptions.
    /// - [`ErrorKind::OutOfDescriptors`]: the descriptor was one too many.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
    /// use heirloom::{Locked, Region};
    ///
    /// let accounts = Region::create(4096)?.map_with_locks()?;
    /// match accounts.lock(0)? {
    ///     Locked::Clean(_guard) => accounts.write_at(8, b"100")?,
    ///     Locked::OwnerDied(_guard) => eprintln!("a process died while it wrote: check the bytes"),
    /// }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn map_with_locks(&self) -> Result<LockMapping> {
        let mapping = self.map()?;
        let owner = LockOwner::new(self.0.memory.lend()).map_err(|failure| {
            Error::system(format_args!("cannot prepare the locks of a region of {} bytes", self.size()), failure)
        })?;
        Ok(LockMapping { mapping, owner })
    }
}

/// A mapping of a [`Region`] whose 32-bit numbers can be locks, see [`Region::map_with_locks`].
///
/// The program decides where its locks are, and what each protects. A lock is a number that is 0 at first, and that nothing
/// else uses. The locks are advisory: a holder that doesn't take them can access the bytes. So no holder can make another's
/// access unsound, but each can make its bytes wrong, or keep a lock for ever; use [`lock_timeout`](Self::lock_timeout) beside
/// a process that isn't trusted that far.
///
/// **Death.** When a process dies that has a lock, the next that takes it is told by [`Locked::OwnerDied`], 64 milliseconds
/// at most after the process has ended; a core dump comes before that. A panic that drops a guard counts as a death, unless the
/// thread was panicking already when it took the lock. A guard that is forgotten keeps the lock until the `LockMapping`
/// is dropped or the process ends; then it counts as a death.
///
/// **Fork.** In a process that was forked without executing a program, this object is a copy, which refuses to lock
/// ([`ErrorKind::Forked`]) and releases nothing: map the region with locks again. While such a process has the copy, the system
/// sees the owner alive, and a death isn't told. So drop it there.
///
/// It dereferences to [`Mapping`].
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
/// use heirloom::{Locked, Region};
///
/// // Numbers that the lock at offset 0 protects: their sum stays 0.
/// const FROM: usize = 8;
/// const TO: usize = 16;
///
/// let view = Region::create(4096)?.map_with_locks()?;
/// let guard = match view.lock(0)? {
///     Locked::Clean(guard) => guard,
///     Locked::OwnerDied(guard) => {
///         // Between the two lines below.
///         view.atomic_u64(TO)?.store(view.load_u64(FROM)?.wrapping_neg());
///         guard
///     }
/// };
/// view.atomic_u64(FROM)?.fetch_sub(5);
/// view.atomic_u64(TO)?.fetch_add(5);
/// drop(guard);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct LockMapping {
    mapping: Mapping,
    owner: LockOwner,
}

/// A lock that was taken, and how its last owner left it.
///
/// Where the protected bytes are right whenever an owner dies, both mean the same:
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
/// use heirloom::{Locked, Region};
///
/// let view = Region::create(4096)?.map_with_locks()?;
/// let (Locked::Clean(_guard) | Locked::OwnerDied(_guard)) = view.lock(0)?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it releases the lock"]
pub enum Locked<'a> {
    /// The last owner released the lock.
    Clean(LockGuard<'a>),
    /// The last owner died or panicked while it had the lock, so the bytes that it protects may be half written.
    ///
    /// Releasing the guard says that they are right again: the next owner gets [`Clean`](Self::Clean). Who can't mend them
    /// keeps the lock, or leaves a mark beside it for the others.
    OwnerDied(LockGuard<'a>),
}

/// How a lock was left by its last owner.
#[derive(Clone, Copy)]
enum State {
    Clean,
    OwnerDied,
}

/// A lock that this process has; dropping it releases the lock.
#[must_use = "dropping it releases the lock"]
pub struct LockGuard<'a> {
    view: &'a LockMapping,
    /// The offset of the lock, and [`PANICKING`] if the thread panicked already when it took it. Two fields fit two registers.
    place: usize,
}

/// A bit that is 0 in an offset.
const PANICKING: usize = 1;

impl LockMapping {
    /// Takes the lock at `offset`, and waits until it is free. A thread that has the lock already waits for ever.
    ///
    /// What the last owner wrote while it had the lock is visible then.
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`]: the lock, a number of 4 bytes, exceeds the mapping.
    /// - [`ErrorKind::Misaligned`]: `offset` is not a multiple of 4.
    /// - [`ErrorKind::Forked`]: this process is a fork of the one that mapped the region.
    /// - [`ErrorKind::Unsupported`]: a sandbox forbids to wait.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
    /// # let view = heirloom::Region::create(4096)?.map_with_locks()?;
    /// use heirloom::Locked;
    ///
    /// match view.lock(64)? {
    ///     Locked::Clean(_guard) => println!("the bytes are right"),
    ///     Locked::OwnerDied(_guard) => println!("mend the bytes"),
    /// }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self, offset: usize) -> Result<Locked<'_>> {
        loop {
            // Without a limit, it ends with the lock.
            if let Some(state) = self.acquire(offset, None)? {
                return Ok(self.locked(offset, state));
            }
        }
    }

    /// Takes the lock at `offset` if it is free or its owner has died; `None` if another has it.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
    /// # let view = heirloom::Region::create(4096)?.map_with_locks()?;
    /// let guard = view.lock(64)?;
    /// assert!(view.try_lock(64)?.is_none());
    /// drop(guard);
    /// assert!(view.try_lock(64)?.is_some());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self, offset: usize) -> Result<Option<Locked<'_>>> {
        self.lock_timeout(offset, Duration::ZERO)
    }

    /// Takes the lock at `offset` as [`lock`](Self::lock) does, but waits at most for `timeout`; `None` if that has passed.
    ///
    /// # Errors
    /// As for [`lock`](Self::lock).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android"))) { return Ok(()) }
    /// # let view = heirloom::Region::create(4096)?.map_with_locks()?;
    /// use std::time::Duration;
    ///
    /// let _guard = view.lock(64)?;
    /// assert!(view.lock_timeout(64, Duration::from_millis(5))?.is_none());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn lock_timeout(&self, offset: usize, timeout: Duration) -> Result<Option<Locked<'_>>> {
        Ok(self.acquire(offset, Some(timeout))?.map(|state| self.locked(offset, state)))
    }

    /// Takes the lock. What it returns fits registers, so that a lock that is free costs little more than the exchange.
    #[inline]
    fn acquire(&self, offset: usize, timeout: Option<Duration>) -> Result<Option<State>> {
        let word = self.atomic_u32(offset)?;
        if self.owner.is_forked() {
            return Err(forked(offset));
        }
        match word.compare_exchange(0, self.owner.number()) {
            Ok(_) => Ok(Some(State::Clean)),
            Err(_) => self.acquire_slowly(offset, word, timeout),
        }
    }

    #[cold]
    fn acquire_slowly(&self, offset: usize, word: SharedU32<'_>, timeout: Option<Duration>) -> Result<Option<State>> {
        let failed = |failure| Error::system(format_args!("cannot wait for the lock at offset {offset}"), failure);
        let (mut looks, mut retries, mut nap, mut slept) = (0, 0_u8, FIRST_NAP, 0);
        let mut start = None;
        loop {
            let now = word.load();
            let owner = now & OWNER;
            if owner != 0 && now & WAITS == 0 && looks < LOOKS && timeout != Some(Duration::ZERO) {
                looks += 1;
                hint::spin_loop();
                continue;
            }
            let free = owner == 0 || !self.owner.is_alive(owner).map_err(failed)?;
            if free {
                // Others may sleep as this thread did.
                let mine = self.owner.number() | now & WAITS | slept;
                if word.compare_exchange(now, mine).is_ok() {
                    let died = owner != 0 || now & DIED != 0;
                    return Ok(Some(if died { State::OwnerDied } else { State::Clean }));
                }
                // Others may take it or mark it meanwhile. Who goes on writing it keeps nobody beyond the limit of time.
                retries = retries.saturating_add(1);
                if retries <= RETRIES {
                    continue;
                }
            }
            let rest = timeout.map_or(LONGEST_NAP, |timeout| {
                timeout.saturating_sub(start.get_or_insert_with(Instant::now).elapsed())
            });
            if rest.is_zero() {
                return Ok(None);
            }
            if free {
                continue;
            }
            if now & WAITS == 0 && word.compare_exchange(now, now | WAITS).is_err() {
                continue;
            }
            slept = WAITS;
            sys::wait_while(self.mapping.0.bytes.number(offset)?, now | WAITS, rest.min(nap)).map_err(failed)?;
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    /// Releases a lock whose guard was forgotten, as a death if `died`. For C and Python, whose callers have no guards.
    #[doc(hidden)]
    pub fn release(&self, offset: usize, died: bool) -> Result<()> {
        self.atomic_u32(offset)?;
        ManuallyDrop::new(LockGuard { view: self, place: offset }).release(died);
        Ok(())
    }

    #[inline]
    fn locked(&self, offset: usize, state: State) -> Locked<'_> {
        let guard = LockGuard { view: self, place: if thread::panicking() { offset | PANICKING } else { offset } };
        match state {
            State::Clean => Locked::Clean(guard),
            State::OwnerDied => Locked::OwnerDied(guard),
        }
    }
}

#[cold]
fn forked(offset: usize) -> Error {
    Error::advised(
        ErrorKind::Forked,
        format!(
            "cannot take the lock at offset {offset}: a fork made this process after the region was mapped with locks"
        ),
        "call Region::map_with_locks in this process",
    )
}

impl Deref for LockMapping {
    type Target = Mapping;

    #[inline]
    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

/// Shows address and length, never the bytes.
impl fmt::Debug for LockMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockMapping").field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

impl LockGuard<'_> {
    #[inline]
    fn offset(&self) -> usize {
        self.place & !PANICKING
    }

    #[inline]
    fn release(&self, died: bool) {
        let owner = &self.view.owner;
        // `lock` checked the offset.
        let Ok(word) = self.view.atomic_u32(self.offset()) else { return };
        if owner.is_forked() {
            return;
        }
        let free = if died { DIED } else { 0 };
        if word.compare_exchange(owner.number(), free).is_err() {
            self.release_slowly(word, free);
        }
    }

    /// Releases a lock that is not free by the first exchange.
    #[cold]
    fn release_slowly(&self, word: SharedU32<'_>, free: u32) {
        // Any other number was written by a holder that ignores the locks: it is no longer this thread's to release.
        if word.compare_exchange(self.view.owner.number() | WAITS, free).is_ok() {
            // Without a wake, they look again after a nap.
            let _ = self.view.wake_one(self.offset());
        }
    }
}

/// Releases the lock, and wakes one thread that waits for it.
impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.release(self.place & PANICKING == 0 && thread::panicking());
    }
}

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("offset", &self.offset()).finish_non_exhaustive()
    }
}

#[cfg(heirloom_loom)]
mod interleavings;

#[cfg(all(test, target_os = "linux", not(heirloom_loom)))]
mod tests {
    #![allow(unsafe_code)]

    use std::cell::UnsafeCell;

    use super::*;

    /// Plain memory beside the region, which only the lock orders. A thread sanitizer checks it, see `.ci/sanitize`.
    struct Beside(UnsafeCell<u64>);

    // SAFETY: It is accessed under the lock alone.
    unsafe impl Sync for Beside {}

    impl Beside {
        fn number(&self) -> *mut u64 {
            self.0.get()
        }
    }

    #[test]
    fn lock_orders_plain_memory() {
        let view = Region::create(4096).unwrap().map_with_locks().unwrap();
        let beside = Beside(UnsafeCell::new(0));
        let add = || {
            for _ in 0..20_000 {
                let _locked = view.lock(0).unwrap();
                // SAFETY: This thread has the lock.
                unsafe { *beside.number() += 1 };
            }
        };
        thread::scope(|scope| {
            // A sanitizer sees the joins, and not how the scope itself waits.
            for thread in [scope.spawn(add), scope.spawn(add)] {
                thread.join().unwrap();
            }
        });
        assert_eq!(beside.0.into_inner(), 40_000);
    }
}
