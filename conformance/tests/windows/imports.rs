//! Validated import: `import` rejects any other handle and leaves it unchanged.

use std::fs::File;
use std::io::ErrorKind as Io;
use std::os::windows::io::AsRawHandle;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use heirloom::{ErrorKind, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::{Owned, hostile, is_inheritable, number, text};

use crate::{CHILD, child};

/// An export string with one field replaced.
fn with(string: &str, index: usize, value: &str) -> String {
    let mut fields: Vec<_> = string.split(':').collect();
    fields[index] = value;
    fields.join(":")
}

#[test]
fn mismatched_import_leaves_handles_untouched() {
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    let string = exported.as_str();
    let other = Region::create(4096).unwrap();
    let other = other.export().unwrap();
    let file = tempfile::tempfile().unwrap();
    let section = hostile::control().unwrap();
    let number_of = |string: &str| string.split(':').next().unwrap().to_owned();
    let (own, others) = (number_of(string), number_of(other.as_str()));
    let next = (own.parse::<i32>().unwrap() + 1).to_string();
    for (bad, kind) in [
        (with(string, 0, &others), ErrorKind::Mismatch),
        (with(string, 0, &number(&file).to_string()), ErrorKind::Mismatch),
        (with(string, 0, &number(&section).to_string()), ErrorKind::Mismatch),
        // Windows ignores the two low bits of a handle, so this would be the same one.
        (with(string, 0, &next), ErrorKind::Mismatch),
        (with(string, 0, "0"), ErrorKind::Mismatch),
        (with(string, 0, "2147483644"), ErrorKind::Mismatch),
        (with(string, 4, "4095"), ErrorKind::Mismatch),
        (with(string, 4, "8192"), ErrorKind::Mismatch),
        (with(string, 5, "1"), ErrorKind::Mismatch),
        (with(string, 6, "1"), ErrorKind::Mismatch),
        (with(string, 1, "0"), ErrorKind::Malformed),
        (with(string, 2, "2"), ErrorKind::Malformed),
        (with(string, 3, "unsealed"), ErrorKind::Mismatch),
        (with(&with(string, 1, "0"), 3, "frozen"), ErrorKind::WrongKind),
        (format!("{string}:"), ErrorKind::Malformed),
    ] {
        let error = Region::import(&bad).unwrap_err();
        assert_eq!(error.kind(), kind, "{bad}: {error}");
    }
    // A false string does not make a writable region read-only or frozen.
    let as_frozen = with(&with(string, 1, "0"), 3, "frozen");
    assert_eq!(FrozenRegion::import(&as_frozen).unwrap_err().kind(), ErrorKind::Mismatch);
    let as_read_only = with(&with(string, 1, "0"), 3, "read-only");
    assert_eq!(ReadOnlyRegion::import(&as_read_only).unwrap_err().kind(), ErrorKind::Mismatch);
    // Rejected handles are unchanged. The control: the true string is accepted.
    assert!(is_inheritable(number(&exported)) && file.metadata().is_ok());
    assert_eq!(Region::import(string).unwrap().size(), 4096);
}

#[test]
fn foreign_sections_and_files_are_rejected() {
    let section = hostile::control().unwrap();
    let file: Owned = File::open(CHILD).unwrap().into();
    for handle in [section, file] {
        let before = handle.as_raw_handle();
        let refused = Region::try_from(handle).unwrap_err();
        assert_eq!(refused.error().kind(), ErrorKind::Mismatch, "{}", refused.error());
        assert_eq!(refused.into_inner().as_raw_handle(), before);
    }
}

#[test]
fn read_only_region_is_not_inherited_as_frozen() {
    let (read_only, _writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let exported = read_only.export_inheritable().unwrap();
    let lie = exported.as_str().replace(":read-only:", ":frozen:");
    let mut command = Command::new(CHILD);
    command.args(["take", "frozen:a"]).env("HEIRLOOM_REGIONS", format!("a={lie}"));
    let report = text(command.output().unwrap());
    assert!(report.starts_with("Mismatch: ") && report.contains("seal"), "{report}");
    // The control: the true kind.
    command = Command::new(CHILD);
    command.args(["take", "read-only:a"]).env("HEIRLOOM_REGIONS", format!("a={exported}"));
    assert_eq!(text(command.output().unwrap()), "ok 4096\n");
}

#[test]
fn duplicate_handle_is_rejected() {
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    let number = number(&exported);
    for (value, message) in [
        (format!("a={exported},b={exported}"), "more than once"),
        (format!("b={exported},a={}", with(exported.as_str(), 0, &(number + 1).to_string())), "is closed"),
    ] {
        let mut command = Command::new(CHILD);
        command.args(["take", "region:a"]).env("HEIRLOOM_REGIONS", value);
        let report = text(command.output().unwrap());
        assert!(report.starts_with("Mismatch: ") && report.contains(message), "{report}");
    }
}

#[test]
fn import_during_a_start_keeps_handle_inheritable() {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    // The handle that each start makes inheritable while it runs.
    let string = with(exported.as_str(), 0, &number(&region).to_string());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let importer = scope.spawn(|| {
            let mut imports = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(Region::import(&string).unwrap().size(), 4096);
                imports += 1;
            }
            imports
        });
        let start = |_| child(&["take", "region:a"]).inherit("a", &region).unwrap().output();
        let outputs: Vec<_> = (0..30).map(start).collect();
        over.store(true, Ordering::Relaxed);
        assert!(importer.join().unwrap() > 30);
        for output in outputs {
            assert_eq!(text(output.unwrap()), "ok 4096\n");
        }
    });
    assert!(!is_inheritable(number(&region)));
}

#[test]
fn error_converts_to_io_error_kind() {
    let error: std::io::Error = Region::import("4:1:1:writable:1:1:1").unwrap_err().into();
    assert_eq!(error.kind(), Io::InvalidData);
}
