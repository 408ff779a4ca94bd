//! `HEIRLOOM_REGIONS` in a child: absent, empty, malformed or hostile.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use heirloom::Region;
use heirloom::os::unix::InheritExt;
use heirloom_conformance::{emulated, skip, text};

use crate::CHILD;

/// Runs a child with that value of the variable and returns its output. The child always inherits the descriptor of
/// `region`.
fn report_of(region: &Region, variable: Option<&str>, args: &[&str]) -> String {
    let mut command = Command::new(CHILD);
    command.args(args).inherit("a", region).unwrap();
    match variable {
        Some(value) => command.env("HEIRLOOM_REGIONS", value),
        None => command.env_remove("HEIRLOOM_REGIONS"),
    };
    text(command.output().unwrap())
}

/// A child's descriptors without the standard streams, which differ between runs.
fn beyond_standard(descriptors: &str) -> Vec<String> {
    descriptors.lines().skip(3).map(str::to_owned).collect()
}

/// The string of a region in the variable.
fn string(region: &Region) -> String {
    let status = rustix::fs::fstat(region).unwrap();
    let number = region.as_fd().as_raw_fd();
    format!("{number}:1:1:writable:{}:{}:{}", region.size(), status.st_dev, status.st_ino)
}

#[test]
fn absent_or_empty_variable_means_none_inherited() {
    let region = Region::create(4096).unwrap();
    for variable in [None, Some("")] {
        assert_eq!(report_of(&region, variable, &["claim"]), "ok \n");
        let report = report_of(&region, variable, &["take", "region:a"]);
        assert!(report.starts_with("NotInherited: ") && report.contains("inherited no regions"), "{report}");
    }
}

#[test]
fn removed_variable_is_gone_for_grandchildren() {
    if emulated() {
        return skip("the emulator has a thread of its own");
    }
    let region = Region::create(4096).unwrap();
    let report = |args: &[&str]| {
        let mut command = Command::new(CHILD);
        text(command.args(args).inherit("a", &region).unwrap().output().unwrap())
    };
    // Control: with the variable, a grandchild looks for a region that stayed behind.
    let stale = report(&["claim-and-spawn-std", "take", "region:a"]);
    assert!(stale.starts_with("Mismatch: "), "{stale}");
    let removed = report(&["unset-and-spawn-std", "one", "take", "region:a"]);
    let lines: Vec<_> = removed.lines().collect();
    assert!(lines[1].starts_with("NotInherited: ") && lines[1].contains("inherited no regions"), "{removed}");
    assert_eq!([lines[0], lines[2]], ["ok ", "ok 4096"], "{removed}");
    // Another thread may read the environment.
    let refused = report(&["unset-and-spawn-std", "two", "take", "region:a"]);
    let lines: Vec<_> = refused.lines().collect();
    let message = "InvalidInput: cannot remove HEIRLOOM_REGIONS from the environment: this process has 2 threads";
    assert!(lines[0].starts_with(message) && lines[1].starts_with("Mismatch: "), "{refused}");
    assert_eq!(lines[2], "ok 4096", "{refused}");
}

#[test]
fn malformed_variable_keeps_valid_entries() {
    let region = Region::create(4096).unwrap();
    let good = string(&region);
    for variable in [
        format!("a={good},b=9:1:1:writ"),
        format!("a={good},"),
        format!("a={good},b"),
        format!("a={good},a={good}"),
        "\u{1F980}".to_owned(),
        "a".to_owned(),
    ] {
        for args in [&["claim"][..], &["take", "region:a"], &["take", "region:b"]] {
            assert!(report_of(&region, Some(&variable), args).starts_with("Malformed: "), "{variable}");
        }
    }
    // A program that requests no region is unaffected, and its own child inherits no region.
    assert_eq!(report_of(&region, Some(&format!("a={good},b")), &["spawn", "heirloom"]), "\n");
    // The control: the first program's claim has no effect on the second one, which inherits the region.
    let (variable, number) = (format!("a={good},b=9:1:1:writ"), region.as_fd().as_raw_fd());
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" claim >&2; \"$0\" regions", CHILD]).inherit("a", &region).unwrap();
    let seen = command.env("HEIRLOOM_REGIONS", variable).output().unwrap().stdout;
    assert!(String::from_utf8(seen).unwrap().starts_with(&format!("{number} ")));
}

