//! Read-only can't be undone, the size is fixed, and what is data is no program.

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, SIZE, Target};
use heirloom_conformance::{open_regions, output, skip, text, wine};

use crate::{CHILD, child};

/// Holds what a hostile child told against what stands beside each attempt.
fn check(report: &str, target: Target) {
    assert_eq!(report.lines().count(), ATTEMPTS.len(), "{report}");
    for (attempt, line) in ATTEMPTS.iter().zip(report.lines()) {
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
fn hostile_child_cannot_write_frozen_region() {
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
fn hostile_child_cannot_write_read_only_region() {
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
fn hostile_child_cannot_resize_or_execute() {
    let region = Region::create(SIZE as u64).unwrap();
    check(&output(child(&["hostile", "target"]).inherit("target", &region).unwrap()), Target::Writable);
}

#[test]
fn conversion_leaves_no_writable_handle() {
    // The region, and by what it is found among another process's handles, without a word that it was handed out.
    let make = || {
        let before = open_regions();
        let region = Region::create(SIZE as u64).unwrap();
        let inode = open_regions().into_values().find(|inode| !before.values().any(|other| other == inode)).unwrap();
        (region, inode)
    };
    let take_from_this = |inode: u64| {
        output(&mut child(&["write-handle-of", &std::process::id().to_string(), &inode.to_string()])).trim().to_owned()
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
fn hostile_grandchild_cannot_write_frozen_region() {
    let region = frozen();
    let mut command = child(&["pass-on", "target", "hostile", "target"]);
    check(&output(command.inherit("target", &region).unwrap()), Target::Frozen);
}
