//! Runs the example on tables.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the example on a file with that text.
fn run(name: &str, text: &str) -> Output {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_aggregate")).arg(path).output().unwrap()
}

#[test]
fn workers_aggregate_all_batches_together() {
    // Seven batches for four workers; a station without a temperature counts nowhere.
    let mut text = String::from("station,degrees\nnowhere,\n");
    for number in 0..100_000 {
        writeln!(text, "station {number},{}", f64::from(number % 1001) / 10.0 - 20.0).unwrap();
    }
    let output = run("weather.csv", &text);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "100000 rows: -20 to 80 degrees, 29.955 on average\n");
}

#[test]
fn file_with_fewer_batches_than_workers_works() {
    let output = run("short.csv", "station,degrees\nOslo,4.5\nLima,19.5\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2 rows: 4.5 to 19.5 degrees, 12.000 on average\n");
}

#[test]
fn broken_file_is_an_error_that_names_the_line() {
    let output = run("broken.csv", "station,degrees\nOslo,cold\n");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("'cold'") && error.contains("line 1"), "{error}");
}
