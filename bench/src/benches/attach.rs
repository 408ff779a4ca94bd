//! Attaching in the child: from the start of its `main` to the first byte written to the memory.

use std::os::fd::{AsFd, AsRawFd};

use heirloom::Region;

use super::Results;
use crate::table::{Table, size_label};
use heirloom_bench::ATTACH_TIME_OFFSET;
use heirloom_bench::candidates::{CANDIDATES, by_key};
use heirloom_bench::measure::{routine, time};

pub fn measure() -> Results {
    let mut table = Table::new(
        "attach",
        "Attach in the child",
        "size",
        "From the start of `main` to the first byte written. Each child measures itself once. The system calls are \
         F_DUPFD_CLOEXEC, fstat, F_GET_SEALS and mmap, on a descriptor whose number the child gets as an argument.",
    );
    for size in [4 << 10, 1 << 20, 1 << 30, 64 << 30] {
        let candidates = CANDIDATES.iter().filter(|candidate| candidate.attach.is_some());
        let candidates = candidates.filter(|candidate| candidate.key != "ipc" || size <= 1 << 20);
        let parents: Vec<_> =
            candidates.filter_map(|candidate| Some((candidate.name, candidate.parent?(size)))).collect();
        let routines = parents.into_iter().map(|(name, mut parent)| {
            routine(name, move || {
                (parent.start)()();
                // SAFETY: The child wrote these bytes and has exited, and the mapping is at least one page.
                f64::from_ne_bytes(unsafe { parent.memory.add(ATTACH_TIME_OFFSET).cast::<[u8; 8]>().read_volatile() })
            })
        });
        table.add_row(size as f64, size_label(size as u64), routines.collect());
    }
    let mut results = Results::default();
    for row in [1, 3] {
        for name in ["heirloom, by name", "heirloom, by export string"] {
            let metric = format!("{name}: attach {}, ratio to system calls", table.rows[row].1);
            let reason = "a new process runs each instruction for the first time; see \"Attach, map, touch, unmap and \
                          close, repeatedly\"";
            results.at_most(metric, 1.3, table.ratio(name, "system calls", row), reason);
        }
    }
    results.tables.push(table);
    repeatedly(&mut results);
    results
}

/// Measures attaching while the code is in the processor's caches.
fn repeatedly(results: &mut Results) {
    let mut table = Table::new(
        "attach-again",
        "Attach, map, touch, unmap and close, repeatedly",
        "",
        "1 MiB, in one process after a warm-up: the system calls and checks without the page faults of a new process.",
    );
    let region = Region::create(1 << 20).unwrap();
    let exported = region.export_inheritable().unwrap();
    let number = exported.as_fd().as_raw_fd().to_string();
    let system_calls = || {
        let memory = by_key("system_calls").attach.expect("the candidate can attach")(&number);
        // SAFETY: `attach` mapped the region with this size, and only this closure has the address.
        unsafe {
            memory.write_volatile(1);
            rustix::mm::munmap(memory.cast(), 1 << 20).unwrap();
        }
    };
    let ours = || {
        let view = Region::import(exported.as_str()).unwrap().map().unwrap();
        // SAFETY: The mapping is writable and at least one page, and only this closure has it.
        unsafe { view.as_mut_ptr().write_volatile(1) };
    };
    let routines = vec![
        routine("system calls", || time(1000, system_calls)),
        routine("heirloom, by export string", || time(1000, ours)),
    ];
    table.add_row(1.0, "1 MiB", routines);
    results.at_most(
        "heirloom, by export string: attach 1 MiB repeatedly, ratio to system calls",
        1.3,
        table.ratio("heirloom, by export string", "system calls", 0),
        "",
    );
    results.tables.push(table);
}
