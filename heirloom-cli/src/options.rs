//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::assignment::{Assignment, Place, place};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::size::Size;
use crate::sys::{ConfinementOptions, ExecOptions, RegionOptions, RunOptions};
use crate::{help, standard, sys, usage};

/// Run programs with private, unnamed shared memory.
#[derive(Parser)]
#[command(name = "heirloom", version, max_term_width = 100, after_help = help::MAIN.to_string())]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
pub enum Task {
    /// Run one or more workers that share regions, and wait for them.
    #[command(after_help = help::RUN.to_string())]
    Run(Run),
    /// Replace this process with a program that inherits regions.
    #[command(after_help = help::EXEC.to_string())]
    Exec(Exec),
    /// List the regions of all processes that you may inspect, and their holders.
    #[command(after_help = help::PS.to_string())]
    Ps(Ps),
    /// List the regions that this process inherited, for use in a child.
    #[command(after_help = help::LIST.to_string())]
    List(Format),
    /// Print the script that completes command lines in a shell.
    #[command(after_help = help::COMPLETIONS.to_string())]
    Completions(Completions),
    /// Write the manual pages into a directory.
    #[command(after_help = help::MAN.to_string())]
    Man(Manual),
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub regions: Regions,
    /// Save a region to a file, or to standard output with -, after all workers succeeded.
    #[arg(long, value_name = "NAME=FILE|-", value_parser = place())]
    pub save: Vec<Assignment<Place>>,
    /// Number of workers that share the regions; with two or more, standard input is empty.
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = jobs, allow_negative_numbers = true)]
    pub jobs: u32,
    /// Number of the first worker, from which {job} counts on: for workers on several nodes.
    #[arg(long, value_name = "N", default_value = "0", value_parser = first_job, allow_negative_numbers = true)]
    pub first_job: u32,
    #[command(flatten)]
    pub system: RunOptions,
    #[command(flatten)]
    pub confinement: ConfinementOptions,
    #[command(flatten)]
    pub environment: Environment,
    #[command(flatten)]
    pub program: Program,
}

#[derive(Args)]
pub struct Exec {
    #[command(flatten)]
    pub regions: Regions,
    #[command(flatten)]
    pub system: ExecOptions,
    #[command(flatten)]
    pub confinement: ConfinementOptions,
    #[command(flatten)]
    pub environment: Environment,
    #[command(flatten)]
    pub program: Program,
}

#[derive(Args)]
pub struct Regions {
    /// Create a region that no process can change, filled from a file, or from standard input with -.
    #[arg(long, value_name = "NAME=FILE|-", value_parser = place())]
    pub frozen: Vec<Assignment<Place>>,
    /// Fail if a frozen region would be larger than SIZE: for input that may be endless.
    #[arg(long, value_name = "SIZE")]
    pub max: Option<Size>,
    /// Create a zeroed region that every holder can write; SIZE in bytes, or with suffix K, M, G or T (powers of 1024).
    #[arg(long, value_name = "NAME=SIZE")]
    pub shared: Vec<Assignment<Size>>,
    #[command(flatten)]
    pub system: RegionOptions,
}

impl Regions {
    /// Returns the names of all regions.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let (filled, shared) = (self.filled(), self.shared.iter());
        filled.map(|filled| &filled.name).chain(shared.map(|shared| &shared.name))
    }

    /// Returns the regions that are filled from a file or standard input.
    pub fn filled(&self) -> impl Iterator<Item = &Assignment<Place>> {
        self.frozen.iter().chain(sys::secrets(&self.system))
    }

    /// Returns the largest size of a frozen region in bytes.
    pub fn max(&self) -> u64 {
        self.max.map_or(u64::MAX, |Size(max)| max)
    }
}

#[derive(Args)]
pub struct Program {
    /// Program to run, and its arguments. Options of heirloom come before it.
    #[arg(value_names = ["PROGRAM", "ARG"], required = true, trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub words: Vec<OsString>,
}

#[derive(Args)]
pub struct Ps {
    /// Show each process beneath its parent, and the sum of the shares.
    #[arg(long, conflicts_with = "json")]
    pub tree: bool,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Args)]
pub struct Format {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Completions {
    /// Shell that runs the script: bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

#[derive(Args)]
pub struct Manual {
    /// Directory for the pages, such as /usr/local/share/man/man1.
    #[arg(value_name = "DIRECTORY")]
    pub directory: PathBuf,
}

fn jobs(number: &str) -> Result<u32, String> {
    number.parse().ok().filter(|jobs| *jobs > 0).ok_or_else(|| format!("expected a number from 1 to {}", u32::MAX))
}

fn first_job(number: &str) -> Result<u32, String> {
    number.parse().map_err(|_| format!("expected a number from 0 to {}", u32::MAX))
}

/// Returns the parser.
pub fn command() -> Command {
    Options::command()
}

/// Parses the command line. Prints help and version itself, and then returns `None`.
pub fn parse() -> Result<Option<Task>, Failure> {
    match Options::try_parse() {
        Ok(options) => Ok(Some(options.task)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            standard::print_coloured(&error.render().ansi().to_string())?;
            Ok(None)
        }
        Err(error) => Err(Failure::new(usage::one_line(&error, &command()))),
    }
}
