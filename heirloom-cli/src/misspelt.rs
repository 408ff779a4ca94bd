//! Warnings about placeholders that are probably misspelt.

use crate::environment::Environment;
use crate::failure;
use crate::options::{Program, Regions};

/// Warns of each `{name}` that is no placeholder but resembles one that occurs nowhere.
///
/// If the one that it resembles occurs, the other probably belongs to the program, such as a variable of a script.
pub fn warn(program: &Program, environment: &Environment, regions: &Regions, own: &[&str]) {
    let values = environment.env.iter().map(|variable| &variable.value);
    let texts: Vec<_> = program.words.iter().chain(values).map(|text| text.to_string_lossy()).collect();
    let names: Vec<_> = regions.names().map(String::as_str).chain(own.iter().copied()).collect();
    let unused = |name: &&&str| !texts.iter().any(|text| text.contains(&format!("{{{name}}}")));
    let unused: Vec<_> = names.iter().filter(unused).collect();
    for word in texts.iter().flat_map(|text| words(text)).filter(|word| !names.contains(word)) {
        if let Some(name) = unused.iter().find(|name| resemble(word, name)) {
            failure::print(format_args!("warning: {{{word}}} is left as it is; did you mean {{{name}}}?"));
        }
    }
}

/// Returns each word in braces that consists of letters, digits, `-`, `_` and `.`, and is not a shell's `${word}`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(brace, _)| {
        let word = text[brace + 1..].split_once('}')?.0;
        let name = word.chars().all(|character| character.is_alphanumeric() || "-_.".contains(character));
        (name && !text[..brace].ends_with('$')).then_some(word)
    })
}

/// Returns whether one letter was left out, added, replaced or exchanged with the next, or two of eight or more.
fn resemble(word: &str, name: &str) -> bool {
    let length = name.chars().count();
    let distance = strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
    length >= 3 && distance <= if length < 8 { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_braces_are_words() {
        let found = |text| words(text).collect::<Vec<_>>();
        assert_eq!(found("{a}x{b-c_1.d}"), ["a", "b-c_1.d"]);
        for text in ["${a}", "{a b}", "{\"a\":1}", "{a,b}", "{print $1}", "{a", "a}", "{a;}"] {
            assert!(found(text).is_empty(), "{text}");
        }
        assert_eq!(found("{}"), [""]);
        assert_eq!(found("{{a}}"), ["a"]);
    }

    #[test]
    fn words_resemble_names_of_some_length() {
        for (word, name) in [
            ("frame", "frames"),
            ("farmes", "frames"),
            ("Frames", "frames"),
            ("jop", "job"),
            ("wieghs.bin", "weights.bin"),
        ] {
            assert!(resemble(word, name), "{word} {name}");
        }
        for (word, name) in [("a", "b"), ("in", "on"), ("", "abc"), ("fra", "frames"), ("log", "job")] {
            assert!(!resemble(word, name), "{word} {name}");
        }
    }
}
