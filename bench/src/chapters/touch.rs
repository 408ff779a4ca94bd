//! The first touch of memory.

use std::ptr;
use std::time::Instant;

use heirloom::{Mapping, Region, RegionOptions};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::Findings;
use crate::sheet::{Sheet, size_label};
use heirloom_bench::measure::{candidate, nanoseconds, time};

const PAGE: usize = 4096;

/// How long it takes to write a byte of each page, in nanoseconds.
fn touch(memory: *mut u8, size: usize) -> f64 {
    let start = Instant::now();
    for offset in (0..size).step_by(PAGE) {
        // SAFETY: Inside a mapping of that size that nobody else uses.
        unsafe { memory.add(offset).write_volatile(1) };
    }
    nanoseconds(start)
}

/// The same with what comes before, but not what comes after.
fn mapped(size: usize, map: impl FnOnce() -> (Region, Mapping)) -> f64 {
    let start = Instant::now();
    let (_region, view) = map();
    touch(view.as_mut_ptr(), size);
    nanoseconds(start)
}

fn created(size: usize, options: &RegionOptions) -> f64 {
    mapped(size, || {
        let region = options.create(size as u64).unwrap();
        let view = region.map().unwrap();
        (region, view)
    })
}

fn again(size: usize, region: &Region) -> f64 {
    mapped(size, || (region.clone(), region.map().unwrap()))
}

pub fn measure() -> Findings {
    let mut sheet = Sheet::new(
        "touch",
        "Map, and touch each page for the first time",
        "size",
        "A region that is created for it; then one that another mapping has touched already, as a child finds it.",
    );
    for size in [2 << 20, 16 << 20, 128 << 20, 256 << 20] {
        let full = Region::create(size as u64).unwrap();
        touch(full.map().unwrap().as_mut_ptr(), size);
        let (view, full) = (full.map().unwrap(), &full);
        // Whether a second mapping has its pages at once is its handle's, as the first's is.
        let populated = Region::options().populate(true).create(size as u64).unwrap();
        let mut candidates = vec![
            candidate("region", || created(size, &Region::options())),
            candidate("memory of one's own", || private(size)),
            candidate("region, populate", || created(size, &Region::options().populate(true))),
            candidate("second mapping", || again(size, full)),
            candidate("second mapping, populate", || again(size, &populated)),
            candidate("zeroing again", || zeroed(&view, size)),
        ];
        let huge = Region::options().huge_pages(true);
        if huge.create(size as u64).is_ok() {
            candidates.insert(3, candidate("region, huge pages", move || created(size, &huge)));
        }
        sheet.row(size as f64, size_label(size as u64), candidates);
    }
    let mut findings = Findings::default();
    let last = sheet.places.len() - 1;
    let times = sheet.ratio("region", "region, huge pages", last);
    findings.at_least(
        format!("first touch of {} by huge pages: times as fast as by 4 KiB pages", sheet.places[last].1),
        5.0,
        times,
        "the system zeroes each page first, and that alone takes this long: see the last column",
    );
    findings.sheets.push(sheet);
    findings
}

/// Zeroing memory that is there.
fn zeroed(view: &Mapping, size: usize) -> f64 {
    time(1, || {
        // SAFETY: A mapping of that size that nobody else uses.
        unsafe { view.as_mut_ptr().write_bytes(0, size) };
    })
}

fn private(size: usize) -> f64 {
    let start = Instant::now();
    // SAFETY: The kernel chooses the address, and nobody uses it after the unmapping.
    unsafe {
        let flags = MapFlags::PRIVATE;
        let memory = mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, flags).unwrap();
        touch(memory.cast(), size);
        let spent = nanoseconds(start);
        munmap(memory, size).unwrap();
        spent
    }
}
