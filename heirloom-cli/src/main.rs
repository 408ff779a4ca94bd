//! The command `heirloom`, which runs programs in any language with private, unnamed shared memory.

mod assignment;
mod environment;
mod failure;
mod help;
mod list;
mod manual;
mod misspelt;
mod options;
mod placeholders;
mod regions;
mod run;
mod save;
mod size;
mod source;
mod standard;
mod sys;
mod table;
mod usage;
mod workers;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::options::Task;

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch() -> Result<ExitCode, Failure> {
    match options::parse()? {
        Some(Task::Run(options)) => run::run(&options),
        Some(Task::Exec(options)) => run::exec(&options),
        Some(Task::Ps(options)) => sys::ps(&options),
        Some(Task::List(options)) => list::list(&options),
        Some(Task::Completions(options)) => manual::completions(&options),
        Some(Task::Man(options)) => manual::man(&options),
        None => Ok(ExitCode::SUCCESS),
    }
}
