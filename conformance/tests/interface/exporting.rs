//! Export strings, for children that are started by other means.

use std::process::Command;

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::{is_inheritable, number, text};

use crate::CHILD;

fn report_of(command: &mut Command) -> String {
    text(command.output().unwrap())
}

#[test]
fn inheritable_export_reaches_children_until_dropped() {
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    let regions = || report_of(Command::new(CHILD).arg("regions"));
    assert_eq!(regions().lines().count(), 1);
    report_of(Command::new(CHILD).args(["import-and-write", "FRAMES", "imported"]).env("FRAMES", exported.as_str()));
    let mut seen = [0; 8];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"imported");
    drop(exported);
    assert_eq!(regions(), "");
}

#[test]
fn each_kind_imports_only_as_itself() {
    let region = Region::create(1000).unwrap();
    let (read_only, _writer) = Region::create(2000).unwrap().into_read_only().unwrap();
    let frozen = FrozenRegion::from_bytes([0; 3000]).unwrap();
    let exports =
        [region.export_inheritable(), read_only.export_inheritable(), frozen.export_inheritable()].map(Result::unwrap);
    let mut command = Command::new(CHILD);
    for (name, export) in ["REGION", "READ_ONLY", "FROZEN"].iter().zip(&exports) {
        command.env(name, export.as_str());
    }
    let all = ["region", "read-only", "frozen"];
    let names = ["REGION", "READ_ONLY", "FROZEN"];
    command.arg("import").args(all.iter().flat_map(|kind| names.map(|name| format!("{kind}:{name}"))));
    let report = report_of(&mut command);
    for (index, line) in report.lines().enumerate() {
        if index % 4 == 0 {
            assert_eq!(line, format!("ok {}", (index / 4 + 1) * 1000));
        } else {
            assert!(line.starts_with("WrongKind: "), "{index}: {line}");
        }
    }
    assert_eq!(report.lines().count(), 9);
}

#[test]
fn import_owned_leaves_rejected_descriptor_open() {
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    let report = report_of(Command::new(CHILD).args(["import-owned", "FRAMES"]).env("FRAMES", exported.as_str()));
    // Two rejected imports leave the descriptor open. The third keeps the number and sets close-on-exec. Dropping the
    // region closes it.
    assert_eq!(report, "WrongKind Mismatch 1\ntrue false\n0\n");
}

#[test]
fn own_export_is_never_claimed_or_changed() {
    let report = report_of(Command::new(CHILD).arg("take-own-export"));
    assert!(report.starts_with("NotInherited: ") && report.ends_with("\ntrue\n"), "{report}");
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    Region::import(exported.as_str()).unwrap();
    assert!(is_inheritable(number(&exported)));
}

#[test]
fn export_string_starts_like_nsprs() {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    assert!(exported.as_str().starts_with(&format!("{}:1:", number(&exported))));
    let region = FrozenRegion::from_bytes("x").unwrap();
    let frozen = region.export().unwrap();
    assert!(frozen.as_str().starts_with(&format!("{}:0:", number(&frozen))));
    let template = region.copy_on_write().unwrap().export().unwrap();
    assert!(template.as_str().starts_with(&format!("{}:2:", number(&template))));
    let imported = [&frozen, &template].map(|export| FrozenRegion::import(export.as_str()).unwrap().is_copy_on_write());
    assert_eq!(imported, [false, true]);
    assert!(exported.as_str().len() < 128);
}
