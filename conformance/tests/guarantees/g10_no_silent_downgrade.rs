//! G10, no silent downgrade: where the kernel lacks a feature, the call that needs it returns an error that says so.

use std::collections::BTreeMap;

use heirloom_conformance::{secret_memory, skip};

use crate::{child, output};

/// Runs a process under a simulated older kernel and returns its result for each kernel-dependent feature.
fn on_linux(version: &str) -> BTreeMap<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let report = output(&mut child(&["as-linux", version, "report-features", directory.path().to_str().unwrap()]));
    report
        .lines()
        .map(|line| line.split_once(' ').map(|(what, report)| (what.to_owned(), report.to_owned())).unwrap())
        .collect()
}

/// Asserts the results of every kernel that has seals, except for the features that it lacks.
fn assert_all_but(report: &BTreeMap<String, String>, lacking: &[&str]) {
    let done = [("create", "ok "), ("make-read-only", "ok "), ("freeze", "ok "), ("fill", "ok "), ("pidfd", "ok ")];
    let done = done.iter().filter(|(what, _)| !lacking.contains(what));
    for (what, answer) in
        done.chain(&[("region:a", "ok 4096"), ("wait", "exit status: 0"), ("spawn", "ProgramNotFound")])
    {
        assert_eq!(report[*what], *answer, "{what}");
    }
    for refused in ["frozen:a", "import"] {
        assert!(
            report[refused].starts_with("WrongKind: ") && report[refused].contains("it is writable"),
            "{}",
            report[refused]
        );
    }
}

#[test]
fn g10_missing_memfd_create_is_an_error_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let report = output(&mut child(&["without-memfd", &errno.to_string(), directory.path().to_str().unwrap()]));
        let lines: Vec<_> = report.lines().collect();
        for refused in &lines[..3] {
            assert!(refused.starts_with("Unsupported: cannot create a "), "{refused}");
            assert!(refused.contains(&format!("(os error {errno})")), "{refused}");
            assert!(refused.contains("allow it") && refused.contains("RegionOptions::unsealed_file_in"), "{refused}");
        }
        // With a directory, creating succeeds, the kind is `Unsealed`, and calls that need seals fail.
        assert_eq!(lines[3], "unsealed ok 4096");
        for refused in &lines[4..] {
            assert!(refused.starts_with("Unsupported: ") && refused.contains("which can't be sealed"), "{refused}");
        }
    }
    // The control: without the filter, creating succeeds.
    assert_eq!(heirloom::Region::create(4096).unwrap().kind(), heirloom::RegionKind::Writable);
}

#[test]
fn g10_swallowed_seals_are_never_believed() {
    let report_with = |seals: u32| -> BTreeMap<String, String> {
        let report = output(&mut child(&["swallow-seals", &seals.to_string()]));
        let split =
            |line: &str| line.split_once(' ').map(|(what, report)| (what.to_owned(), report.to_owned())).unwrap();
        report.lines().map(split).collect()
    };
    let assert_refused = |refused: &str| {
        assert!(refused.starts_with("Unsupported: ") && refused.contains("without applying them"), "{refused}");
    };
    // F_SEAL_SHRINK and F_SEAL_GROW; without them there is no region to convert.
    for seals in [2, 4, 6] {
        let report = report_with(seals);
        assert_refused(&report["create"]);
        assert_refused(&report["fill"]);
    }
    // F_SEAL_WRITE.
    let report = report_with(8);
    assert_eq!((&*report["create"], &*report["make-read-only"]), ("ok ", "ok "));
    assert_refused(&report["fill"]);
    assert_refused(&report["freeze"]);
    // F_SEAL_FUTURE_WRITE.
    let report = report_with(16);
    assert_refused(&report["make-read-only"]);
    // The control: with a filter for a seal that nobody requests, everything succeeds.
    let report = report_with(64);
    for what in ["create", "fill", "make-read-only"] {
        assert_eq!(report[what], "ok ", "{what}");
    }
}

#[test]
fn g10_mapping_that_cannot_be_sealed_comes_back() {
    let assert_refused = |args: &[&str], errno: &str| {
        let report = output(&mut child(args));
        let lines: Vec<_> = report.lines().collect();
        assert!(lines[0].starts_with("Unsupported: cannot seal a mapping of 4096 bytes: "), "{report}");
        assert!(lines[0].contains(errno) && lines[0].contains("needs Linux 6.10 or later"), "{report}");
        // It is mapped until it is dropped.
        assert_eq!(lines[1..], ["1", "0"], "{report}");
    };
    assert_refused(&["as-linux", "6.9", "seal-mapping"], "(os error 38)");
    // A sandbox that forbids the call.
    assert_refused(&["seal-mapping-without-mseal", &libc::EPERM.to_string()], "(os error 1)");
    // One that returns success without calling the kernel.
    assert_refused(&["seal-mapping-without-mseal", "0"], "unsupported");
    // The control: a newer kernel seals it.
    let report = output(&mut child(&["as-linux", "6.10", "seal-mapping"]));
    if report.starts_with("Unsupported: ") {
        return skip("sealing a mapping needs Linux 6.10 on a 64-bit processor");
    }
    assert_eq!(report, "ok\n1\n");
}

