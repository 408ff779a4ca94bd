//! Export strings, where the launcher makes the handle inheritable.

use std::process::Command;

use heirloom::Region;
use heirloom_conformance::{is_inheritable, number, set_inheritable, text};

use crate::CHILD;

#[test]
fn export_needs_the_launcher_to_make_it_inheritable() {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    let mut command = Command::new(CHILD);
    command.args(["import", "region:FRAMES"]).env("FRAMES", exported.as_str());
    let refused = text(command.output().unwrap());
    assert!(refused.starts_with("Mismatch: "), "{refused}");

    set_inheritable(number(&exported), true);
    assert_eq!(text(command.output().unwrap()), "ok 4096\n");
    set_inheritable(number(&exported), false);
    assert!(!is_inheritable(number(&region)));
}
