//! The promises of `SECURITY.md`, each test named for its promise.

#![cfg(target_os = "linux")]

mod g10_it_says_what_it_cannot_promise;
mod g1_no_name;
mod g2_only_the_heirs;
mod g3_read_only_cannot_be_undone;
mod g5_data_not_a_program;
mod g6_import_takes_nothing_on_trust;
mod g7_gone_with_the_last_holder;
mod g8_frozen_bytes_never_change;
mod g9_a_failed_call_leaves_nothing;
mod under_load;

use std::path::Path;
use std::sync::OnceLock;

use heirloom::Command;
use heirloom_conformance::{output, skip};

/// The program that the tests start.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// The C library, built once; where none can be loaded, the test says so and does without.
fn c_library() -> Option<&'static str> {
    static BUILT: OnceLock<String> = OnceLock::new();
    if cfg!(target_feature = "crt-static") {
        skip("what the C library hands down: a program that is linked statically loads no library");
        return None;
    }
    Some(BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        heirloom_conformance::build_c_library(target).to_str().unwrap().to_owned()
    }))
}

/// That program with its arguments.
fn child(args: &[&str]) -> Command {
    let mut command = Command::new(CHILD);
    command.args(args);
    command
}
