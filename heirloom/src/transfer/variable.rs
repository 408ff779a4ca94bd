//! The environment variable that carries inherited regions: `name=export-string` pairs joined by commas, specified in
//! `docs/format.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::claim::claim;
use super::listed::Listed;
use crate::region::check_name;
use crate::{Error, ErrorKind, Result, sys};

/// The name of the environment variable that carries inherited regions.
///
/// A process that has claimed its regions still has the variable, and so have the children that it starts by other means than
/// this library, though the regions stay behind. Remove it from their commands, or once by [`unset_variable`].
///
/// ```
/// let status = std::process::Command::new("true").env_remove(heirloom::VARIABLE).status()?;
/// assert!(status.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub const VARIABLE: &str = "HEIRLOOM_REGIONS";

/// Claims every region that this process inherited, and removes [`VARIABLE`] from its environment.
///
/// Call it in place of [`claim`](crate::claim()) on the first line of `main` in a program that starts others by other means than
/// this library: with the variable, those would look for regions that stay behind. The regions can be taken afterwards as
/// well. Compare `unset_environment` of
/// [sd_listen_fds(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html).
///
/// # Errors
/// - [`ErrorKind::InvalidInput`]: this process has other threads, one of which may read the environment at the same time.
/// - [`ErrorKind::Unsupported`]: the system doesn't tell how many threads this process has (macOS, the BSDs, Linux without
///   `/proc`).
/// - [`ErrorKind::Malformed`]: as for [`claim`](crate::claim()). The variable is removed all the same.
///
/// ```no_run
/// fn main() -> Result<(), heirloom::Error> {
///     heirloom::unset_variable()?;
///     let input = heirloom::FrozenRegion::inherited("input")?;
///     // Its children find no variable.
///     std::process::Command::new("convert").status().expect("it is installed");
///     Ok(())
/// }
/// ```
pub fn unset_variable() -> Result<()> {
    let claimed = claim();
    sys::remove_variable(VARIABLE)
        .map_err(|failure| Error::system(format_args!("cannot remove {VARIABLE} from the environment"), failure))?;
    claimed
}

/// The longest value, in bytes.
const LONGEST: usize = sys::LONGEST_VARIABLE - VARIABLE.len() - "=\0".len();

/// The characters that an encoded name keeps besides letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The value of the variable under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    text: String,
    /// The names in their encoded form.
    names: BTreeSet<String>,
    numbers: BTreeSet<i32>,
}

