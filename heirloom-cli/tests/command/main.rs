//! Tests that run the command as a user would.

#[cfg(target_os = "linux")]
mod colours;
#[cfg(target_os = "linux")]
mod confinement;
mod environment;
mod everywhere;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod linux;
mod manual;
mod misspelt;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod save;
#[cfg(target_os = "linux")]
mod secret;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod split;
#[cfg(target_os = "linux")]
mod tables;
#[cfg(target_os = "linux")]
mod tree;
mod usage;
#[cfg(windows)]
mod windows;

use std::process::{Command, Output, Stdio};

#[cfg(target_os = "linux")]
use linux::as_from_shell;
#[cfg(windows)]
use windows::as_from_shell;

const HEIRLOOM: &str = env!("CARGO_BIN_EXE_heirloom");

fn heirloom(args: &[&str]) -> Command {
    let mut command = Command::new(HEIRLOOM);
    command.args(args).stdin(Stdio::null());
    // The bytes that can't be saved go there.
    command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    as_from_shell(&mut command);
    command
}

/// Returns the standard output of a call that must succeed, with nothing on standard error.
fn stdout_of(args: &[&str]) -> String {
    let output = heirloom(args).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the error message of a finished call, which must be one line, and checks the exit code.
fn error_line(output: &Output, code: i32) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(message.starts_with("heirloom: ") && message.ends_with('\n') && message.lines().count() == 1, "{message}");
    message
}

/// Returns the error message of a call that must fail with that exit code.
fn error_of(args: &[&str], code: i32) -> String {
    error_line(&heirloom(args).output().unwrap(), code)
}
