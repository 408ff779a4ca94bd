//! `--env`: variables of the program's environment, whose values may refer to regions.

#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

#[derive(Args)]
pub struct Environment {
    /// Set an environment variable of the program; VALUE may contain placeholders, as ARG may.
    #[arg(long, value_name = "VAR=VALUE", value_parser = variable())]
    pub env: Vec<Variable>,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: OsString,
    pub value: OsString,
}

fn variable() -> impl TypedValueParser<Value = Variable> {
    OsStringValueParser::new().try_map(|argument| match split_at_equals(&argument) {
        None => Err("expected VAR=VALUE"),
        Some((name, _)) if name.is_empty() => Err("expected a variable's name before the ="),
        Some((name, _)) if name == "HEIRLOOM_REGIONS" => Err("heirloom itself sets this variable for each program"),
        Some((name, value)) => Ok(Variable { name: name.to_owned(), value: value.to_owned() }),
    })
}

/// Splits `A=B` at the first `=`.
pub fn split_at_equals(argument: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = argument.as_encoded_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=')?;
    let (before, after) = (&bytes[..equals], &bytes[equals + 1..]);
    // SAFETY: These are the bytes of an `OsStr`, split before and after an ASCII character.
    Some(unsafe { (OsStr::from_encoded_bytes_unchecked(before), OsStr::from_encoded_bytes_unchecked(after)) })
}
