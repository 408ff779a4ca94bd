//! Runs the examples and checks their output.

use std::path::PathBuf;
use std::process::Command;

/// A command for an example, which cargo built beside this test.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    Command::new(path.join(name))
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn inheritance() {
    assert_eq!(stdout_of(&mut example("inheritance")), "the worker added 22 to 20: 42\n");
}

#[test]
fn export() {
    assert_eq!(stdout_of(&mut example("export")), "the worker wrote: hello\n");
}

#[test]
fn count_words() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/count_words.rs");
    let words = std::fs::read_to_string(file).unwrap().split_ascii_whitespace().count();
    assert_eq!(stdout_of(example("count_words").arg(file)), format!("{words} words\n"));
    assert!(!example("count_words").arg("/nonexistent").output().unwrap().status.success());
}

#[test]
fn sequence_lock() {
    assert_eq!(stdout_of(&mut example("sequence_lock")), "3 readers saw only consistent pairs\n");
}

#[test]
fn secret() {
    assert_eq!(stdout_of(&mut example("secret")), "the child received a key of 28 bytes\n");
}

/// Other systems have no channels.
#[cfg(any(target_os = "linux", windows))]
#[test]
fn worker_pool() {
    assert_eq!(stdout_of(&mut example("worker_pool")), "100 answers, their sum is 328350, 1 worker died\n");
}
