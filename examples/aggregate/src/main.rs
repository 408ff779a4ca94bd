//! Loads a CSV file once, and has four workers aggregate it in place.
//!
//! ```sh
//! printf 'station,degrees\nOslo,4.5\nLima,19\n' >weather.csv
//! cargo run -p heirloom-aggregate -- weather.csv
//! ```
//!
//! - `parent.rs` loads the file into a frozen region, starts the workers, and adds up their answers.
//! - `worker.rs` reads its part of the table where it is.
//! - `answer.rs` is what a worker writes into the shared region.

mod answer;
mod parent;
mod worker;

use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // Before anything else, also in a worker.
    heirloom::claim()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The parent starts its workers so.
        ["worker", number] => worker::run(number.parse()?),
        [file] => parent::run(file),
        _ => Err("usage: aggregate FILE.csv".into()),
    }
}
