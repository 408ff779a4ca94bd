//! Runs each operation on equal bytes three times: by this processor's code, by the fallback, and on plain slices.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::*;

/// Returns bytes that differ from each other and from a fresh buffer's.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251 + 1) as u8).collect()
}

/// Three copies of the same bytes.
struct Three {
    ours: Heap,
    fallback: Heap,
    plain: Vec<u8>,
}

impl Three {
    fn new(bytes: Vec<u8>) -> Self {
        Self { ours: Heap::of(&bytes), fallback: Heap::of(&bytes), plain: bytes }
    }

    fn ours(&mut self) -> SharedBytes {
        self.ours.share(self.plain.len())
    }

    fn fallback(&mut self, offset: usize) -> *mut u8 {
        self.fallback.words.as_mut_ptr().cast::<u8>().wrapping_add(offset)
    }

    fn assert_equal(&self) {
        let mut rest = self.plain.clone();
        rest.resize(self.ours.words.len() * 8, 0);
        let words: Vec<_> = rest.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect();
        assert_eq!(self.ours.words, words);
        assert_eq!(self.fallback.words, words);
    }

    /// `skew` moves the private side off its alignment.
    fn write(&mut self, offset: usize, bytes: &[u8], skew: usize) {
        let from = [&vec![7; skew], bytes].concat();
        let from = &from[skew..];
        self.ours().write_at(offset, from).unwrap();
        // SAFETY: Slicing the reference above checked the range.
        unsafe { portable::copy_in(from.as_ptr(), self.fallback(offset), from.len()) };
        self.plain[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read(&mut self, offset: usize, len: usize, skew: usize) {
        let mut wanted = vec![7; skew + len + 8];
        wanted[skew..skew + len].copy_from_slice(&self.plain[offset..offset + len]);
        let (mut ours, mut fallback) = (vec![7; wanted.len()], vec![7; wanted.len()]);
        self.ours().read_at(offset, &mut ours[skew..skew + len]).unwrap();
        let into = &mut fallback[skew..skew + len];
        // SAFETY: Slicing the reference above checked the range.
        unsafe { portable::copy_out(self.fallback(offset), into.as_mut_ptr(), into.len()) };
        assert_eq!(ours, wanted, "{len} bytes at {offset}");
        assert_eq!(fallback, wanted, "{len} bytes at {offset}");
    }
}

/// An operation on a number.
#[derive(Clone, Copy, Debug)]
enum Operation<T> {
    Load,
    Store(T),
    Swap(T),
    /// With the current value expected.
    Exchange(T),
    /// With an arbitrary value expected.
    CompareExchange(T, T),
    Add(T),
    Sub(T),
    And(T),
    Or(T),
    Xor(T),
    Max(T),
    Min(T),
}

impl<T: Copy> Operation<T> {
    fn all(a: T, b: T) -> [Self; 12] {
        use Operation::{Add, And, CompareExchange, Exchange, Load, Max, Min, Or, Store, Sub, Swap, Xor};
        [
            Load,
            Store(a),
            Swap(a),
            Exchange(a),
            CompareExchange(b, a),
            Add(a),
            Sub(a),
            And(a),
            Or(a),
            Xor(a),
            Max(a),
            Min(a),
        ]
    }
}

macro_rules! number {
    ($number:ident, $shared:ident) => {
        impl Three {
            fn $number(&mut self, offset: usize, operation: Operation<$number>) {
                let place = offset..offset + size_of::<$number>();
                let before = $number::from_ne_bytes(self.plain[place.clone()].try_into().unwrap());
                let bytes = self.ours();
                let ours = bytes.$shared(offset).unwrap();
                let at: *mut $number = self.fallback(offset).cast();
                // SAFETY: The fallback's buffer has the size and alignment that `$shared` just checked.
                let exchange = |current, new| unsafe { portable::$number::compare_exchange(at, current, new) };
                // SAFETY: As above.
                let add = |value| unsafe { portable::$number::fetch_add(at, value) };
                let update = |after: $number| exchange(before, after).unwrap();
                // The previous values from both, and the new value.
                let (ours, fallback, after) = match operation {
                    // SAFETY: As above.
                    Operation::Load => (ours.load(), unsafe { portable::$number::load(at) }, before),
                    Operation::Store(value) => {
                        ours.store(value);
                        // SAFETY: As above.
                        unsafe { portable::$number::store(at, value) };
                        (before, before, value)
                    }
                    // SAFETY: As above.
                    Operation::Swap(value) => (ours.swap(value), unsafe { portable::$number::swap(at, value) }, value),
                    Operation::Exchange(new) => {
                        (ours.compare_exchange(before, new).unwrap(), exchange(before, new).unwrap(), new)
                    }
                    Operation::CompareExchange(current, new) => {
                        let answer = ours.compare_exchange(current, new);
                        assert_eq!(answer, exchange(current, new));
                        assert_eq!(answer.is_ok(), before == current);
                        let (Ok(seen) | Err(seen)) = answer;
                        (seen, seen, if before == current { new } else { before })
                    }
                    Operation::Add(value) => (ours.fetch_add(value), add(value), before.wrapping_add(value)),
                    Operation::Sub(value) => {
                        (ours.fetch_sub(value), add(value.wrapping_neg()), before.wrapping_sub(value))
                    }
                    Operation::And(value) => (ours.fetch_and(value), update(before & value), before & value),
                    Operation::Or(value) => (ours.fetch_or(value), update(before | value), before | value),
                    Operation::Xor(value) => (ours.fetch_xor(value), update(before ^ value), before ^ value),
                    Operation::Max(value) => (ours.fetch_max(value), update(before.max(value)), before.max(value)),
                    Operation::Min(value) => (ours.fetch_min(value), update(before.min(value)), before.min(value)),
                };
                assert_eq!((ours, fallback), (before, before), "{operation:?} at {offset}");
                self.plain[place].copy_from_slice(&after.to_ne_bytes());
            }
        }
    };
}

number!(u32, atomic_u32);
number!(u64, atomic_u64);

#[test]
fn copies_equal_fallback_at_every_alignment() {
    let (lengths, alignments) = if cfg!(miri) { (0..=33, 0..3) } else { (0..=81, 0..17) };
    for len in lengths.chain((127..=131).chain(255..=258).chain(509..=530).filter(|_| !cfg!(miri))) {
        let bytes = pattern(len);
        for offset in alignments.clone() {
            // The buffer ends with the word of the last byte.
            let mut three = Three::new(vec![0xee; offset + len]);
            for skew in alignments.clone() {
                three.write(offset, &bytes, skew);
                three.assert_equal();
                three.read(offset, len, skew);
                three.plain[offset..].fill(0xee);
                let blank = vec![0xee; len];
                three.write(offset, &blank, skew);
            }
        }
    }
}

#[test]
fn numbers_equal_fallback_at_edge_values() {
    let edges = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    let edges = edges.map(|low: u64| [low, low << 32, low << 32 | 0x1234_5678, !low]).concat();
    let mut three = Three::new(vec![0xee; 24]);
    for &a in &edges {
        for &b in &edges {
            for offset in [4, 8, 12] {
                for operation in Operation::all(a as u32, b as u32) {
                    three.u32(offset, Operation::Store(b as u32));
                    three.u32(offset, operation);
                    three.assert_equal();
                }
            }
            for operation in Operation::all(a, b) {
                three.u64(8, Operation::Store(b));
                three.u64(8, operation);
                three.assert_equal();
            }
        }
    }
}

#[cfg(feature = "zerocopy")]
#[test]
fn values_equal_fallback_at_every_alignment() {
    fn value<T>(value: &T)
    where
        T: zerocopy::FromBytes + zerocopy::IntoBytes + zerocopy::Immutable + PartialEq + std::fmt::Debug,
    {
        for offset in 0..17 {
            let mut three = Three::new(vec![0xee; offset + size_of::<T>()]);
            three.ours().write_value(offset, value).unwrap();
            // SAFETY: The buffer holds a `T` at the offset.
            unsafe { portable::copy_in(value.as_bytes().as_ptr(), three.fallback(offset), size_of::<T>()) };
            three.plain[offset..].copy_from_slice(value.as_bytes());
            three.assert_equal();
            assert_eq!(three.ours().read_value::<T>(offset).unwrap(), *value);
            three.read(offset, size_of::<T>(), 0);
        }
    }
    value(&());
    value(&0x12_u8);
    value(&0x1234_u16);
    value(&[0x12_u8, 0x34, 0x56]);
    value(&-0x1234_5678_i32);
    value(&[1_u16, 2, 3]);
    value(&f64::MAX);
    value(&(u128::MAX - 1));
    value(&[u128::MAX / 3, 5]);
    value(&[0x0102_0304_u32; 9]);
    value(&[[7_u64, 8, 9]; 30]);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<u8>, usize),
    Read(usize, usize, usize),
    Short(usize, Operation<u32>),
    Long(usize, Operation<u64>),
}

const LEN: usize = 701;

fn operation<T: Copy + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Operation<T>> {
    (value.clone(), value, 0..12_usize).prop_map(|(a, b, which)| Operation::all(a, b)[which])
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![0..20_usize, 0..100_usize, 500..600_usize];
    prop_oneof![
        (0..LEN, len(), 0..16_usize, any::<u8>()).prop_map(|(offset, len, skew, first)| {
            let bytes = pattern(len.min(LEN - offset)).into_iter().map(|byte| byte ^ first).collect();
            Step::Write(offset, bytes, skew)
        }),
        (0..LEN, len(), 0..16_usize).prop_map(|(offset, len, skew)| Step::Read(offset, len.min(LEN - offset), skew)),
        (0..LEN / 4, operation(any::<u32>())).prop_map(|(at, operation)| Step::Short(at * 4, operation)),
        (0..LEN / 8, operation(any::<u64>())).prop_map(|(at, operation)| Step::Long(at * 8, operation)),
    ]
}

proptest! {
    #![proptest_config(Config {
        cases: if cfg!(miri) { 4 } else { 400 },
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn random_operations_equal_fallback(steps in prop::collection::vec(step(), 1..60)) {
        let mut three = Three::new(pattern(LEN));
        for step in steps {
            match step {
                Step::Write(offset, bytes, skew) => three.write(offset, &bytes, skew),
                Step::Read(offset, len, skew) => three.read(offset, len, skew),
                Step::Short(offset, operation) => three.u32(offset, operation),
                Step::Long(offset, operation) => three.u64(offset, operation),
            }
            three.assert_equal();
        }
    }
}

/// Pages between two guard pages.
#[cfg(all(unix, not(miri)))]
pub(super) struct Fenced {
    pub(super) start: *mut u8,
}

#[cfg(all(unix, not(miri)))]
impl Fenced {
    pub(super) const LEN: usize = 1 << 16;

