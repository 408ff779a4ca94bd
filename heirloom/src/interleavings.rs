//! Runs a test in every interleaving of its threads: see `.ci/loom`.
//!
//! Loom has the memory model of C11, but for loads that see a later store. It takes sequentially consistent accesses for such
//! as acquire and release, so it tries more than may happen.

#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;

use crate::{Mapping, Region, access, sys};

/// Runs `test` in all interleavings with at most `preemptions`: so often a thread is stopped though it could go on. The variable
/// `LOOM_MAX_PREEMPTIONS` replaces it. The region starts as zeros but for the `numbers` at these offsets, by which the threads
/// order their accesses.
pub(crate) fn check(
    preemptions: usize,
    region: Region,
    numbers: &[(usize, u32)],
    test: impl Fn(&Region, &Mapping) + Send + Sync + 'static,
) {
    let view = region.map().unwrap();
    let numbers = numbers.to_vec();
    let runs = Arc::new(AtomicUsize::new(0));
    let run = Arc::clone(&runs);
    let mut model = Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(preemptions));
    model.check(move || {
        run.fetch_add(1, Ordering::Relaxed);
        // SAFETY: These are the bytes of the mapping, and the threads of the last interleaving have ended.
        unsafe { access::begin(view.as_mut_ptr(), view.len(), &numbers) };
        sys::begin();
        test(&region, &view);
    });
    println!("interleavings: {}", runs.load(Ordering::Relaxed));
}
