//! The life cycle of memory: create, map, touch, unmap and close.

use super::Results;
use crate::table::{Table, size_label};
use heirloom_bench::candidates::{CANDIDATES, by_key, create_by_system_calls, is_installed};
use heirloom_bench::measure::{Routine, routine, time};

const PAGE: usize = 4096;

/// The largest size of which every page is touched. Beyond it, only the first page is.
const MAX_TOUCHED: usize = 64 << 20;

/// The largest size for ipc-channel, which fills the memory that it creates.
const MAX_FILLED: usize = 64 << 20;

pub fn measure() -> Results {
    let mut table = Table::new(
        "create",
        "Create, map, touch, unmap and close",
        "size",
        "Every page is touched up to 64 MiB; of larger memory, only the first page is. NSPR creates its files in \
         /dev/shm. ipc-channel fills the memory that it creates.",
    );
    let python = super::spawn::start_python(0);
    for size in [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 1 << 30, 16 << 30, 64 << 30] {
        let touched = if size <= MAX_TOUCHED { size } else { 1 };
        let calls = u32::try_from((4 << 20) / touched.max(16 << 10)).unwrap().max(1);
        let candidates = CANDIDATES.iter().filter(|candidate| is_installed(candidate));
        let candidates = candidates.filter(|candidate| candidate.key != "ipc" || size <= MAX_FILLED);
        // `PR_MemMap` takes a 32-bit length.
        let candidates =
            candidates.filter(|candidate| !["c", "nspr"].contains(&candidate.key) || u32::try_from(size).is_ok());
        let mut routines: Vec<Routine> = candidates
            .filter_map(|candidate| {
                let create = candidate.create?;
                Some(routine(candidate.name, move || time(calls, || create(size, &|memory| touch(memory, touched)))))
            })
            .collect();
        // Python creates files in /dev/shm, whose capacity is limited.
        if let Some(python) = python.as_ref().filter(|_| size <= 1 << 30) {
            routines.push(routine("Python multiprocessing", || python.request(&format!("create {size} {touched}"))));
        }
        table.add_row(size as f64, size_label(size as u64), routines);
    }
    let mut results = Results::default();
    results.tables.push(guarantees());
    for (row, (_, size)) in table.rows.iter().enumerate() {
        let ratio = table.ratio("heirloom, by name", "system calls", row);
        results.at_most(
            format!("create, map, touch, unmap and close {size}, ratio to system calls"),
            1.05,
            ratio,
            "three more system calls; see \"Create 4 KiB, by system call\"",
        );
    }
    results.tables.insert(0, table);
    results
}

/// Measures the system calls that the guarantees add, on the smallest region.
fn guarantees() -> Table {
    let mut table = Table::new(
        "calls",
        "Create 4 KiB, by system call",
        "",
        "The cost of the system calls that the guarantees add. Two calls seal the size, one before and one after \
         setting it. One call reads the seals back, because a sandbox may pretend to set them.",
    );
    let time_create = |create: fn(usize, &dyn Fn(*mut u8))| time(256, || create(PAGE, &|memory| touch(memory, PAGE)));
    table.add_row(
        1.0,
        "4 KiB",
        vec![
            routine("system calls", || time_create(|size, touch| create_by_system_calls(size, touch, false, false))),
            routine("with seals", || time_create(|size, touch| create_by_system_calls(size, touch, true, false))),
            routine("with seals, read back", || {
                time_create(|size, touch| create_by_system_calls(size, touch, true, true))
            }),
            routine("heirloom", || time_create(by_key("name").create.expect("the candidate can create memory"))),
        ],
    );
    table
}

fn touch(memory: *mut u8, size: usize) {
    for offset in (0..size).step_by(PAGE) {
        // SAFETY: The offset is inside the mapping, which only this process uses.
        unsafe { memory.add(offset).write_volatile(1) };
    }
}
