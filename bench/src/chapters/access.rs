//! Reading and writing what is mapped.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use heirloom::{Mapping, Region};

use super::Findings;
use crate::sheet::{Sheet, size_label};
use heirloom_bench::measure::{Candidate, candidate, time};

pub fn measure() -> Findings {
    let mut findings = Findings::default();
    copies(&mut findings);
    numbers(&mut findings);
    walks(&mut findings);
    findings
}

fn mapped(size: usize) -> Mapping {
    let region = Region::create(size as u64).unwrap();
    let view = region.map().unwrap();
    view.write_at(0, &vec![1; size]).unwrap();
    view
}

fn copies(findings: &mut Findings) {
    let about = "Between a mapping and memory of one's own, again and again the same; both begin a page. memcpy is what must not be \
                 used where another process may write meanwhile.";
    let mut out = Sheet::new("copies-out", "Copy out of a mapping", "bytes", about);
    let mut into = Sheet::new("copies-in", "Copy into a mapping", "bytes", about);
    for size in [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20] {
        let (shared, own) = (&mapped(size.max(64)), mapped(size.max(64)));
        let (place, label) = (size as f64, size_label(size as u64));
        let calls = u32::try_from((1_usize << 22) / size.max(64)).unwrap().clamp(1, 1 << 14);
        // SAFETY: A mapping of at least that size, which is known here alone.
        let own = || unsafe { std::slice::from_raw_parts_mut(black_box(own.as_mut_ptr()), size) };
        let memcpy = |from: *const u8, to: *mut u8| {
            time(calls, || {
                // SAFETY: Two mappings of at least that size, and nobody else uses them.
                unsafe { std::ptr::copy_nonoverlapping(black_box(from), black_box(to), black_box(size)) };
            })
        };
        let candidates = vec![
            candidate("memcpy", || memcpy(shared.as_ptr(), own().as_mut_ptr())),
            candidate("read_at", || time(calls, || black_box(shared).read_at(0, own()).unwrap())),
        ];
        out.row(place, &label, candidates);
        let candidates = vec![
            candidate("memcpy", || memcpy(own().as_ptr(), shared.as_mut_ptr())),
            candidate("write_at", || time(calls, || black_box(shared).write_at(0, own()).unwrap())),
        ];
        into.row(place, &label, candidates);
    }
    let (mut slowest, mut furthest) = (f64::MAX, 0_f64);
    for (sheet, ours) in [(&out, "read_at"), (&into, "write_at")] {
        for (row, (size, _)) in sheet.places.iter().enumerate() {
            let (limit, ours) = (sheet.median("memcpy", row).unwrap(), sheet.median(ours, row).unwrap());
            if *size < 4096.0 {
                furthest = furthest.max(ours - limit);
            } else {
                slowest = slowest.min(limit / ours);
            }
        }
    }
    findings.at_least("copies from 4 KiB up: the least bandwidth, to memcpy's", 0.98, Some(slowest), "");
    findings.at_most("copies below 4 KiB: the most nanoseconds beyond memcpy", 20.0, Some(furthest), "");
    findings.sheets.extend([out, into]);
}

/// How many numbers are gone through.
const NUMBERS: usize = 512;

