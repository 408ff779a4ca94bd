//! Errors of the command line, each in one line.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Returns the parser's message with its suggestion, and where the usage is described.
pub fn one_line(error: &clap::Error, commands: &Command) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command given (see `heirloom --help`)".to_owned();
    }
    let rendered = error.render().to_string();
    let message = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let lines = message.lines().map(str::trim).take_while(|line| !line.is_empty() && !line.starts_with("Usage:"));
    let message = lines.collect::<Vec<_>>().join(" ");
    let task = std::env::args_os().nth(1).and_then(|task| commands.find_subcommand(task));
    let suggestion = suggestion(error).or_else(|| option(error, task?));
    let suggestion = suggestion.map_or_else(String::new, |names| format!("; did you mean {names}?"));
    let help = task.map_or("heirloom --help".to_owned(), |task| format!("heirloom {} --help", task.get_name()));
    format!("{message}{suggestion} (see `{help}`)")
}

/// Returns what the parser takes a misspelt word for, in quotes.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let names = kinds.into_iter().filter_map(|kind| error.get(kind)).flat_map(|value| match value {
        ContextValue::String(name) => vec![format!("'{name}'")],
        ContextValue::Strings(names) => names.iter().map(|name| format!("'{name}'")).collect(),
        _ => Vec::new(),
    });
    // An option of another command: `'run --frozen' exists`.
    let elsewhere = match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips.as_slice(),
        _ => &[],
    };
    let elsewhere = elsewhere.iter().filter_map(|tip| tip.to_string().strip_suffix(" exists").map(str::to_owned));
    let names: Vec<_> = names.chain(elsewhere).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

/// Returns the option of a command that a misspelt one most resembles. The parser suggests only those above 0.7, which
/// --freeze and --frozen are not.
fn option(error: &clap::Error, task: &Command) -> Option<String> {
    let Some(ContextValue::String(misspelt)) = error.get(ContextKind::InvalidArg) else { return None };
    let similarity = |option: &str| strsim::jaro(misspelt.trim_start_matches('-'), option);
    let options = task.get_opts().filter_map(|option| option.get_long());
    let closest = options.max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    let unknown = error.kind() == ErrorKind::UnknownArgument && misspelt.starts_with("--");
    (unknown && similarity(closest) > 0.69).then(|| format!("'--{closest}'"))
}