#[test]
fn g10_before_linux_6_3_only_no_exec_is_missing() {
    let report = on_linux("6.2");
    assert_all_but(&report, &[]);
    // Execution is allowed, and fails because the bytes are no program.
    assert_eq!(report["execute"], libc::ENOEXEC.to_string());
    // The control: on the real kernel, nothing is missing.
    let report = on_linux("99.0");
    assert_all_but(&report, &[]);
    assert_eq!(report["execute"], libc::EACCES.to_string());
}

#[test]
fn g10_before_linux_5_14_secret_regions_are_missing() {
    let report = on_linux("5.13");
    assert_all_but(&report, &[]);
    let refused = &report["secret"];
    assert!(refused.starts_with("Unsupported: cannot create a secret region of 32 bytes: "), "{refused}");
    assert!(refused.contains("(os error 38); memfd_secret is missing (Linux before 5.14"), "{refused}");
    assert!(secret_memory().is_none() || on_linux("5.14")["secret"] == "ok ");
}

#[test]
fn g10_forbidden_memfd_secret_is_an_error_with_advice() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let report = output(&mut child(&["secret", "without", &errno.to_string()]));
        let (refused, control) = report.split_once('\n').unwrap();
        assert!(refused.starts_with("Unsupported: cannot create a secret region of 32 bytes: "), "{refused}");
        assert!(refused.contains(&format!("(os error {errno})")), "{refused}");
        assert!(refused.contains("enable it") && refused.contains("set_undumpable"), "{refused}");
        // The control: an ordinary region is not affected.
        assert_eq!(control, "ok \n");
    }
}

#[test]
fn g10_before_linux_5_1_only_read_only_is_missing() {
    let report = on_linux("5.0");
    assert_all_but(&report, &["make-read-only", "pidfd"]);
    let refused = &report["make-read-only"];
    assert!(refused.starts_with("Unsupported: cannot make a region of 4096 bytes read-only: "), "{refused}");
    assert!(
        refused.ends_with("(os error 22); this system has no seal against new writers alone (Linux before 5.1, FreeBSD): freeze the region once \
             it is filled"),
        "{refused}"
    );
    // `pidfd_open` needs Linux 5.3.
    let refused = &report["pidfd"];
    assert!(refused.starts_with("System: cannot open a pidfd of process "), "{refused}");
    // Linux 5.1 can make a region read-only.
    assert_all_but(&on_linux("5.1"), &["pidfd"]);
    assert_all_but(&on_linux("5.3"), &[]);
}

#[test]
fn g10_before_linux_3_17_only_files_are_available() {
    let report = on_linux("3.16");
    for what in ["create", "huge", "fill"] {
        assert!(report[what].starts_with("Unsupported: cannot create a "), "{}", report[what]);
        assert!(report[what].contains("(os error 38); memfd_create is missing (Linux before 3.17"), "{}", report[what]);
        assert!(report[what].contains("RegionOptions::unsealed_file_in"), "{}", report[what]);
    }
    for (what, tried) in [
        ("make-read-only", "cannot make a region of 4096 bytes read-only: "),
        ("freeze", "cannot freeze a region of 4096 bytes: "),
    ] {
        assert!(report[what].starts_with(&format!("Unsupported: {tried}")), "{}", report[what]);
        assert!(report[what].ends_with("it is a file in a directory, which can't be sealed"), "{}", report[what]);
    }
    // A child inherits the file, and never as a frozen or a writable region.
    assert_eq!(report["region:a"], "ok 4096");
    for what in ["frozen:a", "import"] {
        assert!(report[what].starts_with("WrongKind: ") && report[what].contains("it is unsealed"), "{}", report[what]);
    }
    assert_eq!((&*report["wait"], &*report["spawn"]), ("exit status: 0", "ProgramNotFound"));
    // Linux 3.17 has memfd_create, but huge pages need 4.14.
    let report = on_linux("3.17");
    assert_all_but(&report, &["make-read-only", "pidfd"]);
    assert!(
        report["huge"].starts_with("Unsupported: ") && report["huge"].contains("no 2 MiB huge pages"),
        "{}",
        report["huge"]
    );
}
