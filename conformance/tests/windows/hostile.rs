//! Read-only can't be undone, the size is fixed, and what is data is no program.

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, SIZE, Target};
use heirloom_conformance::{open_regions, output, skip, text, wine};

use crate::{CHILD, child};

/// Holds what a hostile child told against what stands beside each attempt.
fn check(told: &str, target: Target) {
    assert_eq!(told.lines().count(), ATTEMPTS.len(), "{told}");
    for (attempt, line) in ATTEMPTS.iter().zip(told.lines()) {
        let mut expected = (attempt.answer(target), attempt.control);
        if let (Some((answers, why)), Some(version)) = (&attempt.wine, wine()) {
            skip(format_args!("{} on {target:?}, since this is Wine {version}: {why}", attempt.name));
            expected = (*answers).into();
        }
        assert_eq!(line, format!("{}\t{}\t{}", attempt.name, expected.0, expected.1), "{target:?}");
    }
}

fn frozen() -> FrozenRegion {
    FrozenRegion::from_bytes([7; SIZE]).unwrap()
}

#[test]
fn a_hostile_child_cannot_write_what_is_frozen_by_either_protocol() {
    let region = frozen();
    check(&output(child(&["hostile", "target"]).inherit("target", &region).unwrap()), Target::Frozen);
    // Where nothing lets a write through.
    assert!(wine().is_some() || *region.map().unwrap() == [7; SIZE]);

    // A fresh one: what Wine allows is done to the section for good.
    let region = frozen();
    let exported = region.export_inheritable().unwrap();
    let mut command = std::process::Command::new(CHILD);
    command.args(["hostile", "TARGET"]).env("TARGET", exported.as_str());
    check(&text(command.output().unwrap()), Target::Frozen);
}

#[test]
fn a_hostile_child_cannot_write_what_is_published_by_either_protocol() {
    for protocol in 1..=2 {
        let (region, writer) = Region::create(SIZE as u64).unwrap().into_read_only().unwrap();
        writer.write_at(0, &[7; SIZE]).unwrap();
        if protocol == 1 {
            check(&output(child(&["hostile", "target"]).inherit("target", &region).unwrap()), Target::ReadOnly);
        } else {
            let exported = region.export_inheritable().unwrap();
            let mut command = std::process::Command::new(CHILD);
            command.args(["hostile", "TARGET"]).env("TARGET", exported.as_str());
            check(&text(command.output().unwrap()), Target::ReadOnly);
        }
    }
}

#[test]
fn a_hostile_child_can_neither_resize_nor_run_what_it_may_write() {
    let region = Region::create(SIZE as u64).unwrap();
    check(&output(child(&["hostile", "target"]).inherit("target", &region).unwrap()), Target::Writable);
}

#[test]
fn no_handle_that_allows_writing_is_left_in_a_process_that_froze_or_published() {
    // The region, and by what it is found among another process's handles, without a word that it was handed out.
    let make = || {
        let before = open_regions();
        let region = Region::create(SIZE as u64).unwrap();
        let inode = open_regions().into_values().find(|inode| !before.values().any(|other| other == inode)).unwrap();
        (region, inode)
    };
    let take_from_this = |inode: u64| {
        output(&mut child(&["take-from", &std::process::id().to_string(), &inode.to_string()])).trim().to_owned()
    };
    // The control, and the door that Windows leaves open: what this process could write, another one of its user can.
    let (_open, inode) = make();
    assert_eq!(take_from_this(inode), "written");

    let (region, inode) = make();
    let (read_only, writer) = region.into_read_only().unwrap();
    assert_eq!(take_from_this(inode), "PermissionDenied");
    drop(writer);
    let frozen = read_only.freeze().unwrap();
    assert_eq!(take_from_this(inode), "PermissionDenied");
    assert_eq!(*frozen.map().unwrap(), [0; SIZE]);
}

#[test]
fn a_hostile_grandchild_fares_no_better() {
    let region = frozen();
    let mut command = child(&["pass-on", "target", "hostile", "target"]);
    check(&output(command.inherit("target", &region).unwrap()), Target::Frozen);
}