    pub(super) fn new() -> Self {
        use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
        // SAFETY: The mapping is new, and the protected parts are within it.
        unsafe {
            let all =
                mmap_anonymous(std::ptr::null_mut(), 3 * Self::LEN, ProtFlags::empty(), MapFlags::PRIVATE).unwrap();
            let start = all.cast::<u8>().add(Self::LEN);
            mprotect(start.cast(), Self::LEN, MprotectFlags::READ | MprotectFlags::WRITE).unwrap();
            Self { start }
        }
    }
}

#[cfg(all(unix, not(miri)))]
impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: This object owns the mapping.
        unsafe { rustix::mm::munmap(self.start.sub(Self::LEN).cast(), 3 * Self::LEN).unwrap() };
    }
}

/// An access to a guard page kills the process.
#[cfg(all(unix, not(miri)))]
#[test]
fn copies_stay_between_guard_pages() {
    let (theirs, own) = (Fenced::new(), Fenced::new());
    // SAFETY: The pages live until the end of the test.
    let shared = unsafe { SharedBytes::new(NonNull::new(theirs.start).unwrap(), Fenced::LEN) };
    // SAFETY: As above, and nothing else accesses them.
    let own = unsafe { slice::from_raw_parts_mut(own.start, Fenced::LEN) };
    for len in (0..=131).chain(255..=258).chain(509..=530) {
        for (at, skew) in
            [(0, 0), (Fenced::LEN - len, 0), (0, Fenced::LEN - len), (Fenced::LEN - len, Fenced::LEN - len)]
        {
            let own = &mut own[skew..skew + len];
            own.copy_from_slice(&pattern(len));
            shared.write_at(at, own).unwrap();
            own.fill(0);
            shared.read_at(at, own).unwrap();
            assert_eq!(own, pattern(len));
        }
    }
}
