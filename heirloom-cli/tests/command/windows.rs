//! Tests for Windows.

use std::process::Command;

use crate::{error_of, stdout_of};

/// Makes the command start as from an interactive shell, which needs nothing on Windows.
pub(super) fn as_from_shell(_: &mut Command) {}

#[test]
fn placeholder_is_handle_number() {
    let stdout = stdout_of(&["run", "--shared", "a=4K", "--", "cmd", "/c", "echo {a} %HEIRLOOM_REGIONS%"]);
    let (number, variable) = stdout.trim().split_once(' ').unwrap();
    assert!(variable.starts_with(&format!("a={number}:1:1:writable:4096:")), "{stdout}");
}

#[test]
fn ps_is_unsupported() {
    assert!(error_of(&["ps"], 125).contains("Windows"));
}
