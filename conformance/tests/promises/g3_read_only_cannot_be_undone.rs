//! G3, read-only can't be undone; G4, the size is fixed; G5, it is data, not a program: what a hostile holder tries, each
//! attempt with its exact answer, and beside it the same call on memory without seals, where it must succeed. Each kind of
//! region, in ordinary and in huge pages, handed down in every way there is.

#![allow(unsafe_code)]

use heirloom::os::unix::InheritExt;
use heirloom::{AsRegion, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, Attempt, HUGE_SIZE, SIZE, Target};
use heirloom_conformance::{output, skip, text};

use crate::{CHILD, child};

/// What a child tells of its attempts, compared with what must come of them.
fn compare(told: &str, target: Target, huge: bool) {
    let answers: Vec<Vec<_>> = told.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(answers.len(), ATTEMPTS.len(), "{told}");
    let mut wrong = Vec::new();
    for (attempt, answer) in ATTEMPTS.iter().zip(answers) {
        assert_eq!(answer[0], attempt.name);
        let expected = [attempt.answer(target, huge), attempt.control(huge)];
        if answer[1..] != expected.map(|errno| errno.to_string()) {
            wrong.push(format!("{}: {:?}, not {expected:?}", attempt.name, &answer[1..]));
        }
    }
    assert!(wrong.is_empty(), "{target:?}, huge pages: {huge}: answer and control of\n{}", wrong.join("\n"));
}

/// Hands it down in every way that the Rust library has, to children that try everything.
fn try_all(region: &impl AsRegion, export: impl Fn() -> heirloom::ExportedRegion, target: Target, huge: bool) {
    let inherited = ["hostile", "target"];
    compare(&output(child(&inherited).inherit("target", region).unwrap()), target, huge);
    let mut command = std::process::Command::new(CHILD);
    compare(&text(command.args(inherited).inherit("target", region).unwrap().output().unwrap()), target, huge);
    let exported = export();
    let mut command = std::process::Command::new(CHILD);
    command.args(["hostile", "TARGET"]).env("TARGET", exported.as_str());
    compare(&text(command.output().unwrap()), target, huge);
}

/// Fresh memory, in ordinary and where there are some in huge pages.
fn fresh() -> Vec<(Region, bool)> {
    let mut regions = vec![(Region::create(SIZE as u64).unwrap(), false)];
    match Region::options().huge_pages(true).create(HUGE_SIZE as u64) {
        Ok(region) => regions.push((region, true)),
        Err(error) => skip(format_args!("no huge pages (sysctl vm.nr_hugepages=8): {error}")),
    }
    regions
}

/// By the C library too, which makes the memory itself.
fn try_all_by_c(kind: &str, target: Target) {
    let Some(library) = crate::c_library() else { return };
    for protocol in ["by-name", "by-string"] {
        compare(&output(&mut child(&["hostile-by-c", library, kind, protocol])), target, false);
    }
}

fn fill(region: &Region) -> Vec<u8> {
    let bytes = vec![7; usize::try_from(region.size()).unwrap()];
    region.map().unwrap().write_at(0, &bytes).unwrap();
    bytes
}

fn read(region: &ReadOnlyRegion) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(region.size()).unwrap()];
    region.map().unwrap().read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn g3_no_way_leads_into_a_frozen_region() {
    for (region, huge) in fresh() {
        let bytes = fill(&region);
        let region: FrozenRegion = region.freeze().unwrap();
        try_all(&region, || region.export_inheritable().unwrap(), Target::Frozen, huge);
        assert!(*region.map().unwrap() == bytes);
    }
    try_all_by_c("frozen", Target::Frozen);
}

#[test]
fn g3_no_way_leads_into_a_published_region() {
    for (region, huge) in fresh() {
        let bytes = fill(&region);
        let (region, writer) = region.into_read_only().unwrap();
        try_all(&region, || region.export_inheritable().unwrap(), Target::ReadOnly, huge);
        assert!(read(&region) == bytes);
        // The one writer goes on.
        writer.write_at(0, b"news").unwrap();
        assert!(read(&region).starts_with(b"news"));
    }
    try_all_by_c("read-only", Target::ReadOnly);
}

#[test]
fn g4_the_size_of_a_writable_region_is_fixed() {
    for (region, huge) in fresh() {
        let size = region.size();
        try_all(&region, || region.export_inheritable().unwrap(), Target::Writable, huge);
        assert_eq!(rustix::fs::fstat(&region).unwrap().st_size, i64::try_from(size).unwrap());
    }
    try_all_by_c("writable", Target::Writable);
}

#[test]
fn g3_what_was_mapped_or_pinned_before_is_what_the_docs_say() {
    // A view for reading from before, through a descriptor for both: it can still be made writable.
    let region = Region::create(SIZE as u64).unwrap();
    let (address, len) = (std::ptr::null_mut(), SIZE);
    // SAFETY: The kernel chooses the address, and nothing else uses the mapping.
    unsafe {
        use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};
        let before = mmap(address, len, ProtFlags::READ, MapFlags::SHARED, &region, 0).unwrap();
        let (read_only, writer) = region.into_read_only().unwrap();
        drop(writer);
        mprotect(before, len, MprotectFlags::READ | MprotectFlags::WRITE).unwrap();
        before.cast::<u8>().write_volatile(1);
        assert_eq!(read(&read_only)[0], 1);
        // And keeps the region from being frozen, so that nobody takes it for what it isn't.
        let refused = read_only.freeze().unwrap_err();
        assert_eq!(refused.error().kind(), heirloom::ErrorKind::StillWritable);
        munmap(before, len).unwrap();
        refused.into_inner().freeze().unwrap();
    }
}

#[test]
fn g3_the_table_has_each_way_once() {
    let mut names: Vec<_> = ATTEMPTS.iter().map(|attempt: &Attempt| attempt.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ATTEMPTS.len());
    assert_eq!(names.len(), 45);
}