fn numbers(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "numbers",
        "One number of 8 bytes after the other",
        "for each",
        "512 in a row. \"Bare\" is a slice of Rust's own atomics, in memory of one's own; values are what is copied without being whole.",
    );
    let view = mapped(NUMBERS * 8);
    let view = &view;
    let own: Vec<AtomicU64> = (0..NUMBERS as u64).map(AtomicU64::new).collect();
    let own = &own[..];
    let all = |calls: &dyn Fn()| time(200, calls) / NUMBERS as f64;
    sheet.row(
        1.0,
        "load",
        vec![
            candidate("bare", || {
                all(&|| {
                    let numbers = black_box(own).iter();
                    black_box(numbers.fold(0_u64, |sum, number| sum.wrapping_add(number.load(Ordering::Acquire))));
                })
            }),
            candidate("atomic", || {
                all(&|| {
                    let view = black_box(view);
                    black_box((0..NUMBERS).fold(0_u64, |sum, at| sum.wrapping_add(view.load_u64(at * 8).unwrap())));
                })
            }),
            candidate("value", || {
                all(&|| {
                    let view = black_box(view);
                    black_box((0..NUMBERS).fold(0_u64, |sum, at| sum.wrapping_add(view.read_value(at * 8).unwrap())));
                })
            }),
        ],
    );
    sheet.row(
        2.0,
        "store",
        vec![
            candidate("bare", || all(&|| black_box(own).iter().for_each(|number| number.store(7, Ordering::Release)))),
            candidate("atomic", || {
                all(&|| {
                    let view = black_box(view);
                    (0..NUMBERS).for_each(|at| view.atomic_u64(at * 8).unwrap().store(7));
                })
            }),
            candidate("value", || {
                all(&|| {
                    let view = black_box(view);
                    (0..NUMBERS).for_each(|at| view.write_value(at * 8, &7_u64).unwrap());
                })
            }),
        ],
    );
    sheet.row(
        3.0,
        "fetch_add",
        vec![
            candidate("bare", || {
                all(&|| {
                    for number in black_box(own) {
                        number.fetch_add(1, Ordering::SeqCst);
                    }
                })
            }),
            candidate("atomic", || {
                all(&|| {
                    let view = black_box(view);
                    for at in 0..NUMBERS {
                        view.atomic_u64(at * 8).unwrap().fetch_add(1);
                    }
                })
            }),
        ],
    );
    findings.sheets.push(sheet);
}

/// A mapping as numbers, since its address is a page's.
#[allow(clippy::cast_ptr_alignment)]
fn words(view: &Mapping) -> *mut u64 {
    view.as_mut_ptr().cast()
}

/// The same over memory of one's own and over a mapping.
fn both<'a>(run: impl Fn(*mut u64) -> f64 + Copy + 'a, own: *mut u64, shared: *mut u64) -> Vec<Candidate<'a>> {
    vec![candidate("memory of one's own", move || run(own)), candidate("mapping", move || run(shared))]
}

fn walks(findings: &mut Findings) {
    const SIZE: usize = 256 << 20;
    let mut sheet = Sheet::new(
        "walks",
        "Read and write a mapping, beside ordinary memory",
        "for each",
        "256 MiB, by 8 bytes; for each 8 bytes.",
    );
    let view = mapped(SIZE);
    let mut own = vec![1_u64; SIZE / 8];
    let (shared, own) = (words(&view), own.as_mut_ptr());
    let count = SIZE / 8;
    let read = |memory: *const u64| {
        time(1, || {
            // SAFETY: So many numbers are there, and nobody writes them now.
            let sum = (0..count).fold(0_u64, |sum, at| sum.wrapping_add(unsafe { memory.add(at).read() }));
            black_box(sum);
        }) / count as f64
    };
    let write = |memory: *mut u64| {
        time(1, || {
            // SAFETY: So many numbers have their place there, and nobody else uses them now.
            (0..count).for_each(|at| unsafe { memory.add(at).write(at as u64) });
            black_box(memory);
        }) / count as f64
    };
    let jump = |memory: *mut u64| {
        const JUMPS: u32 = 1 << 20;
        let mut at = 1_usize;
        time(JUMPS, || {
            at = at.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            // SAFETY: Its place is among them.
            unsafe {
                let place = memory.add((at >> 20) % count);
                place.write(place.read().wrapping_add(1));
            }
        })
    };
    sheet.row(1.0, "read, one after the other", both(|memory| read(memory), own, shared));
    sheet.row(2.0, "write, one after the other", both(write, own, shared));
    sheet.row(3.0, "read and write, at random", both(jump, own, shared));
    findings.sheets.push(sheet);
}
