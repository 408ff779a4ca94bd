//! The promises of `SECURITY.md`, each test named for its promise. G7 and G10 have none here yet.

mod g1_no_name;
mod g2_only_the_heirs;
mod g3_read_only_cannot_be_undone;
mod g5_data_not_a_program;
mod g6_import_takes_nothing_on_trust;
mod g8_frozen_bytes_never_change;
mod g9_a_failed_call_leaves_nothing;

use heirloom::Command;
use heirloom_tests::output;

/// The program that the tests start.
const CHILD: &str = env!("CARGO_BIN_EXE_child");

/// That program with its arguments.
fn child(args: &[&str]) -> Command {
    let mut command = Command::new(CHILD);
    command.args(args);
    command
}
