//! Making memory, mapping it, touching it, and giving it back.

use super::Findings;
use crate::sheet::{Sheet, size_label};
use heirloom_bench::measure::{Candidate, candidate, time};
use heirloom_bench::ways::{WAYS, bare_create, is_there, way};

const PAGE: usize = 4096;

/// Beyond this, only the first page is touched.
const TOUCHED: usize = 64 << 20;

/// ipc-channel fills what it makes; no more than this.
const FILLED: usize = 64 << 20;

pub fn measure() -> Findings {
    let mut sheet = Sheet::new(
        "create",
        "Create, map, touch, unmap and close",
        "size",
        "Every page is touched up to 64 MiB, beyond that only the first. NSPR's files are in /dev/shm. ipc-channel fills what \
         it makes.",
    );
    let python = crate::chapters::spawn::python(0);
    for size in [4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 1 << 30, 16 << 30, 64 << 30] {
        let touched = if size <= TOUCHED { size } else { 1 };
        let calls = u32::try_from((4 << 20) / touched.max(16 << 10)).unwrap().max(1);
        let ways = WAYS.iter().filter(|way| is_there(way) && (way.key != "ipc" || size <= FILLED));
        // What NSPR maps, it counts in 32 bits.
        let ways = ways.filter(|way| !["c", "nspr"].contains(&way.key) || u32::try_from(size).is_ok());
        let mut candidates: Vec<Candidate> = ways
            .filter_map(|way| {
                let create = way.create?;
                Some(candidate(way.name, move || time(calls, || create(size, &|memory| touch(memory, touched)))))
            })
            .collect();
        // Its segments are files of /dev/shm, which has a size.
        if let Some(python) = python.as_ref().filter(|_| size <= 1 << 30) {
            candidates.push(candidate("Python multiprocessing", || python.order(&format!("create {size} {touched}"))));
        }
        sheet.row(size as f64, size_label(size as u64), candidates);
    }
    let mut findings = Findings::default();
    findings.sheets.push(calls());
    for (row, (_, size)) in sheet.places.iter().enumerate() {
        let ratio = sheet.ratio("heirloom, by name", "bare calls", row);
        findings.at_most(
            format!("create, map, touch, unmap, close {size}, to the bare calls"),
            1.05,
            ratio,
            "three calls more, see \"call by call\"",
        );
    }
    findings.sheets.insert(0, sheet);
    findings
}

/// Where the time of the smallest region goes.
fn calls() -> Sheet {
    let mut sheet = Sheet::new(
        "calls",
        "Create 4 KiB, call by call",
        "",
        "What the promises cost: the size is sealed around setting it, two calls; and a size beyond `ulimit -f` would be a \
         signal, so the limit is asked for first, one call.",
    );
    let all = |create: fn(usize, &dyn Fn(*mut u8))| time(256, || create(PAGE, &|memory| touch(memory, PAGE)));
    sheet.row(
        1.0,
        "4 KiB",
        vec![
            candidate("bare calls", || all(|size, touch| bare_create(size, touch, false, false))),
            candidate("with the seals", || all(|size, touch| bare_create(size, touch, true, false))),
            candidate("with the seals and the limit", || all(|size, touch| bare_create(size, touch, true, true))),
            candidate("heirloom", || all(way("name").create.expect("a way to create"))),
        ],
    );
    sheet
}

fn touch(memory: *mut u8, size: usize) {
    for offset in (0..size).step_by(PAGE) {
        // SAFETY: Inside a mapping of that size that nobody else uses.
        unsafe { memory.add(offset).write_volatile(1) };
    }
}
