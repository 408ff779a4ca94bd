//! G10, it says what it can't promise: nothing is weakened silently.

use crate::{child, output};

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
    assert_eq!(heirloom::Region::create(4096).unwrap().kind(), heirloom::Kind::Writable);
}
