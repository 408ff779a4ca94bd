//! The rule for names: of regions, and of regions on a command.

use crate::{Error, ErrorKind, Result};

/// Bytes. The kernel allows 249 for the name of a memfd, and `heirloom/` takes 9.
const LONGEST: usize = 240;

pub(crate) fn check_name(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "a name must not be empty".to_owned()
    } else if name.contains('\0') {
        "a name must not contain a NUL byte".to_owned()
    } else if name.len() > LONGEST {
        format!("a name has at most {LONGEST} bytes; this one has {}", name.len())
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("cannot name a region {name:?}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_empty_long_and_nul_names() {
        for name in ["", "a\0b", &"x".repeat(241), &"🦀".repeat(61)] {
            assert_eq!(check_name(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        for name in ["a", "=:%, \n", "🦀", &"x".repeat(240), &"🦀".repeat(60)] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }
}
