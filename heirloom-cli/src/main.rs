//! The command `heirloom`: nameless shared memory for any program, in any language.

mod failure;
mod list;
mod options;
mod placeholders;
mod ps;
mod regions;
mod run;
mod signals;
mod standard_output;

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
    heirloom::claim()?;
    match options::parse()? {
        Task::Run(options) => run::run(&options),
        Task::Exec(options) => run::exec(&options),
        Task::Ps(options) => ps::ps(&options),
        Task::List(options) => list::list(&options),
    }
}
