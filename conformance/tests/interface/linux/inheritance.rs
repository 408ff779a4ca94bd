//! Protocol one through the standard library's command, and through a launcher in Python.

use heirloom::os::unix::InheritExt;
use heirloom::{ErrorKind, Region};

use crate::linux::python;
use crate::{CHILD, output};

#[test]
fn bad_names_and_names_in_use_are_refused_by_the_standard_librarys_command_too() {
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
    // What was refused changed nothing.
    assert_eq!(command.output().unwrap().stdout, b"\"a\" writable 1 there\n");
}

#[test]
fn through_the_standard_library_the_environment_carries_the_names() {
    let region = Region::create(4096).unwrap();
    let mut command = std::process::Command::new(CHILD);
    command.args(["take", "region:a"]).inherit("a", &region).unwrap();
    assert_eq!(command.output().unwrap().stdout, b"ok 4096\n");
    // As its page says: cleared afterwards, the names are lost.
    let told = command.env_clear().output().unwrap().stdout;
    assert!(told.starts_with(b"NotInherited: "));
}

#[test]
fn a_launcher_that_closes_descriptors_is_named_in_the_error() {
    let region = Region::create(4096).unwrap();
    let Some(mut command) = python() else { return };
    command.args(["-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", CHILD, "take", "region:a"]);
    let told = output(command.inherit("a", &region).unwrap());
    assert!(told.starts_with("Mismatch: ") && told.contains("a launcher closed its descriptor"), "{told}");
    assert!(told.contains("pass_fds"), "{told}");
}
