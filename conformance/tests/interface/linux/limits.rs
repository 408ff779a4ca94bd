//! When something runs out: a clear error, nothing left behind, and all is well again afterwards.

use heirloom_conformance::{emulated, skip};

use crate::{child, output};

fn lines(args: &[&str]) -> Vec<String> {
    output(&mut child(args)).lines().map(str::to_owned).collect()
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_a_signal() {
    assert_eq!(lines(&["limited", "file-size=8192", "create", "8192"]), ["ok 8192"]);
    let told = lines(&["limited", "file-size=8192", "create", "8193"]);
    assert!(told[0].starts_with("TooLarge: ") && told[0].contains("ulimit -f"), "{told:?}");

    // From bytes, from a reader, from a pipe; up to the limit and past it.
    assert_eq!(lines(&["limited", "file-size=8192", "freeze-bytes", "8192"]), ["ok 8192"; 3]);
    let told = lines(&["limited", "file-size=8192", "freeze-bytes", "8193"]);
    assert!(told.len() == 3 && told.iter().all(|line| line.starts_with("TooLarge: ")), "{told:?}");
}

#[test]
fn a_full_address_space_is_an_error_and_a_part_still_maps() {
    if emulated() {
        return skip("the emulator has no limit on the address space");
    }
    let told = lines(&["limited", "address-space=500000000", "map", "1000000000"]);
    assert!(told[0].starts_with("OutOfMemory: "), "{told:?}");
    assert_eq!(told[1], "ok 4096");
}

#[test]
fn no_descriptors_left_is_an_error_of_each_call_that_needs_one() {
    let told = lines(&["limited", "descriptors=64", "use-up-descriptors"]);
    let (errors, rest) = told.split_at(6);
    assert!(errors.iter().all(|line| line.starts_with("OutOfDescriptors: ")), "{told:?}");
    // musl's posix_spawn needs a pipe, and so does a fork where posix_spawn doesn't tell what failed.
    let needs = cfg!(target_env = "musl") || emulated();
    let refused = needs && rest[0].starts_with("OutOfDescriptors: cannot start \"true\": ");
    assert!(rest[0] == "ok exit status: 0" || refused, "{told:?}");
    assert_eq!(rest[1..], ["true", "ok "]);
}

#[test]
fn a_parent_without_standard_streams_hands_down_all_the_same() {
    // Its regions stay above 2; one that came from elsewhere as 0 is handed down under another number.
    assert_eq!(lines(&["with-standard-closed"]), ["true", "ok 4096", "0", "ok 4096"]);
}
