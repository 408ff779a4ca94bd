//! Inheritance by name: names, kinds, and the child's results.

use std::io::Write;

use heirloom::{ErrorKind, FrozenRegion, Region, Stdio};

use crate::{child, output};

#[test]
fn each_kind_is_inherited_by_name_and_only_once() {
    let region = Region::create(1000).unwrap();
    let (read_only, _writer) = Region::create(2000).unwrap().into_read_only().unwrap();
    let frozen = FrozenRegion::from_bytes([0; 3000]).unwrap();
    let mut command = child(&[
        "take",
        "region:a=b:c%d,e",
        "read-only: \n",
        "frozen:🦀",
        "region:a=b:c%d,e",
        "frozen:never",
        "region:🦀",
        "read-only:🦀",
    ]);
    command.inherit("a=b:c%d,e", &region).unwrap();
    command.inherit(" \n", &read_only).unwrap();
    command.inherit("🦀", &frozen).unwrap();
    let report = output(&mut command);
    let report: Vec<_> = report.lines().collect();
    assert_eq!(report[..3], ["ok 1000", "ok 2000", "ok 3000"]);
    assert!(report[3].starts_with("AlreadyTaken: "), "{report:?}");
    assert!(
        report[4].starts_with("NotInherited: ") && report[4].contains(r#"[" \n", "a=b:c%d,e", "🦀"]"#),
        "{report:?}"
    );
    assert!(report[5].starts_with("WrongKind: ") && report[5].contains("frozen"), "{report:?}");
    assert!(report[6].starts_with("WrongKind: "), "{report:?}");
}

#[test]
fn invalid_and_duplicate_names_are_rejected() {
    let region = Region::create(1).unwrap();
    let mut command = child(&["list"]);
    command.inherit("a", &region).unwrap();
    for (name, kind) in [
        ("", ErrorKind::InvalidInput),
        ("a\0", ErrorKind::InvalidInput),
        (&*"x".repeat(241), ErrorKind::InvalidInput),
        ("a", ErrorKind::NameInUse),
    ] {
        assert_eq!(command.inherit(name, &region).unwrap_err().kind(), kind, "{name:?}");
    }
    // A rejected name leaves the command unchanged.
    assert_eq!(output(&mut command), "\"a\" writable 1 there\n");
}

#[test]
fn failed_inherit_does_not_block_freeze() {
    let region = Region::create(1).unwrap();
    let error = child(&["list"]).inherit("", &region).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    region.freeze().unwrap();
}

#[test]
fn parent_reads_what_child_writes() {
    let region = Region::create(4096).unwrap();
    output(child(&["write", "a", "hello, parent"]).inherit("a", &region).unwrap());
    let mut seen = [0; 13];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"hello, parent");
}

#[test]
fn concurrent_fetch_add_loses_nothing() {
    let region = Region::create(4096).unwrap();
    let mut children: Vec<_> =
        (0..4).map(|_| child(&["add", "sum", "50000"]).inherit("sum", &region).unwrap().spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(region.map().unwrap().load_u64(0).unwrap(), 200_000);
}

#[test]
fn child_sees_writes_made_after_spawn() {
    let (region, writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let mut reader = child(&["watch-read-only", "a"]);
    reader.stdin(Stdio::piped()).stdout(Stdio::piped()).inherit("a", &region).unwrap();
    let mut reader = reader.spawn().unwrap();
    let mut input = reader.stdin.take().unwrap();
    let mut answers = std::io::BufReader::new(reader.stdout.take().unwrap());
    for number in [1, 1 << 40, u64::MAX] {
        writer.atomic_u64(8).unwrap().store(number);
        writeln!(input).unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut answers, &mut line).unwrap();
        assert_eq!(line.trim(), number.to_string());
    }
    drop(input);
    assert!(reader.wait().unwrap().success());
}

#[test]
fn handle_may_be_dropped_before_spawn() {
    let mut command = child(&["print-frozen", "a"]);
    command.inherit("a", &FrozenRegion::from_bytes("still there").unwrap()).unwrap();
    // New regions must not get the same descriptor number.
    let _others: Vec<_> = (0..20).map(|_| Region::create(1).unwrap()).collect();
    assert_eq!(output(&mut command), "still there");
    assert_eq!(output(&mut command), "still there", "a command can be started again");
}

#[test]
fn names_beyond_the_variable_limit_are_rejected() {
    let region = Region::create(1).unwrap();
    let long = "x".repeat(200);
    let mut command = child(&["list"]);
    let mut names = 0;
    let error = loop {
        match command.inherit(&format!("{long}{names}"), &region) {
            Ok(_) => names += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooMany);
    assert!(names > 100, "{names}");
    assert_eq!(output(&mut command).lines().filter(|line| line.ends_with("there")).count(), names);
}

#[test]
fn grandchild_inherits_only_what_its_parent_names() {
    let region = Region::create(4096).unwrap();
    // The child claims, and starts the grandchild through the standard library: the variable is passed on, the
    // descriptor is not.
    let mut command = child(&["claim-and-spawn-std", "take", "region:a"]);
    let report = output(command.inherit("a", &region).unwrap());
    assert!(report.starts_with("Mismatch: ") && report.contains("left over from an ancestor"), "{report}");
}
