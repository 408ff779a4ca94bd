//! Arguments of the form `NAME=VALUE`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::environment::split_at_equals;
use crate::size::Size;

/// `NAME=VALUE`
#[derive(Clone, Debug)]
pub struct Assignment<T> {
    pub name: String,
    pub value: T,
}

/// The source or destination of a region's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Standard,
    File(PathBuf),
}

/// Returns the parser of `NAME=FILE` and `NAME=-`.
pub fn place() -> impl TypedValueParser<Value = Assignment<Place>> {
    // File names need not be UTF-8.
    OsStringValueParser::new().try_map(|argument| {
        let (name, file) = split_at_equals(&argument).ok_or("expected NAME=FILE or NAME=-")?;
        let name = name.to_str().ok_or("the name is not UTF-8")?;
        let value = match file.to_str() {
            Some("") => return Err("expected a file or - after the ="),
            Some("-") => Place::Standard,
            _ => Place::File(file.into()),
        };
        Ok(Assignment { name: name.to_owned(), value })
    })
}

impl FromStr for Assignment<Size> {
    type Err = String;

    fn from_str(argument: &str) -> Result<Self, String> {
        let (name, size) = argument.split_once('=').ok_or("expected NAME=SIZE")?;
        Ok(Self { name: name.to_owned(), value: size.parse()? })
    }
}