#[test]
fn wrong_descriptor_numbers_are_left_untouched() {
    let region = Region::create(4096).unwrap();
    let good = string(&region);
    let rest = good.split_once(':').unwrap().1;
    for (variable, message) in [
        (format!("a={good},b={good}"), "more than once"),
        (format!("a=0:{rest}"), "is a standard stream"),
        (format!("a=2:{rest}"), "is a standard stream"),
        (format!("a=999:{rest}"), "is closed"),
        (format!("a={}", good.replace(":4096:", ":8192:")), "its size differs"),
    ] {
        let before = beyond_standard(&report_of(&region, Some(&variable), &["descriptors"]));
        let refusal = report_of(&region, Some(&variable), &["take", "region:a"]);
        assert!(refusal.starts_with("Mismatch: ") && refusal.contains(message), "{refusal}");
        // A claim leaves the descriptors unchanged.
        let after = beyond_standard(&report_of(&region, Some(&variable), &["claim-then-descriptors"]));
        assert_eq!(before, after, "{variable}");
    }
    // The control: a correct entry is claimed, and its descriptor set close-on-exec.
    assert_eq!(report_of(&region, Some(&format!("a={good}")), &["take", "region:a"]), "ok 4096\n");
    let before = beyond_standard(&report_of(&region, Some(&format!("a={good}")), &["descriptors"]));
    let after = beyond_standard(&report_of(&region, Some(&format!("a={good}")), &["claim-then-descriptors"]));
    assert_ne!(before, after);
}

#[test]
fn foreign_descriptor_is_left_untouched() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let status = rustix::fs::fstat(&file).unwrap();
    let number = file.as_raw_fd();
    let report_of = |args: &[&str]| {
        let mut command = Command::new(CHILD);
        let variable = format!("a={number}:1:1:writable:4096:{}:{}", status.st_dev, status.st_ino);
        command.args(args).env("HEIRLOOM_REGIONS", variable);
        // SAFETY: The closure makes one system call, which is async-signal-safe.
        unsafe { command.pre_exec(move || heirloom_conformance::check(libc::fcntl(number, libc::F_SETFD, 0))) };
        text(command.output().unwrap())
    };
    let taken = report_of(&["take", "region:a"]);
    assert!(taken.starts_with("Mismatch: ") && taken.contains("seals"), "{taken}");
    let after = report_of(&["claim-then-descriptors"]);
    assert!(after.lines().any(|line| line.starts_with(&format!("{number} ")) && line.ends_with(" 0")), "{after}");
}

#[test]
fn owned_descriptor_is_not_claimed_again() {
    let region = Region::create(4096).unwrap();
    let good = string(&region);
    // Each has its own descriptor, and dropping one leaves the other usable.
    assert_eq!(report_of(&region, Some(&format!("a={good}")), &["convert-then-inherit"]), "true\ntrue\n");
    let mut command = Command::new(CHILD);
    command.args(["import-owned-then-inherit", "FRAMES"]).env("FRAMES", &good).inherit("a", &region).unwrap();
    assert_eq!(text(command.output().unwrap()), "true\ntrue\n");
}

#[test]
fn descriptor_replaced_during_a_claim_is_left_to_its_owner() {
    if emulated() {
        return skip(format_args!("the emulator has no such filter"));
    }
    let region = Region::create(4096).unwrap();
    let variable = format!("a={}", string(&region));
    let report_of = |args: &[&str]| report_of(&region, Some(&variable), &[&["replace-during"], args].concat());
    for call in ["claim", "import"] {
        for (command, nth, flag, message) in [
            ("F_GET_SEALS", "0", "inheritable", "is not what was exported"),
            // After the validation. The first F_GETFD finds out whether the number is open.
            ("F_GETFD", "1", "inheritable", "another thread replaced descriptor"),
            ("F_GETFD", "1", "close-on-exec", "another thread replaced descriptor"),
            ("F_SETFD", "0", "inheritable", "another thread replaced descriptor"),
        ] {
            let report = report_of(&[call, command, nth, flag]);
            let (refused, left) = report.split_once('\n').unwrap();
            assert!(refused.starts_with("Mismatch: ") && refused.contains(message), "{call} {command}: {refused}");
            // The other file stays open, with the flag that it had.
            let flag = u32::from(flag == "close-on-exec");
            assert_eq!(left, format!("/dev/null {flag}\n"), "{call} {command}");
        }
        // The control: nothing is replaced.
        assert!(report_of(&[call, "none", "0", "inheritable"]).starts_with("ok 4096\n"));
    }
}

#[test]
fn descriptor_claimed_elsewhere_is_duplicated() {
    let region = Region::create(4096).unwrap();
    let good = format!("a={}", string(&region));
    // Close-on-exec as if another copy of the library had claimed it: then each has its own descriptor.
    assert_eq!(report_of(&region, Some(&good), &["claim-after-foreign-claim"]), "true true\n");
}
