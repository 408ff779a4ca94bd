//! What the command does on Windows alone.

use std::process::Command;

use crate::{bad, good};

/// Starts it as a shell would, which changes nothing here.
pub(super) fn as_from_a_shell(_: &mut Command) {}

#[test]
fn the_number_in_an_argument_is_that_of_the_childs_handle() {
    let told = good(&["run", "--shared", "a=4K", "--", "cmd", "/c", "echo {a} %HEIRLOOM_REGIONS%"]);
    let (number, variable) = told.trim().split_once(' ').unwrap();
    assert!(variable.starts_with(&format!("a={number}:1:1:writable:4096:")), "{told}");
}

#[test]
fn nobody_can_list_other_processes_regions() {
    assert!(bad(&["ps"], 125).contains("Windows"));
}
