//! The child's first steps: from the start of its `main` to its first byte in the memory.

use std::os::fd::{AsFd, AsRawFd};

use heirloom::Region;

use super::Findings;
use crate::sheet::{Sheet, size_label};
use heirloom_bench::SPENT;
use heirloom_bench::measure::{candidate, time};
use heirloom_bench::ways::{WAYS, way};

pub fn measure() -> Findings {
    let mut sheet = Sheet::new(
        "attach",
        "Attach in the child",
        "size",
        "From the start of main to the first byte written, measured by the child itself, once in each child. The bare calls \
         are duplicate, fstat, F_GET_SEALS and mmap of a descriptor whose number it is told.",
    );
    for size in [4 << 10, 1 << 20, 1 << 30, 64 << 30] {
        let ways = WAYS.iter().filter(|way| way.attach.is_some() && (way.key != "ipc" || size <= 1 << 20));
        let parents: Vec<_> = ways.filter_map(|way| Some((way.name, way.parent?(size)))).collect();
        let candidates = parents.into_iter().map(|(name, mut parent)| {
            candidate(name, move || {
                (parent.start)()();
                // SAFETY: The child that wrote it there is gone.
                f64::from_ne_bytes(unsafe { parent.memory.add(SPENT).cast::<[u8; 8]>().read_volatile() })
            })
        });
        sheet.row(size as f64, size_label(size as u64), candidates.collect());
    }
    let mut findings = Findings::default();
    for row in [1, 3] {
        for name in ["heirloom, by name", "heirloom, by string"] {
            let what = format!("attach {name}, {}, to the bare calls", sheet.places[row].1);
            let why = "a new process runs each instruction for the first time; see \"again and again\"";
            findings.at_most(what, 1.3, sheet.ratio(name, "bare calls", row), why);
        }
    }
    findings.sheets.push(sheet);
    again(&mut findings);
    findings
}

/// What it takes once its code is in the processor's caches.
fn again(findings: &mut Findings) {
    let mut sheet = Sheet::new(
        "attach-again",
        "Attach, map, touch, unmap and close, again and again",
        "",
        "1 MiB, by one process that already did: what the calls and checks take without a new process's page faults.",
    );
    let region = Region::create(1 << 20).unwrap();
    let exported = region.export_inheritable().unwrap();
    let number = exported.as_fd().as_raw_fd().to_string();
    let bare = || {
        let memory = way("bare").attach.expect("children of that way")(&number);
        // SAFETY: Mapped just now, with that size, and nobody else uses it.
        unsafe {
            memory.write_volatile(1);
            rustix::mm::munmap(memory.cast(), 1 << 20).unwrap();
        }
    };
    let ours = || {
        let view = Region::import(exported.as_str()).unwrap().map().unwrap();
        // SAFETY: Mapped just now, and nobody else uses it.
        unsafe { view.as_mut_ptr().write_volatile(1) };
    };
    let candidates =
        vec![candidate("bare calls", || time(1000, bare)), candidate("heirloom, by string", || time(1000, ours))];
    sheet.row(1.0, "1 MiB", candidates);
    findings.at_most(
        "attach again by string, to the bare calls",
        1.3,
        sheet.ratio("heirloom, by string", "bare calls", 0),
        "",
    );
    findings.sheets.push(sheet);
}
