//! Read-only is irreversible, the size is fixed, and regions are not executable.

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, SIZE, Target};
use heirloom_conformance::{open_regions, output, skip, text, wine};

use crate::{CHILD, child};

/// Compares the results that a hostile child printed with the expected ones.
fn check(report: &str, target: Target) {
    assert_eq!(report.lines().count(), ATTEMPTS.len(), "{report}");
    for (attempt, line) in ATTEMPTS.iter().zip(report.lines()) {
        let mut expected = (attempt.answer(target), attempt.control);
        if let (Some((answers, why)), Some(version)) = (&attempt.wine, wine()) {
            skip(format_args!("{} on {target:?}, because this is Wine {version}: {why}", attempt.name));
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
    // Wine lets some writes through.
    assert!(wine().is_some() || *region.map().unwrap() == [7; SIZE]);

    // A new region, because Wine's writes changed the first one.
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
    // A region, and the inode that finds it among another process's handles. `as_handle` would count as sharing the
    // handle.
    let make = || {
        let before = open_regions();
        let region = Region::create(SIZE as u64).unwrap();
        let inode = open_regions().into_values().find(|inode| !before.values().any(|other| other == inode)).unwrap();
        (region, inode)
    };
    let write_from_child = |inode: u64| {
        output(&mut child(&["write-handle-of", &std::process::id().to_string(), &inode.to_string()])).trim().to_owned()
    };
    // The control, and a documented limit of Windows: another process of the same user can write to a writable region.
    let (_open, inode) = make();
    assert_eq!(write_from_child(inode), "written");

    let (region, inode) = make();
    let (read_only, writer) = region.into_read_only().unwrap();
    assert_eq!(write_from_child(inode), "PermissionDenied");
    drop(writer);
    let frozen = read_only.freeze().unwrap();
    assert_eq!(write_from_child(inode), "PermissionDenied");
    assert_eq!(*frozen.map().unwrap(), [0; SIZE]);
}

#[test]
fn hostile_grandchild_cannot_write_frozen_region() {
    let region = frozen();
    let mut command = child(&["pass-on", "target", "hostile", "target"]);
    check(&output(command.inherit("target", &region).unwrap()), Target::Frozen);
}
