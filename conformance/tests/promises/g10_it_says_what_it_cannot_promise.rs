//! G10, it says what it can't promise: nothing is weakened silently.

use std::collections::BTreeMap;

use crate::{child, output};

/// What a process that an older kernel answers says of each thing that not every kernel can do.
fn on_linux(version: &str) -> BTreeMap<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let told = output(&mut child(&["as-linux", version, "on-this-kernel", directory.path().to_str().unwrap()]));
    told.lines()
        .map(|line| line.split_once(' ').map(|(what, told)| (what.to_owned(), told.to_owned())).unwrap())
        .collect()
}

/// What every kernel does that knows seals.
fn all_but(told: &BTreeMap<String, String>, lacking: &[&str]) {
    let done = [("create", "ok "), ("make-read-only", "ok "), ("freeze", "ok "), ("fill", "ok "), ("pidfd", "ok ")];
    let done = done.iter().filter(|(what, _)| !lacking.contains(what));
    for (what, answer) in
        done.chain(&[("region:a", "ok 4096"), ("wait", "exit status: 0"), ("spawn", "ProgramNotFound")])
    {
        assert_eq!(told[*what], *answer, "{what}");
    }
    for refused in ["frozen:a", "import"] {
        assert!(
            told[refused].starts_with("WrongKind: ") && told[refused].contains("it is writable"),
            "{}",
            told[refused]
        );
    }
}

#[test]
fn g10_without_anonymous_memory_creating_fails_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let told = output(&mut child(&["without-memfd", &errno.to_string(), directory.path().to_str().unwrap()]));
        let lines: Vec<_> = told.lines().collect();
        for refused in &lines[..3] {
            assert!(refused.starts_with("Unsupported: cannot create a "), "{refused}");
            assert!(refused.contains(&format!("(os error {errno})")), "{refused}");
            assert!(refused.contains("allow it") && refused.contains("RegionOptions::unsealed_file_in"), "{refused}");
        }
        // With the directory it works, says what it is, and promises nothing that rests on seals.
        assert_eq!(lines[3], "unsealed ok 4096");
        for refused in &lines[4..] {
            assert!(refused.starts_with("Unsupported: ") && refused.contains("which has no seals"), "{refused}");
        }
    }
    // The control: where nothing is refused, nothing fails.
    assert_eq!(heirloom::Region::create(4096).unwrap().kind(), heirloom::RegionKind::Writable);
}

#[test]
fn g10_before_linux_6_3_a_region_can_be_executed_and_all_else_holds() {
    let told = on_linux("6.2");
    all_but(&told, &[]);
    // It was let run, and holds no program.
    assert_eq!(told["execute"], libc::ENOEXEC.to_string());
    // The control: on the kernel that there is, nothing is lacking.
    let told = on_linux("99.0");
    all_but(&told, &[]);
    assert_eq!(told["execute"], libc::EACCES.to_string());
}

#[test]
fn g10_before_linux_5_1_a_region_cannot_be_published_and_all_else_holds() {
    let told = on_linux("5.0");
    all_but(&told, &["make-read-only", "pidfd"]);
    let refused = &told["make-read-only"];
    assert!(refused.starts_with("Unsupported: cannot make a region of 4096 bytes read-only: "), "{refused}");
    assert!(
        refused.ends_with("(os error 22); this kernel can't (Linux before 5.1): freeze it once it is filled"),
        "{refused}"
    );
    // Before 5.3.
    let refused = &told["pidfd"];
    assert!(refused.starts_with("System: cannot open a descriptor of process "), "{refused}");
    // Publishing is the same on the next one.
    all_but(&on_linux("5.1"), &["pidfd"]);
    all_but(&on_linux("5.3"), &[]);
}

#[test]
fn g10_before_linux_3_17_there_are_files_and_no_memory_and_each_refusal_says_so() {
    let told = on_linux("3.16");
    for what in ["create", "huge", "fill"] {
        assert!(told[what].starts_with("Unsupported: cannot create a "), "{}", told[what]);
        assert!(
            told[what].contains("(os error 38); this system has no memfd_create (Linux before 3.17)"),
            "{}",
            told[what]
        );
        assert!(told[what].contains("RegionOptions::unsealed_file_in"), "{}", told[what]);
    }
    for (what, tried) in [
        ("make-read-only", "cannot make a region of 4096 bytes read-only: "),
        ("freeze", "cannot freeze a region of 4096 bytes: "),
    ] {
        assert!(told[what].starts_with(&format!("Unsupported: {tried}")), "{}", told[what]);
        assert!(told[what].ends_with("it is a file in a directory, which has no seals"), "{}", told[what]);
    }
    // A file is handed down all the same, and never taken for what it isn't.
    assert_eq!(told["region:a"], "ok 4096");
    for what in ["frozen:a", "import"] {
        assert!(told[what].starts_with("WrongKind: ") && told[what].contains("it is unsealed"), "{}", told[what]);
    }
    assert_eq!((&*told["wait"], &*told["spawn"]), ("exit status: 0", "ProgramNotFound"));
    // From the next one on, there is memory, though not in huge pages before 4.14.
    let told = on_linux("3.17");
    all_but(&told, &["make-read-only", "pidfd"]);
    assert!(
        told["huge"].starts_with("Unsupported: ") && told["huge"].contains("no 2 MiB huge pages"),
        "{}",
        told["huge"]
    );
}