impl Variable {
    /// Continues a value that `push` made.
    #[allow(dead_code)] // Only Unix extends the standard library's command.
    pub(crate) fn resume(value: &str) -> Self {
        let listed = parse(value).0;
        Self {
            text: value.to_owned(),
            names: listed.iter().map(|(name, _)| encode(name)).collect(),
            numbers: listed.iter().flat_map(|(_, string)| string.numbers()).collect(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns whether the variable lists a descriptor number.
    pub(crate) fn lists(&self, number: i32) -> bool {
        self.numbers.contains(&number)
    }

    /// Adds a pair; on failure the value is unchanged.
    pub(crate) fn push(&mut self, name: &str, string: Listed) -> Result<()> {
        check_name(name)?;
        let encoded = encode(name);
        let tried = || format!("cannot pass a {} to a child as {name:?}", string.noun());
        if self.names.contains(&encoded) {
            return Err(Error::new(
                ErrorKind::NameInUse,
                format!("{}: the command has something of that name", tried()),
            ));
        }
        let before = self.text.len();
        if before > 0 {
            self.text.push(',');
        }
        let _ = write!(self.text, "{encoded}={string}");
        if self.text.len() > LONGEST {
            self.text.truncate(before);
            let most = sys::LONGEST_VARIABLE;
            let message = format!("{}: {VARIABLE} would exceed the system's limit of {most} bytes", tried());
            return Err(Error::advised(ErrorKind::TooMany, message, "use shorter names or fewer regions"));
        }
        self.names.insert(encoded);
        self.numbers.extend(string.numbers());
        Ok(())
    }
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

fn decode(encoded: &str) -> Option<String> {
    let name = percent_decode_str(encoded).decode_utf8().ok()?;
    // Each name has exactly one encoding, so two different encodings are two different names.
    let mut rest = Some(encoded);
    for part in utf8_percent_encode(&name, ENCODED) {
        rest = rest.and_then(|rest| rest.strip_prefix(part));
    }
    (check_name(&name).is_ok() && rest == Some("")).then(|| name.into_owned())
}

fn pairs(value: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let pairs = value.split(',').filter(move |_| !value.is_empty());
    pairs.map(|pair| match pair.split_once('=') {
        Some((name, string)) => (name, Some(string)),
        None => (pair, None),
    })
}

/// Returns the well-formed pairs of a value, and the error of the first malformed one.
pub(crate) fn parse(value: &str) -> (Vec<(String, Listed)>, Option<Error>) {
    // Not a hash set, which would ask the system for a random key at the start of every child.
    let (mut good, mut seen) = (Vec::new(), BTreeSet::new());
    let mut bad = None;
    for (encoded, string) in pairs(value) {
        let parsed = decode(encoded).zip(string.and_then(Listed::parse));
        match parsed {
            Some(pair) if seen.insert(encoded) => good.push(pair),
            _ => {
                let shown: String = encoded.chars().take(128).collect();
                let message =
                    format!("cannot read {VARIABLE}: the entry {shown:?} is malformed, truncated or repeated");
                let advice = "unset the variable if it is not meant for this program";
                bad.get_or_insert_with(|| Error::advised(ErrorKind::Malformed, message, advice));
            }
        }
    }
    (good, bad)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::export_string::ExportString;
    use super::*;
    use crate::region::RegionKind;
    use crate::sys::Identity;

    fn string(number: i32) -> Listed {
        Listed::Region(ExportString {
            number,
            kind: RegionKind::Frozen,
            copy_on_write: false,
            size: 7,
            identity: Identity { device: 1, inode: 2 },
        })
    }

    #[test]
    fn names_round_trip() {
        let names = ["a", "=", ",", ":", "%", "%41", " ", "\n", "🦀", "ключ", "a=b,c:d%e", "~-._", "\u{1}"];
        let mut variable = Variable::default();
        for (name, number) in names.iter().zip(5..) {
            variable.push(name, string(number)).unwrap();
        }
        let (pairs, bad) = parse(variable.as_str());
        assert!(bad.is_none());
        let expected: Vec<_> = names.iter().map(|name| (*name).to_owned()).zip((5..).map(string)).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn name_in_use_is_an_error() {
        let mut variable = Variable::default();
        variable.push("a=b", string(5)).unwrap();
        let error = variable.push("a=b", string(6)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NameInUse);
        assert!(variable.push("a", string(6)).is_ok());
        assert!(variable.lists(5) && variable.lists(6) && !variable.lists(7));
    }

    #[test]
    fn full_variable_is_unchanged() {
        let mut variable = Variable::default();
        let mut number = 3;
        let error = loop {
            let before = variable.as_str().to_owned();
            if let Err(error) = variable.push(&format!("name-{number}"), string(number)) {
                assert_eq!(variable.as_str(), before);
                break error;
            }
            number += 1;
        };
        assert_eq!(error.kind(), ErrorKind::TooMany);
        assert!(variable.as_str().len() <= LONGEST && variable.as_str().len() > LONGEST - 64);
    }

    #[test]
    fn malformed_variable_keeps_valid_entries() {
        let good = "a=5:0:1:frozen:7:1:2";
        for bad in [
            "x",
            "=",
            "x=",
            "=5:0:1:frozen:7:1:2",
            "%=6:0:1:frozen:7:1:2",
            "%4=6:0:1:frozen:7:1:2",
            "%41=6:0:1:frozen:7:1:2",
            "%ff=6:0:1:frozen:7:1:2",
            "%00=6:0:1:frozen:7:1:2",
            "x=6:0:1:fro",
            "a=6:0:1:frozen:7:1:2",
            "",
            "é=6:0:1:frozen:7:1:2",
        ] {
            for value in [format!("{good},{bad}"), format!("{good},{bad},b=7:0:1:frozen:7:1:2")] {
                let (pairs, error) = parse(&value);
                assert_eq!(error.unwrap().kind(), ErrorKind::Malformed, "{value:?}");
                assert_eq!(pairs[0], ("a".to_owned(), string(5)), "{value:?}");
            }
        }
        assert!(parse(good).1.is_none());
        let (pairs, bad) = parse("");
        assert!(pairs.is_empty() && bad.is_none());
    }

    /// Well-formed pairs, and truncated, altered and repeated ones.
    fn good_and_bad_pairs() -> impl Strategy<Value = String> {
        let good = any::<String>().prop_map(|name| encode(&name));
        let name = prop_oneof![good, "[ab]", "(%[0-9A-Fa-f]{0,2}|[a-z]|é){0,4}"];
        let string = prop_oneof![4 => Just("5:0:1:frozen:7:1:2"), 1 => Just("5:0:1:fro"), 1 => Just("")];
        (name, prop_oneof![8 => Just("="), 1 => Just("")], string)
            .prop_map(|(name, equals, string)| format!("{name}{equals}{string}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn pairs_parse_as_written_or_fail(
            written in prop::collection::vec(good_and_bad_pairs(), 1..6),
        ) {
            let value = written.join(",");
            let (read, error) = parse(&value);
            let names: BTreeSet<_> = read.iter().map(|(name, _)| name).collect();
            prop_assert_eq!(names.len(), read.len());
            for (name, string) in &read {
                prop_assert!(check_name(name).is_ok(), "{:?}", name);
                let pair = format!("{}={string}", encode(name));
                prop_assert!(written.contains(&pair), "{:?} is not in {:?}", pair, written);
            }
            let all = read.len() == written.len() || value.is_empty();
            let expected = (!all).then_some(ErrorKind::Malformed);
            prop_assert_eq!(error.map(|error| error.kind()), expected);
        }

        #[test]
        fn arbitrary_values_never_panic(value: String) {
            let (read, error) = parse(&value);
            prop_assert!(error.is_some() || !read.is_empty() || value.is_empty());
        }

        #[test]
        fn pushed_names_parse(names in prop::collection::hash_set("[^\\x00]{1,60}", 0..6)) {
            let mut variable = Variable::default();
            for (name, number) in names.iter().zip(5..) {
                variable.push(name, string(number)).unwrap();
            }
            let (pairs, error) = parse(variable.as_str());
            prop_assert!(error.is_none());
            let expected: Vec<_> = names.into_iter().zip((5..).map(string)).collect();
            prop_assert_eq!(pairs, expected);
        }
    }
}
