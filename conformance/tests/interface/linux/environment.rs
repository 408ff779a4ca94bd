//! `HEIRLOOM_REGIONS` as a child finds it: absent, empty, cut short, hostile.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use heirloom::Region;
use heirloom::os::unix::InheritExt;
use heirloom_conformance::text;

use crate::CHILD;

/// What the child tells when the variable is as given; it inherits the descriptor of `region` in any case.
fn told(region: &Region, variable: Option<&str>, args: &[&str]) -> String {
    let mut command = Command::new(CHILD);
    command.args(args).inherit("a", region).unwrap();
    match variable {
        Some(value) => command.env("HEIRLOOM_REGIONS", value),
        None => command.env_remove("HEIRLOOM_REGIONS"),
    };
    text(command.output().unwrap())
}

/// The descriptors that are the same in two runs of a program.
fn beyond_standard(descriptors: &str) -> Vec<String> {
    descriptors.lines().skip(3).map(str::to_owned).collect()
}

/// The string that the region is handed down by.
fn string(region: &Region) -> String {
    let status = rustix::fs::fstat(region).unwrap();
    let number = region.as_fd().as_raw_fd();
    format!("{number}:1:1:writable:{}:{}:{}", region.size(), status.st_dev, status.st_ino)
}

#[test]
fn absent_or_empty_it_says_that_nothing_was_inherited() {
    let region = Region::create(4096).unwrap();
    for variable in [None, Some("")] {
        assert_eq!(told(&region, variable, &["claim"]), "ok \n");
        let told = told(&region, variable, &["take", "region:a"]);
        assert!(told.starts_with("NotInherited: ") && told.contains("inherited none"), "{told}");
    }
}

#[test]
fn cut_short_or_garbled_it_is_an_error_everywhere_and_the_rest_is_claimed_all_the_same() {
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
            assert!(told(&region, Some(&variable), args).starts_with("Malformed: "), "{variable}");
        }
    }
    // What asks for nothing is none the worse for it, and hands nothing on that could be claimed.
    assert_eq!(told(&region, Some(&format!("a={good},b")), &["spawn", "ours"]), "\n");
    // The control: only the region is inherited, and it is close-on-exec by then.
    let (variable, number) = (format!("a={good},b=9:1:1:writ"), region.as_fd().as_raw_fd());
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" claim >&2; \"$0\" regions", CHILD]).inherit("a", &region).unwrap();
    let seen = command.env("HEIRLOOM_REGIONS", variable).output().unwrap().stdout;
    assert!(String::from_utf8(seen).unwrap().starts_with(&format!("{number} ")));
}

#[test]
fn hostile_numbers_are_refused_and_left_alone() {
    let region = Region::create(4096).unwrap();
    let good = string(&region);
    let rest = good.split_once(':').unwrap().1;
    for (variable, says) in [
        (format!("a={good},b={good}"), "more than once"),
        (format!("a=0:{rest}"), "standard input, output or error"),
        (format!("a=2:{rest}"), "standard input, output or error"),
        (format!("a=999:{rest}"), "is closed"),
        (format!("a={}", good.replace(":4096:", ":8192:")), "another size"),
    ] {
        let before = beyond_standard(&told(&region, Some(&variable), &["descriptors"]));
        let told_of = told(&region, Some(&variable), &["take", "region:a"]);
        assert!(told_of.starts_with("Mismatch: ") && told_of.contains(says), "{told_of}");
        // The descriptors are the same after a claim as without one.
        let after = beyond_standard(&told(&region, Some(&variable), &["claim-then-descriptors"]));
        assert_eq!(before, after, "{variable}");
    }
    // The control: what is right is taken over, and close-on-exec.
    assert_eq!(told(&region, Some(&format!("a={good}")), &["take", "region:a"]), "ok 4096\n");
    let before = beyond_standard(&told(&region, Some(&format!("a={good}")), &["descriptors"]));
    let after = beyond_standard(&told(&region, Some(&format!("a={good}")), &["claim-then-descriptors"]));
    assert_ne!(before, after);
}

#[test]
fn somebody_elses_descriptor_is_neither_taken_nor_changed() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let status = rustix::fs::fstat(&file).unwrap();
    let number = file.as_raw_fd();
    let told = |what: &[&str]| {
        let mut command = Command::new(CHILD);
        let variable = format!("a={number}:1:1:writable:4096:{}:{}", status.st_dev, status.st_ino);
        command.args(what).env("HEIRLOOM_REGIONS", variable);
        // SAFETY: One system call between fork and exec.
        unsafe { command.pre_exec(move || heirloom_conformance::check(libc::fcntl(number, libc::F_SETFD, 0))) };
        text(command.output().unwrap())
    };
    let taken = told(&["take", "region:a"]);
    assert!(taken.starts_with("Mismatch: ") && taken.contains("seals"), "{taken}");
    let after = told(&["claim-then-descriptors"]);
    assert!(after.lines().any(|line| line.starts_with(&format!("{number} ")) && line.ends_with(" 0")), "{after}");
}

#[test]
fn what_the_program_took_over_itself_is_not_claimed_as_well() {
    let region = Region::create(4096).unwrap();
    let good = string(&region);
    // Both own one each, and the one goes without the other.
    assert_eq!(told(&region, Some(&format!("a={good}")), &["receive-and-inherit"]), "true\ntrue\n");
    let mut command = Command::new(CHILD);
    command.args(["import-owned-and-inherit", "FRAMES"]).env("FRAMES", &good).inherit("a", &region).unwrap();
    assert_eq!(text(command.output().unwrap()), "true\ntrue\n");
}

#[test]
fn what_somebody_else_in_the_process_claimed_is_duplicated() {
    let region = Region::create(4096).unwrap();
    let good = format!("a={}", string(&region));
    // As if another copy of the library had made it close-on-exec: both then own one each.
    assert_eq!(told(&region, Some(&good), &["claim-after-another"]), "true true\n");
}
