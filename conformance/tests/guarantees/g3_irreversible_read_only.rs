//! G3, read-only is irreversible: no attempt of a hostile child writes to a frozen or a read-only region.

#![allow(unsafe_code)]

use heirloom::{FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, Attempt, SIZE, Target};

use crate::hostile_child::{fresh, try_all, try_all_by_c};

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
fn g3_hostile_child_cannot_write_frozen_region() {
    for (region, huge) in fresh() {
        let bytes = fill(&region);
        let region: FrozenRegion = region.freeze().unwrap();
        try_all(&region, || region.export_inheritable().unwrap(), Target::Frozen, huge);
        assert!(*region.map().unwrap() == bytes);
    }
    try_all_by_c("frozen", Target::Frozen);
}

#[test]
fn g3_hostile_child_cannot_write_read_only_region() {
    for (region, huge) in fresh() {
        let bytes = fill(&region);
        let (region, writer) = region.into_read_only().unwrap();
        try_all(&region, || region.export_inheritable().unwrap(), Target::ReadOnly, huge);
        assert!(read(&region) == bytes);
        // The one writer can still write.
        writer.write_at(0, b"news").unwrap();
        assert!(read(&region).starts_with(b"news"));
    }
    try_all_by_c("read-only", Target::ReadOnly);
}

#[test]
fn g3_earlier_mapping_can_still_be_made_writable() {
    // A read-only mapping from before, made through a writable descriptor, can still be made writable.
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
        // It blocks freezing, so no region that can still change becomes a `FrozenRegion`.
        let refused = read_only.freeze().unwrap_err();
        assert_eq!(refused.error().kind(), heirloom::ErrorKind::StillWritable);
        munmap(before, len).unwrap();
        refused.into_inner().freeze().unwrap();
    }
}

#[test]
fn g3_every_attempt_is_listed_once() {
    let mut names: Vec<_> = ATTEMPTS.iter().map(|attempt: &Attempt| attempt.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ATTEMPTS.len());
    assert_eq!(names.len(), 45);
}
