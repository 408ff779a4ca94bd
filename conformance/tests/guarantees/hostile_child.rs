//! The hostile child. It makes every attempt of `heirloom_conformance::hostile` on a region that it inherited or
//! imported, and on unsealed memory as a control. Each result is compared with the expected one.

use heirloom::os::unix::InheritExt;
use heirloom::{AsRegion, Region};
use heirloom_conformance::hostile::{ATTEMPTS, HUGE_SIZE, SIZE, Target};
use heirloom_conformance::{output, skip, text};

use crate::{CHILD, child};

/// Compares the results that a child printed with the expected ones.
fn compare(report: &str, target: Target, huge: bool) {
    let answers: Vec<Vec<_>> = report.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(answers.len(), ATTEMPTS.len(), "{report}");
    let mut wrong = Vec::new();
    for (attempt, answer) in ATTEMPTS.iter().zip(answers) {
        assert_eq!(answer[0], attempt.name);
        let expected = [attempt.answer(target, huge), attempt.control(huge)];
        if answer[1..] != expected.map(|errno| errno.to_string()) {
            wrong.push(format!("{}: {:?}, not {expected:?}", attempt.name, &answer[1..]));
        }
    }
    assert!(wrong.is_empty(), "{target:?}, huge pages: {huge}: wrong result or control of\n{}", wrong.join("\n"));
}

/// Passes a region to hostile children in each way that the Rust library has.
pub(crate) fn try_all(
    region: &impl AsRegion,
    export: impl Fn() -> heirloom::ExportedRegion,
    target: Target,
    huge: bool,
) {
    let inherited = ["hostile", "target"];
    compare(&output(child(&inherited).inherit("target", region).unwrap()), target, huge);
    let mut command = std::process::Command::new(CHILD);
    compare(&text(command.args(inherited).inherit("target", region).unwrap().output().unwrap()), target, huge);
    let exported = export();
    let mut command = std::process::Command::new(CHILD);
    command.args(["hostile", "TARGET"]).env("TARGET", exported.as_str());
    compare(&text(command.output().unwrap()), target, huge);
}

/// New regions: one in ordinary pages and, where some are free, one in huge pages.
pub(crate) fn fresh() -> Vec<(Region, bool)> {
    let mut regions = vec![(Region::create(SIZE as u64).unwrap(), false)];
    match Region::options().huge_pages(true).create(HUGE_SIZE as u64) {
        Ok(region) => regions.push((region, true)),
        Err(error) => skip(format_args!("no huge pages (sysctl vm.nr_hugepages=8): {error}")),
    }
    regions
}

/// Passes a region to hostile children through the C library, which creates the region itself.
pub(crate) fn try_all_by_c(kind: &str, target: Target) {
    let Some(library) = crate::c_library() else { return };
    for protocol in ["by-name", "by-string"] {
        compare(&output(&mut child(&["hostile-via-c-library", library, kind, protocol])), target, false);
    }
}
