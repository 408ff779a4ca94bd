//! `man`: the manual pages; `completions`: the scripts that complete a command line.

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io, iter};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::failure::Failure;
use crate::help::Help;
use crate::options::{Completions, Manual, command};
use crate::standard;

pub fn completions(options: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command(), "heirloom", &mut script);
    standard::write(|output| output.write_all(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// The date in the pages: that of their last change.
const CHANGED: &str = "2026-11-27";

pub fn man(options: &Manual) -> Result<ExitCode, Failure> {
    let directory = &options.directory;
    let failed = |path: &Path, error| Failure::new(format_args!("cannot write {}: {error}", path.display()));
    fs::create_dir_all(directory)
        .map_err(|error| Failure::new(format_args!("cannot create the directory {}: {error}", directory.display())))?;
    let mut main = command().disable_help_subcommand(true);
    main.build();
    let commands: Vec<_> = iter::once(main.clone()).chain(main.get_subcommands().cloned()).collect();
    let titles: Vec<_> = commands.iter().map(title).collect();
    for (command, title) in commands.into_iter().zip(&titles) {
        let path = directory.join(format!("{title}.1"));
        let others = titles.iter().filter(|other| *other != title);
        let page = page(command, others).map_err(|error| failed(&path, error))?;
        fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn title(command: &Command) -> String {
    command.get_display_name().unwrap_or("heirloom").to_owned()
}

fn page<'a>(command: Command, others: impl Iterator<Item = &'a String>) -> io::Result<String> {
    let help = Help::of(command.get_name());
    let title = title(&command).to_uppercase();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let has_subcommands = command.has_subcommands();
    let page = Man::new(command.override_usage(usage.trim_start_matches("Usage: ").to_owned()))
        .title(title)
        .date(CHANGED)
        .source(concat!("heirloom ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut written = Vec::new();
    page.render_title(&mut written)?;
    page.render_name_section(&mut written)?;
    page.render_synopsis_section(&mut written)?;
    description(&about, help).to_writer(&mut written)?;
    if has_subcommands {
        page.render_subcommands_section(&mut written)?;
    }
    page.render_options_section(&mut written)?;
    end(help, others).to_writer(&mut written)?;
    // Each part starts with the same definitions, which one page needs once.
    let definitions = Roff::new().render();
    Ok(definitions.clone() + &String::from_utf8_lossy(&written).replace(&definitions, ""))
}

fn description(about: &str, help: &Help) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["DESCRIPTION"]).text([roman(format!("{about}."))]);
    for note in help.notes() {
        section.control("PP", []).text([roman(note)]);
    }
    section
}

fn end<'a>(help: &Help, others: impl Iterator<Item = &'a String>) -> Roff {
    let mut sections = Roff::new();
    sections.control("SH", ["EXIT STATUS"]).text([roman(help.exit_code())]);
    sections.control("SH", ["EXAMPLES"]);
    for (index, example) in help.examples.iter().enumerate() {
        if index > 0 {
            sections.control("PP", []);
        }
        sections.text([roman(format!("{}:", example.purpose))]).control("PP", []);
        sections.control("RS", ["4"]).control("EX", []).text([roman(example.command)]);
        sections.control("EE", []).control("RE", []);
    }
    sections.control("SH", ["SEE ALSO"]);
    for other in others {
        sections.text([bold(other), roman("(1),")]);
    }
    sections.text([bold("memfd_create"), roman("(2)")]);
    sections
}
