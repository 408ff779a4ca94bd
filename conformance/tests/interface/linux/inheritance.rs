//! Inheritance by name through the standard library's command, and through a launcher in Python.

use heirloom::os::unix::InheritExt;
use heirloom::{ErrorKind, Region};

use crate::linux::python;
use crate::{CHILD, output};

#[test]
fn std_command_rejects_invalid_and_duplicate_names() {
    let region = Region::create(1).unwrap();
    let mut command = std::process::Command::new(CHILD);
    command.arg("list").inherit("a", &region).unwrap();
    for (name, kind) in [
        ("", ErrorKind::InvalidInput),
        ("a\0", ErrorKind::InvalidInput),
        (&*"x".repeat(241), ErrorKind::InvalidInput),
        ("a", ErrorKind::NameInUse),
    ] {
        assert_eq!(command.inherit(name, &region).unwrap_err().kind(), kind, "{name:?}");
    }
    // A rejected name leaves the command unchanged.
    assert_eq!(command.output().unwrap().stdout, b"\"a\" writable 1 there\n");
}

#[test]
fn std_command_env_clear_loses_the_names() {
    let region = Region::create(4096).unwrap();
    let mut command = std::process::Command::new(CHILD);
    command.args(["take", "region:a"]).inherit("a", &region).unwrap();
    assert_eq!(command.output().unwrap().stdout, b"ok 4096\n");
    // As documented, clearing the environment afterwards loses the names.
    let report = String::from_utf8(command.env_clear().output().unwrap().stdout).unwrap();
    assert!(report.starts_with("NotInherited: ") && report.contains("after any env_clear"), "{report}");
}

#[test]
fn closed_descriptor_error_mentions_the_launcher() {
    let region = Region::create(4096).unwrap();
    let Some(mut command) = python() else { return };
    command.args(["-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", CHILD, "take", "region:a"]);
    let report = output(command.inherit("a", &region).unwrap());
    assert!(
        report.starts_with("Mismatch: ") && report.contains("a launcher in between probably closed it"),
        "{report}"
    );
    assert!(report.contains("pass_fds"), "{report}");
}
