//! The first access to each page of memory.

use std::ptr;
use std::time::{Duration, Instant};

use heirloom::os::linux::{FrozenOptionsExt, MappingExt};
use heirloom::{FrozenMapping, FrozenRegion, Mapping, Region, RegionOptions};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::Results;
use crate::table::{Table, size_label};
use heirloom_bench::measure::{nanoseconds_since, routine, time};

const PAGE: usize = 4096;

/// Writes a byte of each page and returns the nanoseconds.
fn touch(memory: *mut u8, size: usize) -> f64 {
    let start = Instant::now();
    for offset in (0..size).step_by(PAGE) {
        // SAFETY: The offset is inside the mapping, which only this process uses.
        unsafe { memory.add(offset).write_volatile(1) };
    }
    nanoseconds_since(start)
}

/// Measures `map` and the first touch, without unmapping and closing.
fn map_and_touch(size: usize, map: impl FnOnce() -> (Region, Mapping)) -> f64 {
    let start = Instant::now();
    let (_region, view) = map();
    touch(view.as_mut_ptr(), size);
    nanoseconds_since(start)
}

type Map = fn(&Region) -> heirloom::Result<Mapping>;

fn create_and_touch(size: usize, options: &RegionOptions, map: Map) -> f64 {
    map_and_touch(size, || {
        let region = options.create(size as u64).unwrap();
        let view = map(&region).unwrap();
        (region, view)
    })
}

fn map_again(size: usize, region: &Region, map: Map) -> f64 {
    map_and_touch(size, || (region.clone(), map(region).unwrap()))
}

/// Puts a mapping of `size` bytes into huge pages of ordinary memory, in less than half of its ordinary pages' time.
fn in_huge_pages<M: MappingExt>(mut view: M, size: u64) -> heirloom::Result<M> {
    view.use_huge_pages(Duration::from_micros(200 * (size >> 20)))?;
    Ok(view)
}

/// Maps a region, and puts it into huge pages.
fn map_huge(region: &Region) -> heirloom::Result<Mapping> {
    in_huge_pages(region.map()?, region.size())
}

/// Takes and frees as much memory in huge pages: the host of a virtual machine may have taken it back, and gives it again by
/// page faults of its own, which an ordinary page that was just freed doesn't need.
fn wake_memory(size: usize) {
    let mut view = Region::create(size as u64).unwrap().map().unwrap();
    let _ = view.use_huge_pages(Duration::MAX);
}

/// Maps a frozen region, and reads a byte of each page.
fn map_and_read(region: &FrozenRegion, map: fn(&FrozenRegion) -> heirloom::Result<FrozenMapping>) -> f64 {
    let start = Instant::now();
    let view = map(region).unwrap();
    let sum = (0..view.len()).step_by(PAGE).fold(0, |sum, offset| sum ^ view[offset]);
    std::hint::black_box(sum);
    nanoseconds_since(start)
}

/// Maps a frozen region at an address that suits huge pages.
fn map_frozen_huge(region: &FrozenRegion) -> heirloom::Result<FrozenMapping> {
    in_huge_pages(region.map()?, region.size())
}

pub fn measure() -> Results {
    let mut table = Table::new(
        "touch",
        "Map memory and touch each page for the first time",
        "size",
        "The \"region\" columns create a region. The \"second mapping\" columns map a region whose pages another \
         mapping has already touched, as in a child. \"use_huge_pages\" may take 0.2 ms for each MiB, and the rest gets \
         ordinary pages. Where the memory is \"as found\", it isn't taken and freed before: the host of a virtual machine \
         may have to give it back first.",
    );
    for size in [2 << 20, 16 << 20, 128 << 20, 256 << 20] {
        let full = Region::create(size as u64).unwrap();
        touch(full.map().unwrap().as_mut_ptr(), size);
        let (view, full) = (full.map().unwrap(), &full);
        // The handle determines whether its mappings are populated.
        let populated = Region::options().populate(true).create(size as u64).unwrap();
        let collapsed = Region::create(size as u64).unwrap();
        let mut routines = vec![
            routine("region", || create_and_touch(size, &Region::options(), Region::map)),
            routine("private memory", || map_private_and_touch(size)),
            routine("region, populate", || create_and_touch(size, Region::options().populate(true), Region::map)),
            routine("second mapping", || map_again(size, full, Region::map)),
            routine("second mapping, populate", || map_again(size, &populated, Region::map)),
            routine("zeroing mapped memory", || zero(&view, size)),
        ];
        let mut huge = Region::options();
        if huge.huge_pages(true).create(size as u64).is_ok() {
            routines.insert(3, routine("region, huge pages", move || create_and_touch(size, &huge, Region::map)));
        }
        let frozen = FrozenRegion::copy_of(full).unwrap();
        routines.push(routine("frozen region, read", move || map_and_read(&frozen, FrozenRegion::map)));
        if map_huge(&collapsed).is_ok() {
            wake_memory(size);
            let frozen = FrozenRegion::options().use_huge_pages(true).copy_of(full).unwrap();
            let read = move || map_and_read(&frozen, map_frozen_huge);
            routines.push(routine("frozen region, use_huge_pages, read", read));
            let create = move || create_and_touch(size, &Region::options(), map_huge);
            routines.push(routine("region, use_huge_pages, memory as found", create));
            routines.push(routine("region, use_huge_pages", move || {
                wake_memory(size);
                create()
            }));
            routines.push(routine("second mapping, use_huge_pages", || map_again(size, &collapsed, map_huge)));
        }
        table.add_row(size as f64, size_label(size as u64), routines);
    }
    let mut results = Results::default();
    let last = table.rows.len() - 1;
    let first_touch = |how: &str| format!("first touch of {} {how}", table.rows[last].1);
    for (column, pages) in [("region, huge pages", ""), ("region, use_huge_pages", " of ordinary memory")] {
        results.at_least(
            first_touch(&format!("with huge pages{pages}, speedup over 4 KiB pages")),
            5.0,
            table.ratio("region", column, last),
            "the kernel zeroes each page first, and zeroing alone takes about this long; see \"zeroing mapped memory\"",
        );
    }
    for (how, huge, ordinary, reason) in [
        ("in a second mapping", "second mapping, use_huge_pages", "second mapping", ""),
        (
            "in a mapping of a frozen region",
            "frozen region, use_huge_pages, read",
            "frozen region, read",
            "a page fault of a read maps 16 ordinary pages, and the reads themselves take part of the time",
        ),
    ] {
        let metric = first_touch(&format!("{how} with huge pages, ratio to 4 KiB pages"));
        results.at_most(metric, 0.1, table.ratio(huge, ordinary, last), reason);
    }
    results.at_most(
        first_touch("with huge pages of ordinary memory, slowest round, ratio to 4 KiB pages' slowest"),
        1.3,
        table.ratio_of_slowest("region, use_huge_pages, memory as found", "region", last),
        "",
    );
    results.tables.push(table);
    results
}

/// Zeroes memory whose pages are already mapped.
fn zero(view: &Mapping, size: usize) -> f64 {
    time(1, || {
        // SAFETY: The mapping has this size, and only this process uses it.
        unsafe { view.as_mut_ptr().write_bytes(0, size) };
    })
}

fn map_private_and_touch(size: usize) -> f64 {
    let start = Instant::now();
    // SAFETY: The kernel chooses an unused address, and nothing uses it after `munmap`.
    unsafe {
        let flags = MapFlags::PRIVATE;
        let memory = mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, flags).unwrap();
        touch(memory.cast(), size);
        let elapsed = nanoseconds_since(start);
        munmap(memory, size).unwrap();
        elapsed
    }
}
