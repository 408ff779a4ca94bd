//! What a name may be, of a region or for handing it down.

use crate::{Error, ErrorKind, Result};

/// The kernel takes 249 bytes for the name of memory, of which `heirloom:` is 9.
const LONGEST: usize = 240;

pub(crate) fn check(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "a name has at least one byte".to_owned()
    } else if name.contains('\0') {
        "it holds a NUL byte".to_owned()
    } else if name.len() > LONGEST {
        format!("a name has at most {LONGEST} bytes, not {}", name.len())
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("cannot name a region {name:?}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_long_and_nul_names_are_refused() {
        for name in ["", "a\0b", &"x".repeat(241), &"🦀".repeat(61)] {
            assert_eq!(check(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        for name in ["a", "=:%, \n", "🦀", &"x".repeat(240), &"🦀".repeat(60)] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }
}
