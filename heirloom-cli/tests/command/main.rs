//! The command, as a user would call it. What only one system has is in a file of its own.

mod everywhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

use std::process::{Command, Output, Stdio};

#[cfg(target_os = "linux")]
use linux::as_from_a_shell;
#[cfg(windows)]
use windows::as_from_a_shell;

const HEIRLOOM: &str = env!("CARGO_BIN_EXE_heirloom");

fn heirloom(args: &[&str]) -> Command {
    let mut command = Command::new(HEIRLOOM);
    command.args(args).stdin(Stdio::null());
    as_from_a_shell(&mut command);
    command
}

/// What it wrote, if it ended well and complained of nothing.
fn good(args: &[&str]) -> String {
    let output = heirloom(args).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its complaint, which must be one line, under that exit code.
fn complaint(output: &Output, code: i32) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(told.starts_with("heirloom: ") && told.ends_with('\n') && told.lines().count() == 1, "{told}");
    told
}

fn bad(args: &[&str], code: i32) -> String {
    complaint(&heirloom(args).output().unwrap(), code)
}
